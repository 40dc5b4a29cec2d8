"""The worker's parts apart from Faust: states, the open epoch, commits, rebalances.

Steps run one at a time on a thread of their own, commits on another: while an epoch is committed the next one already
grows. An epoch is closed between two steps, so it holds whole batches only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from rules import Catalogue
from schemas import topics
from streams.flow.batches import Batch
from streams.flow.describe.describer import Describer
from streams.flow.flood import Flood
from streams.flow.pipeline import Histories, Parcels
from streams.flow.time.expiry import Retention
from streams.flow.time.timers import PartitionTimers
from streams.kafka.config import client, membership, producing, slot
from streams.kafka.restore import restore
from streams.kafka.rights import WORKER_TOPICS
from streams.kafka.transport.broker import Broker
from streams.kafka.transport.consumer import Consumer, Link
from streams.kafka.transport.grouping import Partition
from streams.metrics import Metrics
from streams.settings import Settings
from streams.state.rocks import RocksStore
from streams.state.store import whole
from streams.state.tuning import Shared
from streams.worker.backoff import Backoff
from streams.worker.commit import AbortedError, CommitError, Committer
from streams.worker.epoch import Epoch, EpochStep
from streams.worker.inputs import Inputs
from streams.worker.warmup import warm

log = logging.getLogger(__name__)
T = TypeVar("T")

_NO_GENERATION = -1


class Worker:
    """One worker's states and epochs."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.settings = settings
        self.metrics = Metrics()
        folder = settings.state_dir / settings.group / settings.instance
        cache = Shared.of(settings.state_cache_mb, settings.state_buffers_mb)
        hot = settings.hot_bytes_max // (2 * settings.partitions)
        self._stores = {
            topics.PARCELS_CHANGELOG: RocksStore("parcels", folder, cache, hot_bytes_max=hot),
            topics.HISTORIES_CHANGELOG: RocksStore("histories", folder, cache, hot_bytes_max=hot),
        }
        rows_max = settings.observations_per_bucket_max
        self.histories = Histories(self._stores[topics.HISTORIES_CHANGELOG], bucket_rows_max=rows_max)
        self.parcels = Parcels(
            self._stores[topics.PARCELS_CHANGELOG],
            catalogue,
            Describer.of(settings, catalogue.columns),
            self.histories,
            partitions=settings.partitions,
            emit_from=settings.emit_from,
            event_bytes_max=settings.event_bytes_max,
            flood=Flood.of(settings),
            kept=Retention.of(settings),
            settle_ms=int(settings.settle_s * 1000),
        )
        self.metrics.native.set(self.parcels.front.native)
        self.reference = Inputs(self)
        self.broker = Broker(client(settings), WORKER_TOPICS, settings.partitions)
        self._committer: Committer | None = None
        self._prepared: asyncio.Future[Any] | None = None
        self._consumer: Consumer | None = None
        self._epoch = Epoch()
        self._filled = asyncio.Event()
        self._started = asyncio.Event()
        self._stepping = asyncio.Lock()
        self._committing = asyncio.Lock()
        self._steps = ThreadPoolExecutor(1, thread_name_prefix="step")
        self._effects = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._generation = _NO_GENERATION
        self.assigned: frozenset[Partition] = frozenset()
        self.waits_for = "partitions: joining the group"  # why it is not ready, for people
        self.commits = 0
        self.committed: dict[Partition, int] = {}  # next to read, of what was committed under this assignment
        self.read: dict[Partition, int] = {}  # next to read, of what steps have read; a new dict for each assignment
        self.arrived_at: dict[int, float] = {}  # when a partition brought an event last, by the monotonic clock
        self._restoring: asyncio.Task[None] | None = None
        self._cancelled = False
        self._commit_s = _COMMIT_TIMEOUTS * settings.transaction_timeout_ms / 1000
        self._broken = False  # a step was cut short: nothing may be committed any more
        self._aborted = False  # an epoch was: nothing may be committed before its input is read again
        self._backoff = Backoff(settings.give_up_after_ms / 1000)

    @property
    def ready(self) -> bool:
        """Assigned, and caught up with the changelog."""
        return self._generation != _NO_GENERATION

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Entries (estimated) and bytes on disk by store; for when the worker is ready."""
        return {store.name: store.sizes() for store in self._stores.values()}

    # Steps

    async def run(self, step: Callable[..., T], *args: object) -> T:
        """Run a step off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._steps, step, *args)

    @contextlib.asynccontextmanager
    async def step(self, batches: Sequence[Batch]) -> AsyncIterator[EpochStep]:
        """The open epoch, for one step over these batches. Those of an earlier assignment are left out."""
        await self._room()
        async with self._stepping:
            fresh = [batch for batch in batches if batch.generation == self._generation]
            step = EpochStep(self._epoch, self.metrics, fresh)
            try:
                yield step
            except BaseException:
                # Failed, or cancelled while its thread goes on: state has changed, and what follows from it is lost.
                self._broken = True
                raise
            if step.fresh:
                self.arrived_at |= dict.fromkeys(step.sources, time.monotonic())
                self._epoch.read(step.fresh)
                self.read |= {(batch.topic, batch.partition): batch.offsets[-1] + 1 for batch in step.fresh}
                for batch in step.fresh:
                    self.metrics.events.labels(batch.topic).inc(len(batch.values))
                self.metrics.batch_rows.observe(sum(len(batch.values) for batch in step.fresh))
            self.metrics.waiting.set(len(self.parcels.timers))
            self.reference.rules.tell_held()
            if step.fresh or self._epoch.timed:
                self._filled.set()

    async def _room(self) -> None:
        """Wait while commits lag behind steps by more than a few batches; not for those that will never come."""
        while self.ready and self._epoch.rows > _EPOCH_BATCHES_MAX * self.settings.batch_rows_max:
            await asyncio.sleep(0.005)

    # Commits

    async def commit_loop(self) -> None:
        """Commit whatever is done, one epoch after the other; under load at most every `epoch_ms_max`."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            wait = self._epoch.opened_at + self.settings.epoch_ms_max / 1000 - time.monotonic()
            if wait > 0 and self._consumer is not None and not self._consumer.idle:
                await asyncio.sleep(wait)
            try:
                await self._commit()
            except AbortedError as error:
                await self._read_again(error)

    async def keep_up(self) -> None:
        """Commit where idle partitions end; for when the worker is ready."""
        assert self._consumer is not None
        generation, known = self._generation, dict(self.committed)
        ends = await self._consumer.passed(known)
        async with self._committing, self._stepping:
            if self._generation != generation or self._epoch.offsets or self._epoch.timed:
                return
            if ends := {place: end for place, end in ends.items() if self.committed.get(place) == known.get(place)}:
                self._epoch.stand_at(ends)
                self._filled.set()

    async def _read_again(self, error: AbortedError) -> None:
        """Begin anew at the committed offsets, after a while."""
        wait = self._backoff.after(error)
        log.warning("%s; aborted, and read again in %.1f s", error, wait)
        await asyncio.sleep(wait)
        if self._aborted and self._consumer is not None:  # else a rebalance has done it meanwhile
            self._consumer.read_again()

    async def _commit(self) -> None:
        async with self._committing:
            async with self._stepping:
                if self._broken or self._aborted or not (self._epoch.offsets or self._epoch.timed):
                    return
                assert self._consumer is not None
                epoch, self._epoch = self._epoch, Epoch()
                if not epoch.offsets:  # of time alone; without any offset nobody would ask who owns the partitions
                    epoch.offsets = dict(self.committed or self._consumer.starts)
                deltas = {topic: store.close_epoch() for topic, store in self._stores.items()}
            assert self._committer is not None
            started = time.monotonic()
            committing = asyncio.get_running_loop().run_in_executor(
                self._effects, self._committer.commit, epoch, deltas, self._consumer.group_metadata
            )
            try:
                await asyncio.wait_for(committing, self._commit_s)
            except TimeoutError:  # sending offsets heeds no time-out while the coordinator is away: librdkafka#5456
                self._broken = True
                raise CommitError(f"a commit has not returned after {self._commit_s:.0f} s") from None
            except AbortedError:
                self._aborted, self._generation = True, _NO_GENERATION
                self.waits_for = "its input: a transaction failed, and is read again"
                self.metrics.aborts.inc()
                raise
            self.commits += 1
            self._backoff.renew()
            self.committed.update(epoch.offsets)
            self.metrics.commit_seconds.observe(time.monotonic() - started)
            for since in epoch.alerted_since:
                if since > 0:  # the broker gave it a time
                    self.metrics.alert_latency.observe(max(time.time() - since / 1000, 0.0))
            self.metrics.epoch_seconds.observe(time.monotonic() - epoch.opened_at)

    # Rebalances

    def link(self) -> Link:
        """What the transport needs; see `streams.kafka.transport`."""
        settings = self.settings
        return Link(
            config={**client(settings), **membership(settings)},
            partitions=settings.partitions,
            rows_max=settings.batch_rows_max,
            timeout_s=settings.fetch_timeout_ms / 1000,
            waiting_rows_max=2 * settings.batch_rows_max,
            read_ahead=self.parcels.read_ahead,
            # A commit may be under way, which has to fail and be aborted first; heartbeats go on meanwhile.
            rebalance_timeout_s=2 * settings.transaction_timeout_ms / 1000,
            before_revoke=self._before_revoke,
            after_assign=self._after_assign,
        )

    def prepare(self) -> None:
        """While the group is joined: abort what an earlier worker of this slot left open, and read word lists."""
        settings, loop = self.settings, asyncio.get_running_loop()
        self._committer = Committer({**client(settings), **producing(settings)}, slot(settings), self._stores)
        self._prepared = asyncio.gather(
            loop.run_in_executor(self._effects, self._committer.start),
            loop.run_in_executor(self._steps, warm, settings, self.parcels.catalogue),
        )

    async def start(self, consumer: Consumer) -> None:
        """Follow what concerns all partitions, and let those be restored that were assigned."""
        self._consumer = consumer
        self.reference.start(client(self.settings), consumer)
        assert self._prepared is not None
        await self._prepared
        self._started.set()

    async def _before_revoke(self, lost: bool) -> None:
        self._cancelled = True
        if self._restoring is not None:
            if not self._started.is_set():  # and never will be, where the worker is stopped while it starts
                self._restoring.cancel()
            await asyncio.gather(self._restoring, return_exceptions=True)  # `_restored` tells of its error
        self._generation = _NO_GENERATION
        if not lost:
            try:
                await self._commit()
            except AbortedError as error:
                log.warning("%s; aborted, and left to whoever has the partitions next", error)
        async with self._committing, self._stepping:
            await self._drain()
            self._epoch = Epoch()
            for store in self._stores.values():
                store.close_all()
            self.reference.begin(())
            self.parcels.close()
            self.read, self.arrived_at = {}, {}
        self.assigned = frozenset()
        self.committed.clear()
        self.waits_for = "partitions: a rebalance is under way"
        self.metrics.assigned_partitions.set(0)
        self.metrics.worker_state.state("starting")
        if not self._aborted:
            log.info("gave its partitions back%s", ", too late to commit" if lost else "")
        self._aborted = False

    async def _drain(self) -> None:
        """Wait for both threads: a task that was cancelled leaves its thread at work."""
        for threads in (self._steps, self._effects):
            await asyncio.get_running_loop().run_in_executor(threads, int)

    def _after_assign(self, partitions: set[Partition], generation: int) -> None:
        self.metrics.rebalances.inc()
        self.metrics.assigned_partitions.set(len(partitions))
        self.assigned = frozenset(partitions)
        self._cancelled = False
        self._restoring = asyncio.get_running_loop().create_task(self._restore(partitions, generation))
        self._restoring.add_done_callback(self._restored)

    async def _restore(self, partitions: set[Partition], generation: int) -> None:
        numbers = {number for _, number in partitions}
        if not numbers:
            self.waits_for = "partitions: there are more workers than partitions"
            log.warning("no partitions assigned: more workers than partitions")
            return
        self.waits_for = "its state: reading the changelog"
        await self._started.wait()
        self.metrics.worker_state.state("restoring")
        started = time.monotonic()
        timeout_s = _BROKER_AWAY_S + 2 * self.settings.transaction_timeout_ms / 1000
        loop = asyncio.get_running_loop()

        def cancelled() -> bool:
            return self._cancelled

        following = loop.run_in_executor(None, self.reference.catch_up, cancelled, timeout_s)
        resumed = {} if self.settings.accept_lost_state or self._consumer is None else self._consumer.resumed
        reading = partial(restore, client(self.settings), self._stores, numbers, cancelled, timeout_s, resumed)
        records = await loop.run_in_executor(self._effects, reading)
        self.waits_for = "reference data and rules: reading the topics"
        await following
        if self._cancelled or self._consumer is None:
            return
        await self.reference.rules.take_over()
        timers_of = await loop.run_in_executor(self._effects, self._restore_timers, numbers)
        if self._cancelled:
            return
        async with self._stepping:
            self.parcels.timers.open(timers_of)
            self.parcels.co_located = frozenset(numbers)
            self.arrived_at = dict.fromkeys(numbers, time.monotonic())
            self.reference.begin(numbers)
        self.metrics.restored_records.inc(records)
        seconds = time.monotonic() - started
        log.info("state of %s partitions is there: %s records in %.1f s", len(numbers), f"{records:,}", seconds)
        self._generation = generation
        self._consumer.release()
        self.metrics.worker_state.state("running")

    def _restore_timers(self, numbers: set[int]) -> dict[int, PartitionTimers]:
        """What the parcels of these partitions wait for."""
        store = self._stores[topics.PARCELS_CHANGELOG]
        return {
            number: self.parcels.restore_timers(whole(store, number, _SCAN_ROWS), lambda: self._cancelled)
            for number in sorted(numbers)
        }

    def _restored(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and self._consumer is not None:
            self._consumer.fail(error)


_EPOCH_BATCHES_MAX, _SCAN_ROWS = 4, 10_000
_COMMIT_TIMEOUTS = 4  # `Committer.commit` gives up by itself after fewer time-outs of the transaction than these
_BROKER_AWAY_S = 60.0  # that a restore sits out
