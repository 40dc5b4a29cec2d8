"""A worker's reference data: followed on a thread of their own, exchanged between two steps, and swept with."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from streams.reference.follow import Follower
from streams.sweep import Sweeper, Swept
from streams.transport.consumer import Consumer

if TYPE_CHECKING:
    from streams.work import Work


class Keeper:
    """Follows the topic for one `Work`, and sweeps its partitions when there is something new."""

    def __init__(self, work: Work) -> None:
        self.sweeper = Sweeper(work.parcels)
        self._work = work
        self._follower: Follower | None = None
        self._news = asyncio.Event()  # there may be something to sweep

    def start(self, config: Mapping[str, object], consumer: Consumer) -> None:
        """Begin to follow. config: librdkafka's; consumer: whom to tell that it cannot be gone on with."""
        loop = asyncio.get_running_loop()
        self._follower = Follower(
            config,
            self._work.parcels.reference_reader(),
            changed=lambda: _call(loop, self._news.set),
            failed=lambda error: _call(loop, consumer.fail, error),
        )
        self._follower.start()

    def catch_up(self, cancelled: Callable[[], bool], patience_s: float) -> None:
        """Wait, on another thread, until all that is on the topic now is known. Raises FollowError."""
        if self._follower is not None:
            self._follower.catch_up(cancelled, patience_s)

    def begin(self, partitions: Iterable[int]) -> None:
        """These partitions are taken over, before the first step on them; none: all are given back."""
        self._exchange()
        self.sweeper.begin(sorted(partitions))
        self._news.set()

    async def run(self) -> None:
        """Whenever reference data have changed, or partitions were taken over: judge again, slice by slice."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while await self.sweep():
                    await asyncio.sleep(0)
        finally:
            if self._follower is not None:
                self._follower.stop()

    async def sweep(self) -> bool:
        """Take over what is new, and sweep one slice; whether there may be more."""
        work = self._work
        async with work.epoch([]) as turn:
            if not work.ready:
                return False
            self._exchange()
            swept = await work.run(self.sweeper.step, int(time.time() * 1000))
            if swept is None:
                return False
            turn.passed(swept.judged, swept.rows)
            self._count(swept)
            return True

    def _exchange(self) -> None:
        """Judge by the newest reference data from now on. Between two steps."""
        parcels = self._work.parcels
        reference, rejects = self._follower.latest if self._follower else (parcels.reference, ())
        if reference is not parcels.reference:
            parcels.reference, self.sweeper.rejects = reference, rejects
            self.sweeper.begin(sorted({number for _, number in self._work.assigned}))
            for kind, count in reference.sizes.items():
                self._work.metrics.reference_records.labels(kind).set(count)

    def _count(self, swept: Swept) -> None:
        self._work.metrics.swept_parcels.inc(swept.rows)
        self._work.metrics.sweeps.inc(swept.done)


def _call(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object) -> None:
    """Call on the event loop, from another thread; not any more once the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)
