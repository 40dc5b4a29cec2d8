"""Judging all events of some files at once: read everything, then fold and judge each parcel a single time.

The worker's own functions, in another order. A verdict is a function of the set of a parcel's events and of the facts
that history answers, so it is enough to ask for it at the end, and each parcel and each history is folded once, in
columns, instead of once a batch. Between the steps rows lie in memory, dealt into slots by parcel or by entity, about
1 kB a parcel of eight events.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rules import Catalogue
from schemas import topics
from schemas.records import Reject, encode
from streams import files, layout
from streams.describe import Describer
from streams.emit import Emitted
from streams.fold import dossiers, histories
from streams.fold.journey import END
from streams.frames import Answers, Batch, Movements, Uploads
from streams.offline import raw
from streams.pipeline import Judged, Parcels, refused
from streams.settings import Settings
from streams.state.store import MemoryStore

Ints = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)
Progress = Callable[[str, float, int], None]

SLOTS = 256
PIECE_ROWS = 20_000
ROWS_MIN = 50_000  # folded together: below it a call costs more than its rows, far above it they leave the cache
_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], dtype="<u8")
_HALF, _TOP_BYTE = np.uint64(32), np.uint64(56)
_PARCEL = np.dtype(layout.PARCEL)
_PARTITION = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of judging a folder."""

    events: Counter[str]  # lines by topic, rejects included
    rejects: Counter[tuple[str, str]]  # by topic and reason
    rejects_path: Path
    parcels: int
    alerts: Counter[str]  # open ones, by tier
    missing: list[str]  # names of the kinds of events that had no file


