"""Judging all events of some files at once: read everything, then fold and judge each parcel a single time.

The worker's own functions, in another order. A verdict is a function of the set of a parcel's events and of the facts
that history answers, so it is enough to ask for it at the end, and each parcel and each history is folded once, in
columns, instead of once a batch. Between the steps rows are shuffled into buckets by parcel or by entity, about 1 kB
a parcel of eight events: in memory, or, when there are many, in files. Buckets are independent of each other, so every
step may be shared out among processes.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from rules import Catalogue
from schemas import topics
from schemas.records import Reject, encode
from streams.files import reading, writing
from streams.files.lines import PARTITION, Part, lines
from streams.files.opening import text_bytes
from streams.files.pool import Pool, pool
from streams.files.reference import Known, known
from streams.files.shuffle import Cut, Piece, Shuffled, bucketed, hash_buckets, parcel_buckets, spans
from streams.flow import layout
from streams.flow.batches import Answers, Movements, Uploads
from streams.flow.describe.describer import Describer
from streams.flow.fold.dossiers import Dossiers
from streams.flow.fold.journey import END
from streams.flow.fold.parcels import fold
from streams.flow.judged import Judged
from streams.flow.pipeline import Histories, Parcels
from streams.flow.reference import EMPTY, Reference
from streams.settings import Settings
from streams.state.store import MemoryStore

Found = TypeVar("Found")
Progress = Callable[[str, float, int], None]
Line = tuple[bytes, bytes, str]  # key, value and tier

HELD_BYTES_MAX = 64 * 1024 * 1024  # of files, whose rows lie in memory
PROCESS_BYTES_MIN = 128 * 1024 * 1024  # of files for each process: some seconds of work, a start takes half of one
_PARCEL = np.dtype(layout.PARCEL)


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of judging a folder."""

    events: Counter[str]  # lines by topic, rejects included
    rejects: Counter[tuple[str, str]]  # by topic and reason
    rejects_path: Path | None
    parcels: int
    alerts: Counter[str]  # open ones, by tier
    shadows: int  # parcels of which rules in shadow say yes
    missing: list[str]  # names of the kinds of events that had no file
    unreadable: list[str]  # topics of which most lines were rejected


