"""The inputs of a worker besides events: reference data and rules. They change between two steps and start sweeps."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from schemas import topics
from schemas.records import Reject
from streams.flow.batches import Batch
from streams.flow.pipeline import refused
from streams.flow.reference import EMPTY, Reference
from streams.flow.reference.reading import Reader
from streams.flow.rejudge import Sweeper, Swept
from streams.kafka.global_table import GlobalTable
from streams.worker.host import Host
from streams.worker.rules import RulesInput

_log = logging.getLogger(__name__)
_REJECTS_MAX = 10_000


class Records:
    """The records of `waybill.reference`, for a global table."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rejects: list[Reject] = []

    def add(self, batch: Batch) -> None:
        """Add records in their order, each with its key."""
        self._rejects += [refused(batch, bad) for bad in self._reader.add(batch.values, batch.offsets, batch.keys)]
        del self._rejects[:-_REJECTS_MAX]

    def build(self) -> tuple[Reference, tuple[Reject, ...]]:
        """The reference data, and the records that could not be read."""
        return self._reader.build(), tuple(self._rejects)


class Inputs:
    """Follows both topics for one worker, and sweeps its partitions when one changes."""

    def __init__(self, worker: Host, config: Mapping[str, object]) -> None:
        """config: of its Kafka clients."""
        self.sweeper = Sweeper(worker.parcels, rules=worker.settings.rejudge == "sweep")
        self.rules = RulesInput(worker, config)
        self._worker = worker
        records = Records(worker.parcels.reference_reader())
        first: tuple[Reference, tuple[Reject, ...]] = (EMPTY, ())
        self._table = GlobalTable(config, topics.REFERENCE, records, first)
        self._news = asyncio.Event()  # there may be something to sweep

    def start(self) -> None:
        """Start to follow."""
        loop = asyncio.get_running_loop()

        def changed() -> None:
            _call(loop, self._news.set)

        def failed(error: BaseException) -> None:
            _call(loop, self._worker.fail, error)

        self._table.start(changed, failed)
        self.rules.start(changed, failed)
        self._news.set()

    def catch_up(self, cancelled: Callable[[], bool], timeout_s: float) -> None:
        """Wait until everything on the topics now has been read. Call it on another thread. Raises FollowError."""
        self._table.catch_up(cancelled, timeout_s)
        self.rules.catch_up(cancelled, timeout_s)

    def begin(self, partitions: Iterable[int]) -> None:
        """Take over these partitions, before the first step on them; none: all are given back."""
        self._exchange()
        self.sweeper.begin(sorted(partitions))
        self._news.set()

    async def run(self) -> None:
        """Judge again, slice by slice, whenever reference data, rules or partitions have changed."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while await self.sweep():
                    await asyncio.sleep(0)
        finally:
            self._table.stop()
            self.rules.stop()

    async def sweep(self) -> bool:
        """Apply changes, and sweep one slice. Returns whether there may be more."""
        worker = self._worker
        async with worker.step([]) as step:
            if not worker.ready:  # a worker without partitions also applies and acknowledges rules
                if not worker.assigned:
                    self.rules.exchange()
                return False
            if self.rules.exchange():
                self.sweeper.begin(self._numbers())
            self._exchange()
            swept = await worker.run(self.sweeper.step, int(time.time() * 1000))
            if swept is None:
                return False
            step.passed(swept.judged, swept.rows)
            self._count(swept)
            return True

    def _exchange(self) -> None:
        """Judge by the newest reference data from now on. Call it between two steps."""
        parcels = self._worker.parcels
        reference, rejects = self._table.latest
        if reference is not parcels.reference:
            parcels.reference, self.sweeper.rejects = reference, rejects
            self.sweeper.begin(self._numbers())
            for kind, count in reference.sizes.items():
                self._worker.metrics.reference_records.labels(kind).set(count)
                self._worker.metrics.reference_silent.labels(kind).set(kind in reference.silent)
            for fault in reference.faults():
                _log.error("%s: %s", topics.REFERENCE, fault)

    def _numbers(self) -> list[int]:
        """The partitions that this worker holds."""
        return sorted({number for _, number in self._worker.assigned})

    def _count(self, swept: Swept) -> None:
        self._worker.metrics.swept_parcels.inc(swept.rows)
        self._worker.metrics.sweeps.inc(swept.done)


def _call(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object) -> None:
    """Call on the event loop from another thread; ignored after the loop has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *args)
