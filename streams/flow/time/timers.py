"""Event-time timers: the watermark of each partition, and the parcels that wait for it to pass a deadline.

An absence ("no X-ray before it left") is decided only when its timer fires. A timer must not fire because one topic is
read before another. So the watermark is the newest event time read, with three limits:

- It is the value of `settle_ms` before the broker last said where the topics end: events that are sent together must
  have arrived.
- It is at most the newest event time read in each topic that has unread records (`ReadProgress.lagging`).
- It is at most `AHEAD_MS_MAX` ahead of the clock.

When a record comes late, the watermark has passed the records that were sent with it, read or not. So a deadline that
begins with a late record waits until everything has been read that was sent up to `settle_ms` later.

Timers are held in memory, one for each parcel that waits for something: its next deadline. When a partition is opened,
its dossiers are read once to restore them (`restore_timers`). Nothing here reads a clock or asks a broker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.flow.fold.journey import ABSENCES, DEADLINE_MS_MIN, NEVER, Journeys
from streams.flow.layout import HEAD, MINUTE_MS, MOVEMENT, VERSION
from streams.flow.partitions import present
from streams.flow.time.deadlines import Deadlines, Waiting, deadlines
from streams.state.store import runs

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Due = list[tuple[int, bytes]]
"""Partition and parcel."""

AHEAD_MS_MAX: Final = 5 * MINUTE_MS
"""How far ahead of the clock the watermark may be, whatever the times of events."""


@dataclass(frozen=True, slots=True)
class ReadProgress:
    """How far the input topics of one partition have been read, by what the broker said of their ends.

    as_of         when the broker was asked, ms on the clock of `TimerService.settle`
    lagging       topics with unread records
    read_through  everything that was in the topics at this time has been read, ms on that clock
    idle          the partition has brought nothing for long; if no topic lags, its time passes by the wall clock
    """

    as_of: int = 0
    lagging: Collection[str] = ()
    read_through: int = 0
    idle: bool = False


@dataclass(slots=True)
class PartitionTimers:
    """One partition: its watermark, and the next deadline of each parcel that has one, epoch ms."""

    event_time: int = 0  # the watermark
    front: int = 0  # where the watermark will be after `settle_ms`
    newest: int = 0  # event time read, or passed by the clock
    restored: int = 0  # event time read before the partition was opened
    newest_of: dict[str, int] = field(default_factory=dict)  # event time read, by topic
    deadlines: Deadlines = field(default_factory=Deadlines)
    _settled: int = 0
    _fronts: deque[tuple[int, int]] = field(default_factory=deque)  # when it came to a front, and the front
    # Late deadlines, by the time of the `settle` that followed.
    _late: deque[tuple[int, list[Waiting]]] = field(default_factory=deque)
    _late_news: list[Waiting] = field(default_factory=list)

    def read(self, topic: str, at: Ints) -> Mask:
        """Note the times of events, in the order of arrival. Returns which of them are late."""
        before = self.newest_of.get(topic, 0)
        newest = np.maximum(np.maximum.accumulate(at), before)
        self.newest_of[topic] = int(newest[-1])
        self.newest = max(self.newest, int(newest[-1]))
        late: Mask = newest - at >= DEADLINE_MS_MIN
        return late

    def settle(self, progress: ReadProgress, settle_ms: int, clock_ms: int, now_ms: int) -> None:
        """Move the watermark. clock_ms: the clock of `progress`, now; now_ms: the wall clock."""
        if progress.idle and not progress.lagging:
            self.newest = max(self.newest, now_ms)
        most = min([now_ms + AHEAD_MS_MAX, *(self.newest_of.get(topic, 0) for topic in progress.lagging)])
        front = min(self.newest, most)
        if front > self.front:
            self.front = front
            self._fronts.append((clock_ms, front))
        while self._fronts and self._fronts[0][0] <= progress.as_of - settle_ms:
            self._settled = self._fronts.popleft()[1]
        self.event_time = max(self.event_time, min(self._settled, most))
        if self._late_news:
            self._late.append((clock_ms, self._late_news))
            self._late_news = []
        while self._late and self._late[0][0] <= progress.read_through - settle_ms:
            for held in self._late.popleft()[1]:
                self.deadlines.release(held)

    def set(self, parcels: Sequence[bytes], due_at: Ints, late: Collection[bytes] = ()) -> None:
        """Note the next deadline of each parcel. late: parcels whose deadlines begin with a record that came late."""
        if held := self.deadlines.set(parcels, due_at.tobytes(), max(self.front, self.restored), late):
            self._late_news.append(held)

    def restore(self, pieces: Iterable[tuple[Sequence[bytes], Ints, int]]) -> None:
        """Take in stored parcels: those with a deadline, their deadlines, and the newest event time of all. How far
        time has come is known only behind the last, so it is then that deadlines are held."""
        for parcels, due_at, newest in pieces:
            self.newest = self.restored = max(self.newest, newest)
            self.deadlines.set(parcels, due_at.tobytes(), _BEFORE)
        self._late_news.append(self.deadlines.hold(self.restored))

    @property
    def behind(self) -> bool:
        """Whether a timer may fire now."""
        return self.deadlines.behind(self.event_time)


class TimerService:
    """The timers of all partitions that are held."""

    def __init__(self, settle_ms: int = 0, library: Any | None = None) -> None:
        """library: the native one, or None."""
        self._settle_ms = settle_ms
        self._library = library
        self._timers: dict[int, PartitionTimers] = {}

    def _of(self, number: int) -> PartitionTimers:
        if number not in self._timers:
            self._timers[number] = PartitionTimers(deadlines=deadlines(self._library))
        return self._timers[number]

    def read(self, topic: str, partitions: Sequence[int] | Ints, at: Ints) -> Mask:
        """Note the times of events of a topic, in the order of arrival. Returns which of them are late.

        An event is late if a deadline that begins with it may have passed already when it is read.
        """
        late = np.zeros(len(at), dtype=np.bool_)
        numbers = np.asarray(partitions)
        for number in present(numbers):
            rows = np.flatnonzero(numbers == number)
            late[rows] = self._of(number).read(topic, at[rows])
        return late

    def settle(self, progress: Mapping[int, ReadProgress], clock_ms: int, now_ms: int) -> None:
        """Move the watermark of partitions whose ends are known; see `PartitionTimers.settle`."""
        for number, timers in self._timers.items():
            if number in progress:
                timers.settle(progress[number], self._settle_ms, clock_ms, now_ms)

    def event_time(self, partitions: NDArray[np.uint16]) -> Ints:
        """The watermark of each of these."""
        at = np.zeros(int(partitions.max(initial=0)) + 1, dtype=np.int64)
        for number, timers in self._timers.items():
            if number < len(at):
                at[number] = timers.event_time
        return at[partitions]

    def due(self, most: int) -> Due:
        """Take out the parcels whose deadlines have passed, `most` at most."""
        out: Due = []
        for number, timers in self._timers.items():
            fired = timers.deadlines.due(timers.event_time, most - len(out))
            out += [(number, parcel) for parcel in fired]
        return out

    def set(
        self, partitions: Sequence[int], parcels: Sequence[bytes], due_at: Ints, late: Collection[bytes] = ()
    ) -> None:
        """Note the next deadline of each parcel. late: parcels with events that came late."""
        for number, at in runs(partitions):
            self._of(number).set(parcels[at], due_at[at], late)

    def waits(self, number: int, parcels: Sequence[bytes]) -> Mask:
        """Which of these parcels of a partition have a deadline that has not passed."""
        return np.array(self._of(number).deadlines.waits(parcels), dtype=np.bool_)

    @property
    def behind(self) -> bool:
        """Whether there are due parcels that have not been taken out."""
        return any(timers.behind for timers in self._timers.values())

    @property
    def partitions(self) -> list[int]:
        """The partitions that have timers or event times."""
        return list(self._timers)

    def __len__(self) -> int:
        return sum(len(timers.deadlines) for timers in self._timers.values())

    def open(self, timers_of: dict[int, PartitionTimers]) -> None:
        """Take partitions over."""
        self._timers.update(timers_of)

    def close(self) -> None:
        """Drop all partitions."""
        self._timers.clear()


def restore_timers(
    pieces: Iterable[Sequence[tuple[bytes, bytes]]],
    *,
    home: tuple[str, ...],
    wanted: frozenset[str],
    cancelled: Callable[[], bool] = lambda: False,
    library: Any | None = None,
) -> PartitionTimers:
    """The timers of a partition from its dossiers, (parcel, value), some thousands at a time.

    The watermark is not known until the ends of the topics are: what a parcel lacks may be waiting there.
    """
    timers = PartitionTimers(deadlines=deadlines(library))
    if wanted & ABSENCES:
        timers.restore(_deadlines_of(piece, home, wanted) for piece in takewhile(lambda _: not cancelled(), pieces))
    return timers


def _deadlines_of(
    piece: Sequence[tuple[bytes, bytes]], home: tuple[str, ...], wanted: frozenset[str]
) -> tuple[list[bytes], Ints, int]:
    """Of stored dossiers: the parcels with a deadline, it, and the newest event time of all."""
    parcels, values = zip(*piece, strict=True)
    size = HEAD.itemsize
    heads = np.frombuffer(b"".join([value[:size] for value in values]), dtype=HEAD)
    starts = size + heads["versions"].astype(np.int64) * VERSION.itemsize
    ends = starts + heads["movements"].astype(np.int64) * MOVEMENT.itemsize
    movements = [value[start:end] for value, start, end in zip(values, starts.tolist(), ends.tolist(), strict=True)]
    journeys = Journeys(heads, movements, np.zeros(len(heads), dtype=np.int64), home=home, wanted=wanted)
    rows = np.flatnonzero(journeys.due_at != NEVER)
    return [parcels[row] for row in rows.tolist()], journeys.due_at[rows], journeys.newest


_BEFORE: Final = -NEVER  # any event time
