"""Time that passes while nothing comes: deadlines are met in partitions that are idle, too.

Event time comes with the events. In a partition that has been read to its end and brings nothing for long enough it
moves with the clock instead, or what is missing from its last parcels would never be said.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from streams.flow import sources
from streams.kafka.transport.poller import Partition
from streams.worker.host import Host

Lag = Callable[[Mapping[Partition, int]], Awaitable[dict[Partition, int]]]
LOOK_EVERY_S = 1.0
KEEP_UP_EVERY_S = 2.0


async def pass_time(worker: Host, lag: Lag) -> None:
    """Judge parcels whose deadline has passed, with no batch to go with; those too, that were too many for theirs.

    lag: records not yet committed, given the offsets that are, by topic and partition.
    """
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        idle = await _idle(worker, lag)
        behind = True
        while behind:
            async with worker.step([]) as step:
                behind = False
                if worker.ready:
                    judged = await worker.run(worker.parcels.let_pass, idle, _now_ms())
                    step.judged(judged)
                    behind = judged.behind


async def keep_up(worker: Host) -> None:
    """Commit where idle partitions end, when only marks of transactions lie before that.

    The broker deletes those with the records that they belong to; a group that still stood before them would be told
    that something was deleted before it was read.
    """
    while True:
        await asyncio.sleep(KEEP_UP_EVERY_S)
        if worker.ready:
            await worker.keep_up()


async def _idle(worker: Host, lag: Lag) -> list[int]:
    """Partitions that are idle, of those in which the clock would let a deadline pass."""
    since = time.monotonic() - worker.settings.idle_partition_s
    quiet = [number for number, at in worker.arrived_at.items() if at <= since]
    if not quiet:
        return []
    waiting = await worker.run(worker.parcels.timers.waiting, quiet, _now_ms())
    lags = await lag(worker.committed) if waiting else {}
    return [number for number in waiting if all(lags.get((topic, number)) == 0 for topic in sources.TOPICS)]


def _now_ms() -> int:
    return int(time.time() * 1000)
