"""The parts of a worker without Faust: states, the open epoch, commits, rebalances.

Steps run one at a time on their own thread, commits on another. While one epoch is committed, the next one grows. An
epoch is closed between two steps, so it always holds whole batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from rules import Catalogue
from schemas import topics
from streams.flow.batches import Batch
from streams.flow.time.timers import PartitionTimers
from streams.kafka.config import client
from streams.kafka.restore import restore
from streams.kafka.roles import WORKER_TOPICS
from streams.kafka.transport.broker import Broker
from streams.kafka.transport.consumer import Consumer, Link
from streams.kafka.transport.grouping import Partition
from streams.metrics import Metrics
from streams.otel import Exporter
from streams.settings import Settings
from streams.state.store import whole
from streams.worker.backoff import Backoff
from streams.worker.commit import WRITTEN_S, AbortedError, CommitError, Committer
from streams.worker.epoch import Epoch, EpochStep, grown
from streams.worker.inputs import Inputs
from streams.worker.parts import Stores, agents_of, link_of, stores_of
from streams.worker.phase import Life, Phase
from streams.worker.spans import tell
from streams.worker.tallies import publish_rest
from streams.worker.warmup import warm

log = logging.getLogger(__name__)
T = TypeVar("T")


class Worker:
    """The states and epochs of one worker."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        *,
        consumer: Callable[[], Consumer],
        committer: Callable[[Stores], Committer],
    ) -> None:
        """consumer: returns that of the transport, which Faust makes on first use. committer: makes the committer."""
        self.settings = settings
        self.stores = stores_of(settings)
        self.metrics = Metrics(states=[*Phase], stores=[store.name for store in self.stores.values()])
        self.parcels, self.histories = agents_of(settings, catalogue, self.stores)
        self._otel = Exporter("worker", settings.instance, self.metrics.spans) if settings.otel_share else None
        self.inputs = Inputs(self, client(settings))
        self.metrics.native.set(self.parcels.front.native)
        self.broker = Broker(client(settings), WORKER_TOPICS, settings.partitions)
        self._consumer = consumer
        self._committer = committer(self.stores)
        self._life = Life(self._entered)
        self._epoch = Epoch()
        self._filled, self._prepared, self._started = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stepping, self._committing = asyncio.Lock(), asyncio.Lock()
        self._steps = ThreadPoolExecutor(1, thread_name_prefix="step")
        self._effects = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._generation = 0  # of the present assignment
        self._restoring: set[asyncio.Task[None]] = set()  # one at most
        self.assigned: frozenset[Partition] = frozenset()
        self.commits = 0
        self.committed: dict[Partition, int] = {}  # offsets committed under this assignment (next to read)
        self.read: dict[Partition, int] = {}  # where steps have read to; a new dict for each assignment
        self.arrived_at: dict[int, float] = {}  # when each partition last brought an event, by the monotonic clock
        self._commit_s = _COMMIT_TIMEOUTS * settings.transaction_timeout_ms / 1000
        self._backoff = Backoff(settings.give_up_after_ms / 1000)

    @property
    def ready(self) -> bool:
        """Whether it is assigned and has caught up with the changelog."""
        return self._life.ready

    @property
    def waits_for(self) -> str:
        """Why it is not ready, as text; empty while it is."""
        return self._life.waits_for

    def _entered(self, phase: Phase) -> None:
        self.metrics.worker_state.state(phase)
        if phase is Phase.RUNNING:  # whoever sees that it is ready must see whether it holds earlier values
            for store, older in self.state_older().items():
                self.metrics.older.labels(store).set(older)

    def fail(self, error: BaseException) -> None:
        """Stop the worker: it cannot go on."""
        self._consumer().fail(error)

    def state_entries(self) -> dict[str, int]:
        """Entries by store, estimated. Only while the worker is ready."""
        return {store.name: store.entries() for store in self.stores.values()}

    def state_older(self) -> dict[str, int]:
        """Partitions by store that may hold values of an earlier format. Only while the worker is ready."""
        return {store.name: len(store.older) for store in self.stores.values()}

    def state_bytes(self) -> dict[str, int]:
        """Bytes on disk by store, also of partitions that it held once."""
        return {store.name: store.disk_bytes() for store in self.stores.values()}

    def disk_bytes(self) -> tuple[int, int]:
        """Free bytes, and all bytes, of the disk that holds the state."""
        disk = shutil.disk_usage(self.settings.state_dir)
        return disk.free, disk.total

    # Steps

    async def run(self, step: Callable[..., T], *args: object) -> T:
        """Run a step off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._steps, step, *args)

    @contextlib.asynccontextmanager
    async def step(self, batches: Sequence[Batch]) -> AsyncIterator[EpochStep]:
        """The open epoch, for one step over these batches. Those of an earlier assignment are left out."""
        await self._room()
        async with self._stepping:
            fresh = [batch for batch in batches if self.ready and batch.generation == self._generation]
            step = EpochStep(self._epoch, self.metrics, fresh)
            try:
                yield step
            except BaseException:
                # It failed, or was cancelled while its thread runs on: state has changed, and its results are lost.
                self._life.to(Phase.BROKEN)
                raise
            if step.fresh:
                self.arrived_at |= dict.fromkeys(step.sources, time.monotonic())
                self._epoch.read(step.fresh)
                self.read |= {(batch.topic, batch.partition): batch.offsets[-1] + 1 for batch in step.fresh}
                for batch in step.fresh:
                    self.metrics.events.labels(batch.topic).inc(len(batch.values))
                self.metrics.batch_rows.observe(sum(len(batch.values) for batch in step.fresh))
            self.metrics.waiting.set(len(self.parcels.timers))
            self.inputs.rules.tell_held()
            if self._epoch.filled:
                self._filled.set()

    async def _room(self) -> None:
        """Wait while commits lag behind steps by more than a few batches; not for commits that will never come."""
        while self.ready and self._epoch.rows > _EPOCH_BATCHES_MAX * self.settings.batch_rows_max:
            await asyncio.sleep(0.005)

    # Commits

    async def commit_loop(self) -> None:
        """Commit one epoch after the other: each once no input waits, under load every `epoch_ms_max`."""
        while True:
            try:
                await asyncio.wait_for(self._filled.wait(), WRITTEN_S)
            except TimeoutError:  # a folder that lags behind for days would miss deletions: Kafka forgets those
                async with self._committing:
                    await asyncio.get_running_loop().run_in_executor(self._effects, self._committer.write)
            self._filled.clear()
            await grown(lambda: self._epoch, self._filled, self._busy, self.settings.epoch_ms_max / 1000)
            try:
                await self._commit()
            except AbortedError as error:
                await self._read_again(error)

    def _busy(self) -> bool:
        return self._stepping.locked() or not self._consumer().idle

    async def keep_up(self) -> None:
        """Commit the end offsets of idle partitions. Only while the worker is ready."""
        generation, known = self._generation, dict(self.committed)
        ends = await self._consumer().passed(known)
        async with self._committing, self._stepping:
            if not self.ready or self._generation != generation or self._epoch.filled:
                return
            if ends := {place: end for place, end in ends.items() if self.committed.get(place) == known.get(place)}:
                self._epoch.stand_at(ends)
                self._filled.set()

    async def _read_again(self, error: AbortedError) -> None:
        """Start again at the committed offsets, after a wait."""
        wait = self._backoff.after(error)
        log.warning("%s; aborted, and read again in %.1f s", error, wait)
        await asyncio.sleep(wait)
        if self._life.phase is Phase.ABORTED:  # else a rebalance has already done it
            self._consumer().read_again()

    async def _commit(self) -> None:
        async with self._committing:
            async with self._stepping:
                if not self._life.may_commit or not self._epoch.filled:
                    return
                epoch, self._epoch = self._epoch, Epoch()
                if not epoch.offsets:  # without any offset the broker would not check the owner
                    epoch.offsets = dict(self.committed or self._consumer().starts)
                deltas = {topic: store.close_epoch() for topic, store in self.stores.items()}
            started, consumer = time.monotonic(), self._consumer()
            committing = asyncio.get_running_loop().run_in_executor(
                self._effects, self._committer.commit, epoch, deltas, consumer.group_metadata, consumer.topic_ids
            )
            try:
                await asyncio.wait_for(committing, self._commit_s)
            except TimeoutError:  # sending offsets ignores its time-out while the coordinator is away: librdkafka#5456
                self._life.to(Phase.BROKEN)
                raise CommitError(f"a commit has not returned after {self._commit_s:.0f} s") from None
            except AbortedError:
                self._life.to(Phase.ABORTED)
                self.metrics.aborts.inc()
                raise
            self.commits += 1
            self._backoff.renew()
            self.committed.update(epoch.offsets)
            epoch.committed(self.metrics, time.monotonic() - started)
            if self._otel is not None:
                tell(epoch.told, time.monotonic() - started, self._otel.send)

    # Rebalances

    def link(self) -> Link:
        """What the transport needs from the worker; see `streams.kafka.transport`."""
        return link_of(self.settings, self.parcels.read_ahead, self._before_revoke, self._after_assign)

    async def prepare(self) -> None:
        """While the group is joined: abort an earlier worker's transaction; load word lists before the first step."""
        loop = asyncio.get_running_loop()
        starting = loop.run_in_executor(self._effects, self._committer.start)
        warming = loop.run_in_executor(self._steps, warm, self.settings, self.parcels.catalogue)
        await starting
        self._prepared.set()
        await warming

    async def start(self) -> None:
        """Follow reference data and rules, and allow assigned partitions to be restored."""
        self.inputs.start()
        await self._prepared.wait()
        self._started.set()

    async def _before_revoke(self, lost: bool) -> None:
        stepped = self.ready  # else state and counts may be there in part
        if self._life.phase is not Phase.ABORTED:  # in which nothing may be committed
            self._life.to(Phase.REVOKING)
        for task in self._restoring:
            if not self._started.is_set():  # and never will be if the worker is stopped while it starts
                task.cancel()
        await asyncio.gather(*self._restoring, return_exceptions=True)  # `_restored` reports its error
        if not lost:
            try:
                if stepped:
                    await publish_rest(self)
                await self._commit()
            except AbortedError as error:
                log.warning("%s; aborted, and left to whoever has the partitions next", error)
        async with self._committing, self._stepping:
            await self._drain()
            self._epoch = Epoch()
            for store in self.stores.values():
                store.close_all()
            self.inputs.begin(())
            self.parcels.close()
            self.read, self.arrived_at = {}, {}
        self.assigned = frozenset()
        self.committed.clear()
        self.metrics.assigned_partitions.set(0)
        if self._life.phase is Phase.REVOKING:
            log.info("gave its partitions back%s", ", too late to commit" if lost else "")
        self._life.to(Phase.JOINING)

    async def _drain(self) -> None:
        """Wait for both threads: after a task is cancelled, its thread still runs."""
        for threads in (self._steps, self._effects):
            await asyncio.get_running_loop().run_in_executor(threads, int)

    def _after_assign(self, partitions: set[Partition], generation: int) -> None:
        self.metrics.rebalances.inc()
        self.metrics.assigned_partitions.set(len(partitions))
        self.assigned = frozenset(partitions)
        if not partitions:
            self._life.to(Phase.SPARE)
            self.metrics.lag.clear()  # others have it
            log.warning("no partitions assigned: more workers than partitions")
            return
        self._life.to(Phase.RESTORING)
        task = asyncio.get_running_loop().create_task(self._restore({number for _, number in partitions}, generation))
        self._restoring.add(task)
        task.add_done_callback(self._restored)

    async def _restore(self, numbers: set[int], generation: int) -> None:
        """Restore the state of these partitions, then resume reading."""
        await self._started.wait()
        started, loop = time.monotonic(), asyncio.get_running_loop()
        timeout_s = _BROKER_AWAY_S + 2 * self.settings.transaction_timeout_ms / 1000
        following = loop.run_in_executor(None, self.inputs.catch_up, self._cancelled, timeout_s)
        resumed = {} if self.settings.accept_lost_state else self._consumer().resumed
        reading = partial(
            restore, client(self.settings), self.stores, numbers, self._cancelled, timeout_s, resumed,
            parted=self.settings.partitions,
        )  # fmt: skip
        records = await loop.run_in_executor(self._effects, reading)
        if not self._cancelled():
            self._life.to(Phase.CATCHING_UP)
        await following
        if self._cancelled():
            return
        await self.inputs.rules.take_over()
        timers_of = await loop.run_in_executor(self._effects, self._restore_timers, numbers)
        if self._cancelled():
            return
        async with self._stepping:
            self.parcels.timers.open(timers_of)
            self.parcels.co_located = frozenset(numbers)
            self.arrived_at = dict.fromkeys(numbers, time.monotonic())
            self.inputs.begin(numbers)
        self.metrics.restored_records.inc(records)
        seconds = time.monotonic() - started
        log.info("state of %s partitions is there: %s records in %.1f s", len(numbers), f"{records:,}", seconds)
        self._generation = generation
        self._life.to(Phase.RUNNING)
        self._consumer().release()

    def _cancelled(self) -> bool:
        """Whether the partitions that are being opened have been revoked."""
        return not self._life.held

    def _restore_timers(self, numbers: set[int]) -> dict[int, PartitionTimers]:
        """The timers of these partitions; also notes what their parcels count for."""
        store = self.stores[topics.PARCELS_CHANGELOG]
        return {
            number: self.parcels.restore(number, whole(store, number, _SCAN_ROWS), self._cancelled)
            for number in sorted(numbers)
        }

    def _restored(self, task: asyncio.Task[None]) -> None:
        self._restoring.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)


_EPOCH_BATCHES_MAX, _SCAN_ROWS = 4, 10_000
_COMMIT_TIMEOUTS = 4  # in transaction time-outs; `Committer.commit` gives up by itself before
_BROKER_AWAY_S = 60.0  # how long a restore waits for a broker
