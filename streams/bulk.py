"""Judging all events of some files at once: read everything, then fold and judge each parcel a single time.

The worker's own functions, in another order. A verdict is a function of the set of a parcel's events and of the facts
that history answers, so it is enough to ask for it at the end, and each parcel and each history is folded once, in
columns, instead of once a batch. Between the steps rows are dealt into slots by parcel or by entity, about 1 kB a
parcel of eight events: in memory, or, when there are many, in files. Slots are independent of each other, so every step
may be shared out among processes.
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

from msgspec.structs import replace

from rules import Catalogue
from schemas.records import Reject, encode
from streams import files
from streams.crew import Crew, crew
from streams.dealt import Dealt, spans
from streams.frames import Batch
from streams.offline import raw
from streams.pipeline import Judged
from streams.settings import Settings
from streams.steps import FACTS, MOVEMENTS, NAMES, OBSERVATIONS, PARTITION, UPLOADS, Known, Steps

Found = TypeVar("Found")
Progress = Callable[[str, float, int], None]

PIECE_ROWS = 20_000  # decoded together
SHARE_BYTES = 16 * 1024 * 1024  # of lines, read by one call
HELD_BYTES_MAX = 64 * 1024 * 1024  # of files, whose rows lie in memory
PROCESS_BYTES_MIN = 128 * 1024 * 1024  # of files for each process: some seconds of work, a start takes half of one


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
    folder: Path,
    out: Path,
    settings: Settings,
    catalogue: Catalogue,
    *,
    progress: Progress = lambda *_: None,
    processes: int = 1,
) -> Summary:
    """Judge the events in `folder` and write the open alerts, sorted by parcel, to `out`; rejects beside it.

    Both files appear when they are complete. processes: that may share the work, fewer if that pays; with more than
    one, the caller's main module must be safe to import. Raises FilesError for files that cannot be read or written.
    """
    paths = files.find(folder)
    rejects_path = beside(out)
    files.spare(paths, [out, rejects_path])
    found: list[tuple[bytes, bytes, str]] = []
    with files.whole(out) as alert_lines, files.whole(rejects_path) as reject_lines:
        with opened(paths, processes, AlertSteps, settings, [catalogue]) as bulk:
            for reject in bulk.read(settings.event_bytes_max, progress):
                reject_lines.write(encode(reject) + b"\n")
            for some in bulk.conclude(AlertSteps.alerts, time.time_ns() // 1_000_000, progress=progress):
                found += some
        found.sort()
        alert_lines.writelines(value + b"\n" for _, value, _ in found)
    tiers: Counter[str] = Counter(tier for *_, tier in found)
    return Summary(bulk.events, bulk.rejects, rejects_path, bulk.parcels, tiers, bulk.missing)


def beside(out: Path) -> Path:
    """Where the rejects go: alerts.rejects.ndjson for alerts.ndjson."""
    name = out.stem if out.suffix in (".ndjson", ".jsonl", ".json") else out.name
    return out.with_name(f"{name}.rejects.ndjson")


@contextmanager
def opened(
    paths: dict[str, Path],
    processes: int,
    steps: Callable[[Settings, Sequence[Catalogue], Path | None], Steps],
    settings: Settings,
    catalogues: Sequence[Catalogue],
) -> Iterator[Bulk]:
    """The files of events by topic, to be read and concluded; what lies on disk in between is removed at the end."""
    size = sum(path.stat().st_size for path in paths.values())
    count = max(1, min(processes, size // PROCESS_BYTES_MIN))
    bare = [dataclasses.replace(catalogue) for catalogue in catalogues]  # without what it keeps at hand, to travel
    spills = count > 1 or size > HELD_BYTES_MAX
    with (
        TemporaryDirectory(prefix="waybill-") if spills else nullcontext() as folder,
        crew(count, steps, settings, bare, Path(folder) if folder else None) as hands,
    ):
        yield Bulk(hands, paths)


class Bulk:
    """First `read` everything, then `conclude`."""

    def __init__(self, hands: Crew, paths: dict[str, Path]) -> None:
        self.events: Counter[str] = Counter()
        self.rejects: Counter[tuple[str, str]] = Counter()
        self.parcels = 0
        self.missing = [name for topic, name in files.NAMES.items() if topic not in paths]
        self._hands = hands
        self._paths = paths
        self._uploads = Dealt(UPLOADS)
        self._movements = Dealt(MOVEMENTS)
        self._names = Dealt(NAMES)

    def read(self, bytes_max: int, progress: Progress) -> Iterator[Reject]:
        """Read all files; yields what could not be read, in the order of topics and lines."""
        shares: deque[float] = deque()
        lengths: dict[tuple[str, int], int] = {}
        calls = _lines(self._paths, bytes_max, shares, lengths)
        for read in self._hands.each(Steps.read, calls):
            self.events += read.events
            self._uploads.add(read.uploads)
            self._movements.add(read.movements)
            self._names.add(read.names)
            for reject in read.rejects:
                self.rejects[reject.topic, reject.reason] += 1
                length = lengths.pop((reject.topic, reject.offset), 0)
                yield replace(reject, detail=f"{length} bytes, at most {bytes_max}") if length else reject
            progress("reading", shares.popleft(), self.events.total())

    def conclude(
        self, step: Callable[..., tuple[int, Found]], *arguments: object, progress: Progress
    ) -> Iterator[Found]:
        """What `step` finds out about some parcels, until all are through; `parcels` counts them.

        step: a method of the steps that takes what is known of the parcels, and `arguments`, and returns the number of
        parcels and what it found. progress: told the step, the share of it that is done, and how many rows that was.
        """
        facts = self._facts(progress)
        ends = spans(self._uploads, self._movements)
        tables = self._uploads, self._movements, self._names, facts
        calls = ((Known(*(table.cut(*span) for table in tables)), *arguments) for span in ends)
        for number, (parcels, found) in enumerate(self._hands.each(step, calls), 1):
            self.parcels += parcels
            progress("judging", number / len(ends), self.parcels)
            yield found

    def _facts(self, progress: Progress) -> Dealt:
        """What all histories answer, by parcel."""
        observed, facts = Dealt(OBSERVATIONS), Dealt(FACTS)
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


class AlertSteps(Steps):
    """With alerts at the end."""

    def alerts(self, known: Known, now_ms: int) -> tuple[int, list[tuple[bytes, bytes, str]]]:
        """Parcels, and key, value and tier of each open alert, in no order."""
        touched = self.fold(known)
        out = Judged()
        self.agents[0].conclude(touched, out, now_ms, self.ended(touched))
        found = [(each.key, each.value, str(each.alert.tier)) for each in out.alerts if each.alert.status == "open"]
        return len(touched.parcels), found


def _lines(
    paths: dict[str, Path], bytes_max: int, shares: deque[float], lengths: dict[tuple[str, int], int]
) -> Iterator[tuple[list[Batch]]]:
    """All lines, `SHARE_BYTES` at a time. `shares` gets the share read up to there, `lengths` those of lines cut."""
    total = max(sum(path.stat().st_size for path in paths.values()), 1)
    before = gathered = 0
    batches: list[Batch] = []
    for topic, path in paths.items():
        for piece in files.read(path, rows_max=PIECE_ROWS, line_bytes_max=bytes_max):
            lengths |= {(topic, piece.first + at): length for at, length in piece.cut.items()}
            batches.append(raw(topic, PARTITION, piece.values, piece.first))
            gathered += sum(map(len, piece.values))
            if gathered >= SHARE_BYTES:
                shares.append((before + piece.read_bytes) / total)
                yield (batches,)
                batches, gathered = [], 0
        before += path.stat().st_size
    if batches:
        shares.append(1.0)
        yield (batches,)
