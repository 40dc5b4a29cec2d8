"""Tallies are published from time to time, some at a time between other steps, in the epochs that these belong to."""

from __future__ import annotations

import asyncio
import time

from streams.worker.host import Host

LOOK_EVERY_S = 1.0


async def publish(worker: Host) -> None:
    """Publish the tallies that have changed, for as long as the worker runs."""
    tallies = worker.parcels.tallies
    while tallies is not None:
        await asyncio.sleep(LOOK_EVERY_S)
        more = True
        while more:
            async with worker.step([]) as step:
                if not worker.ready:
                    break
                step.tallied(await worker.run(tallies.publish, int(time.monotonic() * 1000)))
                more = tallies.more


async def publish_rest(worker: Host) -> None:
    """Publish all tallies that have changed, in the last epoch before the partitions are given back."""
    if worker.parcels.tallies is not None:
        async with worker.step([]) as step:
            step.tallied(await worker.run(worker.parcels.tallies.flush))
