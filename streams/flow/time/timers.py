"""Deadlines: how far event time has come in each partition, and which parcels wait for it to come further.

Held in memory, one entry per parcel with something to wait for: its next deadline. A partition that is opened anew is
read once to find them again (`recall`). Event time is what comes with the events. Only where none come may it be moved
by the clock (`let_pass`).
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
class Calendar:
    """One partition: event time, and the next deadline of each parcel that has one, epoch ms."""

    event_time: int = 0
    newest: int = 0  # that was seen, even if the clock has not come there yet
    deadlines: dict[bytes, int] = field(default_factory=dict)
    # Entries are not taken out when a deadline moves or goes; they are passed over when they come up.
    queue: list[tuple[int, bytes]] = field(default_factory=list)

    def see(self, at: int, now_ms: int) -> None:
        """Let event time come to an event, as far as the clock lets it."""
        self.newest = max(self.newest, at)
        self.event_time = max(self.event_time, min(self.newest, now_ms + AHEAD_MS_MAX))

    def set(self, parcel: bytes, at: int) -> None:
        """Note the next deadline of a parcel."""
        if self.deadlines.get(parcel) == at:
            return
        self.deadlines[parcel] = at
        heapq.heappush(self.queue, (at, parcel))
        if len(self.queue) > _SLACK * len(self.deadlines) + _SLACK_ROWS:
            self.queue = [(at, parcel) for parcel, at in self.deadlines.items()]
            heapq.heapify(self.queue)

    def waits(self, event_time: int) -> bool:
        """A deadline would pass, came event time to `event_time`, if it has not moved meanwhile."""
        return bool(self.queue) and self.queue[0][0] < event_time

    def due(self, most: int) -> list[bytes]:
        """Take out the parcels whose deadline has passed, earliest first, so many at most."""
        out: list[bytes] = []
        queue, deadlines = self.queue, self.deadlines
        while queue and queue[0][0] < self.event_time and len(out) < most:
            at, parcel = heapq.heappop(queue)
            if deadlines.get(parcel) == at:
                del deadlines[parcel]
                out.append(parcel)
        return out


_SLACK, _SLACK_ROWS = 4, 10_000  # how much longer than its parcels a queue may be


class Deadlines:
    """The calendars of the partitions in hand."""

    def __init__(self) -> None:
        self._calendars: defaultdict[int, Calendar] = defaultdict(Calendar)

    def advance(self, partitions: Sequence[int], at: Ints, now_ms: int) -> None:
        """Let event time come to the newest of these events; now_ms: the clock."""
        if len(at) == 0:
            return
        numbers = np.array(partitions, dtype=np.int64)
        newest = np.zeros(int(numbers.max()) + 1, dtype=np.int64)
        np.maximum.at(newest, numbers, at)
        for number in np.flatnonzero(newest).tolist():
            self._calendars[number].see(int(newest[number]), now_ms)

    def let_pass(self, partitions: Iterable[int], now_ms: int) -> None:
        """Let event time come to the clock where nothing comes, elsewhere to what was seen and lay ahead of it."""
        idle = set(partitions)
        for number, calendar in self._calendars.items():
            calendar.see(now_ms if number in idle else 0, now_ms)

    def event_time(self, partitions: NDArray[np.uint16]) -> Ints:
        """How far event time has come in each of these."""
        at = np.zeros(int(partitions.max(initial=0)) + 1, dtype=np.int64)
        for number, calendar in self._calendars.items():
            if number < len(at):
                at[number] = calendar.event_time
        return at[partitions]

    def due(self, most: int) -> Waiting:
        """Take out the parcels whose deadline has passed, so many at most."""
        out: Waiting = []
        for number, calendar in self._calendars.items():
            out += [(number, parcel) for parcel in calendar.due(most - len(out))]
        return out

    def set(self, partitions: Sequence[int], parcels: Sequence[bytes], due_at: Ints) -> None:
        """Note the next deadline of each parcel."""
        calendars = self._calendars
        for number, parcel, at in zip(partitions, parcels, due_at.tolist(), strict=True):
            if at == NEVER:
                calendars[number].deadlines.pop(parcel, None)
            else:
                calendars[number].set(parcel, at)

    def waits(self, number: int, parcels: Sequence[bytes]) -> NDArray[np.bool_]:
        """Which of these parcels of a partition have a deadline still to pass."""
        deadlines = self._calendars[number].deadlines
        return np.array([parcel in deadlines for parcel in parcels], dtype=np.bool_)

    def waiting(self, partitions: Iterable[int], event_time: int) -> list[int]:
        """Those of these partitions in which a parcel would be due, came event time to `event_time`."""
        known = self._calendars.keys() & set(partitions)
        return sorted(number for number in known if self._calendars[number].waits(event_time))

    @property
    def behind(self) -> bool:
        """Parcels are due that have not been taken out yet."""
        return any(calendar.waits(calendar.event_time) for calendar in self._calendars.values())

    @property
    def partitions(self) -> list[int]:
        """Partitions of which something is known."""
        return list(self._calendars)

    def __len__(self) -> int:
        return sum(len(calendar.deadlines) for calendar in self._calendars.values())

    def open(self, calendars: dict[int, Calendar]) -> None:
        """Take partitions over."""
        self._calendars.update(calendars)

    def close(self) -> None:
        """Forget all partitions."""
        self._calendars.clear()


def recall(
    pieces: Iterable[Sequence[tuple[bytes, bytes]]],
    now_ms: int,
    *,
    home: tuple[str, ...],
    wanted: frozenset[str],
    cancelled: Callable[[], bool] = lambda: False,
) -> Calendar:
    """The calendar of a partition from its dossiers, (parcel, value), some thousands at a time; now_ms: the clock.

    Event time has come to the newest event that is kept.
    """
    calendar = Calendar()
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
        calendar.see(journeys.newest, now_ms)
        due_at = journeys.due_at
        for row in np.flatnonzero(due_at != NEVER).tolist():
            calendar.set(parcels[row], int(due_at[row]))
    return calendar