def judge_folder(
    folder: Path, out: Path, settings: Settings, catalogue: Catalogue, *, progress: Progress = lambda *_: None
) -> Summary:
    """Judge the events in `folder` and write the open alerts, sorted by parcel, to `out`; rejects beside it.

    Both files appear when they are complete. Raises FilesError for files that cannot be read or written.
    """
    paths = files.find(folder)
    rejects_path = beside(out)
    if {path.resolve() for path in paths.values()} & {out.resolve(), rejects_path.resolve()}:
        raise files.FilesError(f"{out}: holds events to judge, and would be replaced")
    bulk = Bulk(settings, catalogue)
    rejects: Counter[tuple[str, str]] = Counter()
    with files.whole(out) as alert_lines, files.whole(rejects_path) as reject_lines:
        for reject in _read(bulk, paths, settings.event_bytes_max, progress):
            reject_lines.write(encode(reject) + b"\n")
            rejects[reject.topic, reject.reason] += 1
        found = sorted(
            (emitted.key, emitted.value, emitted.alert.tier)
            for emitted in bulk.alerts(time.time_ns() // 1_000_000, progress)
        )
        alert_lines.writelines(value + b"\n" for _, value, _ in found)
    tiers: Counter[str] = Counter(tier for *_, tier in found)
    missing = [name for topic, name in files.EVENTS.items() if topic not in paths]
    return Summary(bulk.events, rejects, rejects_path, bulk.parcels, tiers, missing)


def beside(out: Path) -> Path:
    """Where the rejects go: alerts.rejects.ndjson for alerts.ndjson."""
    name = out.stem if out.suffix in (".ndjson", ".jsonl", ".json") else out.name
    return out.with_name(f"{name}.rejects.ndjson")


def _read(bulk: Bulk, paths: dict[str, Path], bytes_max: int, progress: Progress) -> Iterator[Reject]:
    """Add all files to `bulk`; yields what could not be read."""
    total = max(sum(path.stat().st_size for path in paths.values()), 1)
    before = rows = 0
    for topic, path in paths.items():
        for piece in files.read(path, rows_max=PIECE_ROWS, line_bytes_max=bytes_max):
            for reject in bulk.add(raw(topic, _PARTITION, piece.values, piece.first)):
                length = piece.cut.get(reject.offset - piece.first)
                yield replace(reject, detail=f"{length} bytes, at most {bytes_max}") if length else reject
            rows += len(piece.values)
            progress("reading", (before + piece.read_bytes) / total, rows)
        before += path.stat().st_size


class Bulk:
    """Add all batches, in any order, then take the alerts."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.events: Counter[str] = Counter()
        self.parcels = 0
        self._bucket_rows_max = settings.observations_per_bucket_max
        self._agent = Parcels(
            MemoryStore(),
            catalogue,
            Describer.of(settings, catalogue.columns),
            partitions=1,
            emit_from=settings.emit_from,
            event_bytes_max=settings.event_bytes_max,
        )
        self._reference = self._agent.reference_reader()
        self._upload_rows = _Dealt(layout.SHIPMENT)
        self._upload_parcels = _Dealt(_PARCEL)
        self._upload_tails = _Dealt(np.dtype(np.object_))
        self._movement_rows = _Dealt(layout.MOVEMENT)
        self._movement_parcels = _Dealt(_PARCEL)
        self._names: dict[bytes, str] = {}

    def add(self, batch: Batch) -> list[Reject]:
        """Read a batch; returns its rejects. Its partition counts as 0. Of reference records the order counts."""
        if batch.topic == topics.REFERENCE:
            self.events[topics.REFERENCE] += len(batch.values)
            return [refused(batch, bad) for bad in self._reference.add(batch.values, batch.offsets, batch.keys)]
        out = Judged()
        uploads, movements = self._agent.read([batch], out)
        self.events += out.events
        if len(uploads.rows):
            parcels = np.array(uploads.parcels, dtype=_PARCEL)
            deal = _deal(parcel_slots(parcels))
            self._upload_rows.add(deal, uploads.rows)
            self._upload_parcels.add(deal, parcels)
            self._upload_tails.add(deal, np.array(uploads.tails, dtype=np.object_))
        if len(movements.rows):
            parcels = np.array(movements.parcels, dtype=_PARCEL)
            deal = _deal(parcel_slots(parcels))
            self._names |= movements.names
            self._movement_rows.add(deal, movements.rows)
            self._movement_parcels.add(deal, parcels)
        return out.rejects

    def alerts(self, now_ms: int, progress: Progress = lambda step, share, rows: None) -> Iterator[Emitted]:
        """The open alert of each parcel that has one, in no order; `parcels` counts the parcels judged so far.

        progress: told the step, the share of it that is done, and how many rows that was.
        """
        self._agent.reference = self._reference.build()
        # The end of input closes every deadline, since what has not come by now does not come: hence END below.
        facts = self._facts(progress)
        sizes = self._upload_rows.sizes() + self._movement_rows.sizes()
        for low, high in _spans(sizes):
            answers = facts.take(low, high)
            out = Judged()
            touched = dossiers.fold(
                MemoryStore(),
                self._uploads(low, high),
                self._movements(low, high),
                Answers([_PARTITION] * len(answers), answers),
            )
            self._agent.conclude(touched, out, now_ms, np.full(len(touched.parcels), END))
            self.parcels += len(touched.parcels)
            progress("judging", high / SLOTS, self.parcels)
            yield from (emitted for emitted in out.alerts if emitted.alert.status == "open")

    def _facts(self, progress: Progress) -> _Dealt[np.void]:
        """What all histories answer, by parcel."""
        observed = _Dealt(layout.OBSERVATION)
        for low, high in _spans(self._upload_rows.sizes()):
            folded = dossiers.fold(MemoryStore(), self._uploads(low, high), Movements.none(), Answers.none())
            rows = folded.observations()
            observed.add(_deal((rows["entity"] >> _TOP_BYTE).astype(np.uint8)), rows)
        facts = _Dealt(layout.FACT)
        answered = 0
        for low, high in _spans(observed.sizes()):
            rows = observed.take(low, high)
            partitions = np.full(len(rows), _PARTITION, dtype=np.int64)
            found = histories.fold(MemoryStore(), rows, partitions, bucket_rows_max=self._bucket_rows_max).rows
            facts.add(_deal(parcel_slots(found["parcel"])), found)
            answered += len(rows)
            progress("asking histories", high / SLOTS, answered)
        return facts

    def _uploads(self, low: int, high: int) -> Uploads:
        rows = self._upload_rows.take(low, high)
        # A repetition changes nothing; taken out here, it does not make its parcel a case for the careful way.
        _, once = np.unique(rows["event"], return_index=True)
        parcels = self._upload_parcels.take(low, high)[once]
        tails = self._upload_tails.take(low, high)[once]
        return Uploads([_PARTITION] * len(once), parcels.tolist(), rows[once], tails.tolist())

    def _movements(self, low: int, high: int) -> Movements:
        rows = self._movement_rows.take(low, high)
        parcels = self._movement_parcels.take(low, high).tolist()
        return Movements([_PARTITION] * len(rows), parcels, rows, self._names)


def parcel_slots(parcels: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """The slot of each parcel reference: any even-handed function of it will do."""
    words = np.ascontiguousarray(parcels).view("<u8").reshape(len(parcels), len(_ODD))
    mixed = np.bitwise_xor.reduce(words * _ODD, axis=1)
    slots: NDArray[np.uint8] = (((mixed ^ (mixed >> _HALF)) * _ODD[0]) >> _TOP_BYTE).astype(np.uint8)
    return slots


class _Dealt(Generic[Scalar]):
    """A column in pieces, each sorted by slot."""

    def __init__(self, dtype: np.dtype[Scalar]) -> None:
        self._none = np.empty(0, dtype=dtype)
        self._pieces: list[tuple[Ints, NDArray[Scalar]]] = []

    def add(self, deal: tuple[Ints, Ints], rows: NDArray[Scalar]) -> None:
        by, bounds = deal
        self._pieces.append((bounds, rows[by]))

    def sizes(self) -> Ints:
        """Rows by slot."""
        return sum((np.diff(bounds) for bounds, _ in self._pieces), np.zeros(SLOTS, dtype=np.int64))

    def take(self, low: int, high: int) -> NDArray[Scalar]:
        """The rows of the slots from `low` up to `high`."""
        return np.concatenate([self._none, *(rows[bounds[low] : bounds[high]] for bounds, rows in self._pieces)])


def _deal(slots: NDArray[np.uint8]) -> tuple[Ints, Ints]:
    """The order that sorts rows by slot, and where each slot starts, the end included."""
    return np.argsort(slots, kind="stable"), np.cumsum([0, *np.bincount(slots, minlength=SLOTS)])


def _spans(sizes: Ints) -> list[tuple[int, int]]:
    """Runs of slots that hold `ROWS_MIN` rows at least, together all."""
    starts, rows = [0], 0
    for slot, size in enumerate(sizes.tolist()):
        if rows >= ROWS_MIN:
            starts.append(slot)
            rows = 0
        rows += size
    return list(pairwise([*starts, SLOTS]))
