"""Expiry, a slice at a time between other steps, so that state stays bounded.

It goes by event time: where nothing comes nothing is forgotten, however long that lasts, and a replay of old events has
all the time that live ones had. And it goes by what event time was a while ago by the clock: so much time has a replay
to bring events of weeks in any order.
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


async def forget(worker: Host, lag: Lag) -> None:
    """Delete what is due, for as long as the worker runs. lag: records not yet committed, given the
    offsets that are, by topic and partition."""
    elsewhere = Elsewhere(worker.settings.idle_partition_s)
    delayed = Delayed(worker.settings.forget_delay_s), Delayed(worker.settings.forget_delay_s)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        if not worker.ready:
            elsewhere.forget()
            for each in delayed:
                each.forget()
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
        for store, expire, places, since in (
            ("parcels", expiry.expire_parcels, here, delayed[0]),
            ("histories", expiry.expire_observations, [*here, *others], delayed[1]),
        ):
            until = since.then(await worker.run(expiry.watermarks.low, places))
            rows = 1
            while rows:
                async with worker.step([]) as step:
                    rows = await worker.run(expire, held, until) if worker.ready else 0
                    step.forgot(store, rows)
                    if worker.parcels.tallies is not None:
                        step.tallied(worker.parcels.tallies.take())


class Delayed:
    """A figure as it was a while ago; 0 where that is not known."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._figures: deque[tuple[float, int]] = deque()

    def then(self, figure: int) -> int:
        """What it was, `figure` being what it is."""
        now = time.monotonic()
        self._figures.append((now, figure))
        while len(self._figures) > 1 and self._figures[1][0] <= now - self._delay_s:
            self._figures.popleft()
        at, then = self._figures[0]
        return then if at <= now - self._delay_s else 0

    def forget(self) -> None:
        """Begin anew."""
        self._figures.clear()


def waiting(lags: Mapping[Source, int], held: list[int]) -> list[Source]:
    """Sources of events in these partitions of which more is to come, or of which that is not known."""
    places = [(topic, number) for topic in INPUT_TOPICS for number in held]
    return [place for place in places if lags.get(place) != 0]


class Elsewhere:
    """Partitions of other workers, known by the observations that come from there.

    How much waits there nobody here knows. One that has brought nothing for a while is not waited for.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._heard: dict[Source, tuple[int, float]] = {}

    def waiting(self, heard: Mapping[Source, int]) -> list[Source]:
        """Those of which more is to come; heard: how many observations have come from each."""
        now = time.monotonic()
        for source, count in heard.items():
            if source not in self._heard or self._heard[source][0] != count:
                self._heard[source] = (count, now)
        return [source for source in heard if now - self._heard[source][1] < self._idle_s]

    def forget(self) -> None:
        """Begin anew."""
        self._heard.clear()