def judge_folder(
    folder: Path,
    out: Path,
    settings: Settings,
    catalogue: Catalogue,
    *,
    rejects: Path | None = None,
    shadow: Path | None = None,
    progress: Progress = lambda *_: None,
    processes: int = 1,
) -> Summary:
    """Judge the events in `folder` and write the open alerts, sorted by parcel, to `out`.

    rejects: a file for what could not be read; None: beside `out`, and nowhere where that is standard output.
    shadow: also a file for what rules in shadow say of parcels, sorted like the alerts.

    The files appear when they are complete. processes: that may share the work, fewer if that pays; with more than
    one, the caller's main module must be safe to import. Raises FilesError for files that cannot be read or written.
    """
    paths = reading.find(folder)
    rejects_path = rejects or writing.beside(out)
    writing.spare(paths, [path for path in (out, rejects_path, shadow) if path])
    found: list[Line] = []
    shadows: list[Line] = []
    with (
        writing.whole(out) as alert_lines,
        writing.whole(rejects_path) if rejects_path else nullcontext() as reject_lines,
        writing.whole(shadow) if shadow else nullcontext() as shadow_lines,
    ):
        with opened(paths, processes, AlertSteps, settings, [catalogue]) as bulk:
            for reject in bulk.read(settings.event_bytes_max, progress):
                if reject_lines is not None:
                    reject_lines.write(encode(reject) + b"\n")
            for some in bulk.conclude(AlertSteps.alerts, time.time_ns() // 1_000_000, progress=progress):
                found += some[0]
                shadows += some[1]
        found.sort()
        alert_lines.writelines(value + b"\n" for _, value, _ in found)
        if shadow_lines is not None:
            shadows.sort()
            shadow_lines.writelines(value + b"\n" for _, value, _ in shadows)
    tiers: Counter[str] = Counter(tier for *_, tier in found)
    lacking = bulk.missing, bulk.unreadable
    return Summary(bulk.events, bulk.rejects, rejects_path, bulk.parcels, tiers, len(shadows), *lacking)


@contextmanager
def opened(
    paths: dict[str, Path],
    processes: int,
    steps: Callable[[Settings, Sequence[Catalogue], Path | None, Reference], Steps],
    settings: Settings,
    catalogues: Sequence[Catalogue],
) -> Iterator[Bulk]:
    """The files by topic, to be read and concluded; what lies on disk in between is removed at the end."""
    reference = known(paths.get(topics.REFERENCE), settings)
    size = sum(map(text_bytes, paths.values()))
    count = max(1, min(processes, size // PROCESS_BYTES_MIN))
    bare = [dataclasses.replace(catalogue) for catalogue in catalogues]  # without what it keeps at hand, to travel
    spills = count > 1 or size > HELD_BYTES_MAX
    with (
        TemporaryDirectory(prefix="waybill-") if spills else nullcontext() as folder,
        pool(count, steps, settings, bare, Path(folder) if folder else None, reference.reference) as hands,
    ):
        yield Bulk(hands, paths, reference)


class Bulk:
    """First `read` everything, then `conclude`."""

    def __init__(self, hands: Pool, paths: dict[str, Path], reference: Known) -> None:
        self.events: Counter[str] = Counter({topics.REFERENCE: reference.lines} if reference.lines else {})
        self.rejects: Counter[tuple[str, str]] = Counter()
        self.parcels = 0
        self.missing = [name for topic, name in reading.EVENTS.items() if topic not in paths]
        self._hands = hands
        self._paths = {topic: path for topic, path in paths.items() if topic != topics.REFERENCE}
        self._reference = reference
        self._uploads = Shuffled([layout.SHIPMENT, _PARCEL, "S1"])
        self._movements = Shuffled([layout.MOVEMENT, _PARCEL, "S1"])

    @property
    def unreadable(self) -> list[str]:
        """Topics of which more than half of the lines were rejected: what is said of the rest means little."""
        rejects = Counter(topic for topic, _ in self.rejects.elements())
        return [topic for topic, count in sorted(rejects.items()) if 2 * count > self.events[topic]]

    def read(self, bytes_max: int, progress: Progress) -> Iterator[Reject]:
        """Read all files; yields what could not be read, in the order of topics and lines."""
        for reject in self._reference.rejects:
            self.rejects[reject.topic, reject.reason] += 1
            yield reject
        shares: deque[float] = deque()
        lengths: dict[tuple[str, int], int] = {}
        calls = lines(self._paths, bytes_max, shares, lengths)
        for read in self._hands.each(Steps.read, calls):
            self.events += read.events
            self._uploads.add(read.uploads)
            self._movements.add(read.movements)
            for reject in read.rejects:
                self.rejects[reject.topic, reject.reason] += 1
                length = lengths.pop((reject.topic, reject.offset), 0)
                yield replace(reject, detail=f"{length} bytes, at most {bytes_max}") if length else reject
            progress("reading", shares.popleft(), self.events.total())

    def conclude(
        self, step: Callable[..., tuple[int, Found]], *arguments: object, progress: Progress
    ) -> Iterator[Found]:
        """What `step` finds in the rows of some parcels, until all are through; `parcels` counts them.

        step: a method of the steps that takes uploads, movements, facts and `arguments`, and returns the number of
        parcels and what it found. progress: told the step, the share of it that is done, and how many rows that was.
        """
        facts = self._facts(progress)
        ends = spans(self._uploads, self._movements)
        calls = ((self._uploads.cut(*span), self._movements.cut(*span), facts.cut(*span), *arguments) for span in ends)
        for number, (parcels, found) in enumerate(self._hands.each(step, calls), 1):
            self.parcels += parcels
            progress("judging", number / len(ends), self.parcels)
            yield found

    def _facts(self, progress: Progress) -> Shuffled:
        """What all histories answer, by parcel."""
        observed, facts = Shuffled([layout.OBSERVATION]), Shuffled([layout.FACT])
        for piece in self._hands.each(Steps.observe, ((self._uploads.cut(*span),) for span in spans(self._uploads))):
            observed.add(piece)
        ends = spans(observed)
        sizes = deque(int(observed.sizes[low:high].sum()) for low, high in ends)
        answered = 0
        for number, piece in enumerate(self._hands.each(Steps.answer, ((observed.cut(*span),) for span in ends)), 1):
            facts.add(piece)
            answered += sizes.popleft()
            progress("asking histories", number / len(ends), answered)
        observed.drop()
        return facts


@dataclass(frozen=True, slots=True)
class Read:
    """What came of reading some lines."""

    uploads: Piece
    movements: Piece
    events: Counter[str]
    rejects: list[Reject]


class Steps:
    """The steps on the way, each for some of the rows: a function of its arguments, in whichever process."""

    def __init__(
        self, settings: Settings, catalogues: Sequence[Catalogue], spill: Path | None, reference: Reference = EMPTY
    ) -> None:
        """spill: where rows lie between the steps; None: in memory."""
        describer = Describer.of(settings, frozenset().union(*(catalogue.columns for catalogue in catalogues)))
        self.agents = [
            Parcels(
                MemoryStore(),
                catalogue,
                describer,
                partitions=1,
                emit_from=settings.emit_from,
                event_bytes_max=settings.event_bytes_max,
            )
            for catalogue in catalogues
        ]
        for agent in self.agents:
            agent.reference = reference
        self._library = self.agents[0].front.library
        self._settings = settings
        self._spill = spill

    def read(self, parts: Sequence[Part]) -> Read:
        """Decode and describe lines."""
        out = Judged()
        front = self.agents[0].front
        uploads, movements = self.agents[0].read([batch for part in parts for batch in part.batches(front)], out)
        parcels, moved = (np.array(each.parcels, dtype=_PARCEL) for each in (uploads, movements))
        tails = np.array(uploads.tails, dtype=np.bytes_)
        return Read(
            bucketed(parcel_buckets(parcels), [uploads.rows, parcels, tails], self._spill),
            bucketed(parcel_buckets(moved), [movements.rows, moved, _names(movements)], self._spill),
            out.events,
            out.rejects,
        )

    def observe(self, uploads: Cut) -> Piece:
        """What these uploads are observations of, by entity."""
        folded = fold(MemoryStore(), _uploads(uploads), Movements.none(), Answers.none(), library=self._library)
        rows = folded.observations()
        return bucketed(hash_buckets(rows["entity"]), [rows], self._spill)

    def answer(self, observed: Cut) -> Piece:
        """What the histories of these observations answer, by parcel."""
        (rows,) = observed.columns()
        partitions = np.full(len(rows), PARTITION, dtype=np.int64)
        settings = self._settings
        asked = Histories(MemoryStore(), bucket_rows_max=settings.observations_per_bucket_max, native=settings.native)
        found = asked.answer(rows, partitions).rows
        return bucketed(parcel_buckets(found["parcel"]), [found], self._spill)

    def fold(self, uploads: Cut, movements: Cut, facts: Cut) -> Dossiers:
        """Everything that is known of these parcels."""
        rows, column, names = movements.columns()
        parcels = column.tolist()
        cut = np.flatnonzero(names != b"").tolist()
        (answers,) = facts.columns()
        return fold(
            MemoryStore(),
            _uploads(uploads),
            Movements([PARTITION] * len(rows), parcels, rows, {parcels[row]: names[row].decode() for row in cut}),
            Answers([PARTITION] * len(answers), answers),
            library=self._library,
        )


class AlertSteps(Steps):
    """With alerts at the end."""

    def alerts(
        self, uploads: Cut, movements: Cut, facts: Cut, now_ms: int
    ) -> tuple[int, tuple[list[Line], list[Line]]]:
        """Parcels, and the lines of open alerts and of what is in shadow, in no order."""
        touched = self.fold(uploads, movements, facts)
        out = Judged()
        self.agents[0].conclude(touched, out, now_ms, ended(touched))
        found = [(each.key, each.value, str(each.said.tier)) for each in out.alerts if each.said.status == "open"]
        shadows = [(each.key, each.value, str(each.said.tier_with)) for each in out.shadows]
        return len(touched.parcels), (found, shadows)


def ended(touched: Dossiers) -> NDArray[np.int64]:
    """The event time of these dossiers: the end of input closes every deadline, as what has not come does not come."""
    return np.full(len(touched.parcels), END)


def _names(movements: Movements) -> NDArray[np.bytes_]:
    """The names of the parcels of movements; empty where the reference is the name, as it nearly always is."""
    names = movements.names
    if not names:
        return np.zeros(len(movements.rows), dtype="S1")
    return np.array([names.get(parcel, "").encode() for parcel in movements.parcels], dtype=np.bytes_)


def _uploads(cut: Cut) -> Uploads:
    rows, parcels, tails = cut.columns()
    # A repetition changes nothing; taken out here, it does not make its parcel a case for the careful way.
    _, once = np.unique(rows["event"], return_index=True)
    return Uploads([PARTITION] * len(once), parcels.take(once).tolist(), rows.take(once), tails.take(once).tolist())
