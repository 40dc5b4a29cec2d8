"""Expires state, a slice at a time between other steps, so that state stays bounded.

Expiry goes by event time: without events nothing expires, however long that lasts, and a replay of old events is judged
by the state that live events had. It uses the watermark of a while ago (setting expiry_delay_s), so a replay has that
long to bring events of weeks in any order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from streams.flow.time.watermarks import Source
from streams.worker.host import Host
from streams.worker.idle import Lag

LOOK_EVERY_S = 1.0


async def expire(worker: Host, lag: Lag) -> None:
    """Delete what is due, for as long as the worker runs.

    lag: from the committed offsets, the records that are not committed yet; both by topic and partition.
    """
    elsewhere = Elsewhere(worker.settings.idle_partition_s)
    delayed = Delayed(worker.settings.expiry_delay_s), Delayed(worker.settings.expiry_delay_s)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if not worker.ready:
            elsewhere.clear()
            for each in delayed:
                each.clear()
            continue
        lags = await lag(worker.committed)
        expiry = worker.parcels.expiry
        assert expiry is not None
        held = sorted({number for _, number in worker.assigned})
        here = waiting(lags, held)
        others = elsewhere.waiting(
            {
                (topics.OBSERVATIONS, number): expiry.watermarks.heard((topics.OBSERVATIONS, number))
                for number in range(worker.settings.partitions)
                if number not in held
            }
        )
        for store, take, places, since in (
            ("parcels", expiry.expire_parcels, here, delayed[0]),
            ("histories", expiry.expire_observations, [*here, *others], delayed[1]),
        ):
            until = since.then(await worker.run(expiry.watermarks.low, places))
            rows = 1
            while rows:
                async with worker.step([]) as step:
                    rows = await worker.run(take, held, until) if worker.ready else 0
                    step.expired(store, rows)
                    if worker.parcels.tallies is not None:
                        step.tallied(worker.parcels.tallies.take())


class Delayed:
    """A number as it was a while ago; 0 if that is not known."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._figures: deque[tuple[float, int]] = deque()

    def then(self, figure: int) -> int:
        """The number of a while ago; `figure` is the number now."""
        now = time.monotonic()
        self._figures.append((now, figure))
        while len(self._figures) > 1 and self._figures[1][0] <= now - self._delay_s:
            self._figures.popleft()
        at, then = self._figures[0]
        return then if at <= now - self._delay_s else 0

    def clear(self) -> None:
        """Start anew."""
        self._figures.clear()


def waiting(lags: Mapping[Source, int], held: list[int]) -> list[Source]:
    """Sources of events in these partitions that have more to read, or of which that is not known."""
    places = [(topic, number) for topic in INPUT_TOPICS for number in held]
    return [place for place in places if lags.get(place) != 0]


class Elsewhere:
    """Partitions of other workers, known by the observations that come from them.

    This worker cannot know how much waits there. It does not wait for a partition that has sent nothing for a while.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._heard: dict[Source, tuple[int, float]] = {}

    def waiting(self, heard: Mapping[Source, int]) -> list[Source]:
        """The sources that may still send more. heard: how many observations have come from each."""
        now = time.monotonic()
        for source, count in heard.items():
            if source not in self._heard or self._heard[source][0] != count:
                self._heard[source] = (count, now)
        return [source for source in heard if now - self._heard[source][1] < self._idle_s]

    def clear(self) -> None:
        """Start anew."""
        self._heard.clear()
