"""Event-time timers: the watermark of each partition, and the parcels that wait for it to pass a deadline.

They are held in memory, one timer per parcel that waits for something: its next deadline. When a partition is opened,
its dossiers are read once to find them again (`restore_timers`). Events move the watermark. The clock moves it only
where no events come (`let_pass`).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.flow.fold.journey import NEVER, Journeys
from streams.flow.layout import HEAD, MINUTE_MS, MOVEMENT, VERSION

Ints = NDArray[np.int64]
Waiting = list[tuple[int, bytes]]
"""Partition and parcel."""

AHEAD_MS_MAX: Final = 5 * MINUTE_MS
"""An event dated further ahead of the clock moves event time only so far, until the clock has come there too."""


@dataclass(slots=True)
class PartitionTimers:
    """One partition: event time, and the next deadline of each parcel that has one, epoch ms."""

    event_time: int = 0
    newest: int = 0  # that was seen, even if the clock has not come there yet
    timers: dict[bytes, int] = field(default_factory=dict)
    # Entries are not taken out when a deadline moves or goes; they are passed over when they come up.
    queue: list[tuple[int, bytes]] = field(default_factory=list)

    def see(self, at: int, now_ms: int) -> None:
        """Let event time come to an event, as far as the clock lets it."""
        self.newest = max(self.newest, at)
        self.event_time = max(self.event_time, min(self.newest, now_ms + AHEAD_MS_MAX))

    def set(self, parcel: bytes, at: int) -> None:
        """Note the next deadline of a parcel."""
        if self.timers.get(parcel) == at:
            return
        self.timers[parcel] = at
        heapq.heappush(self.queue, (at, parcel))
        if len(self.queue) > _SLACK * len(self.timers) + _SLACK_ROWS:
            self.queue = [(at, parcel) for parcel, at in self.timers.items()]
            heapq.heapify(self.queue)

    def waits(self, event_time: int) -> bool:
        """Whether a timer fires once the watermark reaches `event_time`; it may have moved since."""
        return bool(self.queue) and self.queue[0][0] < event_time

    def due(self, most: int) -> list[bytes]:
        """Take out the parcels whose deadline has passed, earliest first, so many at most."""
        out: list[bytes] = []
        queue, timers = self.queue, self.timers
        while queue and queue[0][0] < self.event_time and len(out) < most:
            at, parcel = heapq.heappop(queue)
            if timers.get(parcel) == at:
                del timers[parcel]
                out.append(parcel)
        return out


_SLACK, _SLACK_ROWS = 4, 10_000  # how much longer than its parcels a queue may be


class TimerService:
    """The calendars of the partitions in hand."""

    def __init__(self) -> None:
        self._timers: defaultdict[int, PartitionTimers] = defaultdict(PartitionTimers)

    def advance(self, partitions: Sequence[int], at: Ints, now_ms: int) -> None:
        """Let event time come to the newest of these events; now_ms: the clock."""
        if len(at) == 0:
            return
        numbers = np.array(partitions, dtype=np.int64)
        newest = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
        np.maximum.at(newest, numbers, at)
        for number in np.flatnonzero(newest).tolist():
            self._timers[number].see(int(newest[number]), now_ms)

    def let_pass(self, partitions: Iterable[int], now_ms: int) -> None:
        """Let event time come to the clock where nothing comes, elsewhere to what was seen and lay ahead of it."""
        idle = set(partitions)
        for number, timers in self._timers.items():
            timers.see(now_ms if number in idle else 0, now_ms)

    def event_time(self, partitions: NDArray[np.uint16]) -> Ints:
        """How far event time has come in each of these."""
        at = np.zeros(int(partitions.max(initial=0)) + 1, dtype=np.int64)
        for number, timers in self._timers.items():
            if number < len(at):
                at[number] = timers.event_time
        return at[partitions]

    def due(self, most: int) -> Waiting:
        """Take out the parcels whose deadline has passed, so many at most."""
        out: Waiting = []
        for number, timers in self._timers.items():
            out += [(number, parcel) for parcel in timers.due(most - len(out))]
        return out

    def set(self, partitions: Sequence[int], parcels: Sequence[bytes], due_at: Ints) -> None:
        """Note the next deadline of each parcel."""
        timers_of = self._timers
        for number, parcel, at in zip(partitions, parcels, due_at.tolist(), strict=True):
            if at == NEVER:
                timers_of[number].timers.pop(parcel, None)
            else:
                timers_of[number].set(parcel, at)

    def waits(self, number: int, parcels: Sequence[bytes]) -> NDArray[np.bool_]:
        """Which of these parcels of a partition have a deadline still to pass."""
        timers = self._timers[number].timers
        return np.array([parcel in timers for parcel in parcels], dtype=np.bool_)

    def waiting(self, partitions: Iterable[int], event_time: int) -> list[int]:
        """The partitions among these in which a timer fires once the watermark reaches `event_time`."""
        known = self._timers.keys() & set(partitions)
        return sorted(number for number in known if self._timers[number].waits(event_time))

    @property
    def behind(self) -> bool:
        """Parcels are due that have not been taken out yet."""
        return any(timers.waits(timers.event_time) for timers in self._timers.values())

    @property
    def partitions(self) -> list[int]:
        """Partitions of which something is known."""
        return list(self._timers)

    def __len__(self) -> int:
        return sum(len(timers.timers) for timers in self._timers.values())

    def open(self, timers_of: dict[int, PartitionTimers]) -> None:
        """Take partitions over."""
        self._timers.update(timers_of)

    def close(self) -> None:
        """Forget all partitions."""
        self._timers.clear()


def restore_timers(
    pieces: Iterable[Sequence[tuple[bytes, bytes]]],
    now_ms: int,
    *,
    home: tuple[str, ...],
    wanted: frozenset[str],
    cancelled: Callable[[], bool] = lambda: False,
) -> PartitionTimers:
    """The calendar of a partition from its dossiers, (parcel, value), some thousands at a time; now_ms: the clock.

    Event time has come to the newest event that is kept.
    """
    timers = PartitionTimers()
    for piece in pieces:
        if cancelled():
            break
        parcels, values = zip(*piece, strict=True)
        size = HEAD.itemsize
        heads = np.frombuffer(b"".join([value[:size] for value in values]), dtype=HEAD)
        starts = size + heads["versions"].astype(np.int64) * VERSION.itemsize
        ends = starts + heads["movements"].astype(np.int64) * MOVEMENT.itemsize
        movements = [value[start:end] for value, start, end in zip(values, starts.tolist(), ends.tolist(), strict=True)]
        journeys = Journeys(heads, movements, np.zeros(len(heads), dtype=np.int64), home=home, wanted=wanted)
        timers.see(journeys.newest, now_ms)
        due_at = journeys.due_at
        for row in np.flatnonzero(due_at != NEVER).tolist():
            timers.set(parcels[row], int(due_at[row]))
    return timers
