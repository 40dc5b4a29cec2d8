"""Moves the watermarks, so that absences are decided once the waiting input has been read; also in idle partitions.

Several times a second this asks the broker where the topics end. What has been read since, and what still waits, is all
that `streams.flow.time.timers` needs to move the watermarks. While no broker answers, nothing is decided.

Event time comes with the events. In an idle partition, which has been read to its end and has brought nothing for long,
it moves with the clock instead. Otherwise the last parcels of a partition would never be judged for what is missing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from schemas.inputs import INPUT_TOPICS
from streams.flow.time.timers import ReadProgress
from streams.kafka.transport.grouping import Partition
from streams.worker.host import Host

Offsets = Mapping[Partition, int]
Lag = Callable[[Offsets], Awaitable[dict[Partition, int]]]
Ends = Callable[[Collection[Partition]], Awaitable[Offsets]]
Positions = Callable[[Offsets], Awaitable[Offsets]]
LOOK_EVERY_S = 0.5
KEEP_UP_EVERY_S = 2.0


async def pass_time(worker: Host, ends: Ends, positions: Positions) -> None:
    """Move the watermarks, and judge the parcels whose timers fire, for as long as the worker runs.

    ends        where these partitions end, as the broker says now; without those for which it gives no answer
    positions   the next offset to read of each assigned partition, from what was read of them
    """
    clock, looks = Clock(), Looks(ends, positions)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        read = worker.read
        if not worker.ready or not await worker.run(len, worker.parcels.timers):
            looks.clear()
            clock.skip()
            continue
        progress = await looks.look(read, worker.assigned, idle(worker), clock.now())
        if not progress:
            clock.skip()
            continue
        behind = True
        while behind:
            async with worker.step([]) as step:
                behind = False
                if worker.ready and worker.read is read:  # no rebalance since
                    judged = await worker.run(worker.parcels.settle, progress, clock.now(), int(time.time() * 1000))
                    step.judged(judged)
                    progress, behind = {}, judged.behind


async def keep_up(worker: Host) -> None:
    """Commit the end offsets of idle partitions, if only transaction markers lie before them.

    The broker deletes these markers together with their records. A group with an offset before them would be told that
    something was deleted before it was read.
    """
    while True:
        await asyncio.sleep(KEEP_UP_EVERY_S)
        if worker.ready:
            await worker.keep_up()


def idle(worker: Host) -> frozenset[int]:
    """Partitions that have brought nothing for `idle_partition_s`."""
    since = time.monotonic() - worker.settings.idle_partition_s
    return frozenset(number for number, at in worker.arrived_at.items() if at <= since)


class Clock:
    """Milliseconds for which the worker has been in contact with the broker.

    It stands still while the process is stopped and while no broker answers, because events of that time are still to
    come.
    """

    def __init__(self) -> None:
        self._ms = 0.0
        self._last = time.monotonic()

    def now(self) -> int:
        """The milliseconds so far."""
        self._ms += min(time.monotonic() - self._last, _STEP_S_MAX) * 1000
        self._last = time.monotonic()
        return int(self._ms)

    def skip(self) -> None:
        """Leave out the time since the last call."""
        self._last = time.monotonic()


_STEP_S_MAX = 2.0


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where the input topics of a partition ended, and when the broker was asked."""

    as_of: int
    at: Mapping[str, int]


class Looks:
    """How far partitions have been read, from one look at the broker to the next."""

    def __init__(self, ends: Ends, positions: Positions) -> None:
        self._ends, self._positions = ends, positions
        self._reading_up_to: dict[int, _Ends] = {}  # ends that are not reached yet, by partition
        self._read_through: dict[int, int] = {}

    async def look(
        self, read: Offsets, assigned: Collection[Partition], idle: Collection[int], now_ms: int
    ) -> dict[int, ReadProgress]:
        """The progress of each partition for which the broker gives the ends of all topics.

        read: the next offset of each partition of which anything was read. assigned: partitions that are held. idle:
        those of them that are idle. now_ms: the clock by which progress is measured.
        """
        inputs = [place for place in assigned if place[0] in INPUT_TOPICS]
        ends = await self._ends(inputs)
        positions = await self._positions(read)
        found = {}
        for number in {number for _, number in inputs}:
            places = {topic: (topic, number) for topic in INPUT_TOPICS}
            if all(place in ends and place in positions for place in places.values()):
                at = {topic: positions[place] for topic, place in places.items()}
                told = _Ends(now_ms, {topic: ends[place] for topic, place in places.items()})
                lagging = _before(at, told)
                through = self._read(number, at, told, bool(lagging))
                found[number] = ReadProgress(now_ms, lagging, through, number in idle)
        return found

    def _read(self, number: int, at: Mapping[str, int], told: _Ends, lagging: bool) -> int:
        """The time up to which everything in a partition is read; `_NEVER` if it never was read to its end."""
        target = self._reading_up_to.get(number, told)
        if not lagging:
            self._read_through[number] = told.as_of
            self._reading_up_to.pop(number, None)
        elif not _before(at, target):
            self._read_through[number] = target.as_of
            self._reading_up_to[number] = told
        else:
            self._reading_up_to[number] = target
        return self._read_through.get(number, _NEVER)

    def clear(self) -> None:
        """Start anew: the partitions may have changed."""
        self._reading_up_to.clear()
        self._read_through.clear()


_NEVER = -(10**9)


def _before(at: Mapping[str, int], ends: _Ends) -> tuple[str, ...]:
    """Topics that have not been read to these ends."""
    return tuple(topic for topic, end in ends.at.items() if at[topic] < end)
