"""Faust's consumer, over the polling thread. See the package's docstring for what is replaced and why."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from faust.transport import consumer as base
from faust.types import TP, ConsumerMessage

from schemas.errors import WaybillError
from streams.flow.batches import Batch
from streams.kafka.transport.grouping import Partition
from streams.kafka.transport.poller import Poller
from streams.native import Switch


class RebalanceError(WaybillError):
    """Partitions could not be given back in time: others may own them already."""


@dataclass(frozen=True, slots=True)
class Link:
    """What the consumer needs to know, and whom it tells of rebalances."""

    config: Mapping[str, object]  # librdkafka's
    partitions: int
    rows_max: int  # of one fetch
    timeout_s: float  # of one fetch
    waiting_rows_max: int  # fetched and not yet taken; polling rests above it
    read_ahead: Callable[[Batch], Batch]  # what of a batch can be read before its step, on the polling thread
    rebalance_timeout_s: float
    before_revoke: Callable[[bool], Awaitable[None]]  # commit what is in hand; True: too late for that
    after_assign: Callable[[set[Partition], int], None]  # bring the state, then `Consumer.release`
    topic_ids: Callable[[Collection[str]], Mapping[str, str]]  # what the broker calls topics by
    native: Switch = "0"  # whether records are taken by the native library, where it is there


class _Forgetful(dict[TP, int | None]):
    """Faust's note of how far each partition was read, which stays empty.

    Faust drops what lies before it. But it is written after the flow stopped too, for the message whose delivery the
    rebalance broke off; the new assignment then has to read that message, and those before it, again.
    """

    def __missing__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        pass


class Consumer(base.Consumer):
    """Group member and fetcher. `app.link` says how; see `streams.app`."""

    logger = logging.getLogger("faust.transport")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.link: Link = self.app.link
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="poll")
        self._poller: Poller | None = None
        self._waiting: deque[Batch] = deque()
        self._rows = 0
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._open = True  # the polling thread takes questions
        self._release = False
        self._read_again = False
        self._read_offset = _Forgetful()
        self.generation = 0

    # What the worker asks for

    @property
    def group_metadata(self) -> object:
        """As of the last fetch or rebalance."""
        return self._poller.group_metadata if self._poller else None

    @property
    def topic_ids(self) -> Mapping[str, str]:
        """Of the topics that are read, to be committed beside their offsets."""
        return self._poller.topic_ids if self._poller else {}

    @property
    def starts(self) -> Mapping[Partition, int]:
        """Next to read, of each partition, when it was assigned."""
        return self._poller.starts if self._poller else {}

    @property
    def resumed(self) -> Mapping[Partition, int]:
        """Committed offsets, of each partition that has one, when it was assigned."""
        return self._poller.resumed if self._poller else {}

    @property
    def idle(self) -> bool:
        """Nothing waits to be taken."""
        return not self._waiting

    def release(self) -> None:
        """State is there: begin to read."""
        self._release = True

    def read_again(self) -> None:
        """Take all partitions anew, at their committed offsets; obsolete once they are taken back."""
        self._read_again = True
        self._taken.set()  # polling may rest for agents that wait for this

    def fail(self, error: BaseException) -> None:
        """Stop the worker: it cannot go on."""
        self.loop.create_task(self.crash(error))

    async def lag(self, committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Lag by (topic, partition); see `Poller.lag`."""
        poller = self._poller
        return await self._on_thread(poller.lag, dict(committed)) if poller and self._open else {}

    async def positions(self, read: Mapping[Partition, int]) -> dict[Partition, int]:
        """What is next to read; see `Poller.positions`."""
        poller = self._poller
        return await self._on_thread(poller.positions, dict(read)) if poller and self._open else {}

    async def passed(self, committed: Mapping[Partition, int]) -> dict[Partition, int]:
        """Ends that may be committed with nothing to be read before them; see `Poller.passed`."""
        poller = self._poller
        return await self._on_thread(poller.passed, dict(committed)) if poller and self._open else {}

    # Subscription and polling

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics, once; the set of topics is fixed."""
        if self._poller is not None:
            return
        self._poller = Poller(
            self.link.config,
            on_revoked=self._revoked,
            on_assigned=self._assigned,
            topic_ids=self.link.topic_ids,
            native=self.link.native,
        )
        await self._on_thread(self._poller.subscribe, sorted(topics))
        self.add_future(self._poll())

    async def _poll(self) -> None:
        assert self._poller is not None
        while not self.should_stop:
            if self._read_again:
                self._read_again = False
                await self._on_thread(self._poller.read_again)
            if self._release:
                self._release = False
                await self._on_thread(self._poller.release)
            generation = self.generation
            found = await self._on_thread(self._fetch, generation)
            if found and generation == self.generation:
                self._waiting.extend(found)
                self._rows += sum(len(batch.values) for batch in found)
                self._arrived.set()
            while self._rows > self.link.waiting_rows_max and not (self.should_stop or self._read_again):
                self._taken.clear()
                await self.wait_first(self._taken.wait(), timeout=1.0)

    def _fetch(self, generation: int) -> list[Batch]:
        """Fetch, and read ahead while the batches before are folded and committed."""
        assert self._poller is not None
        found = self._poller.fetch(self.link.rows_max, self.link.timeout_s, generation)
        return [self.link.read_ahead(batch) for batch in found]

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Batch]]:
        if not self._waiting:
            self._arrived.clear()
            await self.wait_first(self._arrived.wait(), timeout=timeout)
        records: dict[TP, list[Batch]] = {}
        while self._waiting:
            batch = self._waiting.popleft()
            records.setdefault(TP(batch.topic, batch.partition), []).append(batch)
        self._rows = 0
        self._taken.set()
        return records

    def _to_message(self, tp: TP, record: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic, tp.partition, record.offsets[-1], record.timestamps[-1] / 1000, 0, [], None, record, None,
            tp=tp, generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    # Rebalances: called on the polling thread, served on the event loop

    def _revoked(self, partitions: set[Partition], lost: bool) -> None:
        self._serve(self._serve_revoked(partitions, lost))

    def _assigned(self, partitions: set[Partition]) -> None:
        self._serve(self._serve_assigned(partitions))

    def _serve(self, worker: Any) -> None:
        served = asyncio.run_coroutine_threadsafe(worker, self.loop)
        try:
            served.result(self.link.rebalance_timeout_s)
        except FutureTimeoutError:
            raise RebalanceError(f"a rebalance was not done after {self.link.rebalance_timeout_s:.0f} s") from None

    async def _serve_revoked(self, partitions: set[Partition], lost: bool) -> None:
        """Finish what is in hand, then drop what is queued: Faust's streams skip messages of an older generation."""
        self.app.on_rebalance_start()
        await self.link.before_revoke(lost)
        self.generation += 1
        self.app.consumer_generation_id = self.generation
        self._waiting.clear()
        self._rows = 0
        self._release = self._read_again = False
        self._taken.set()
        await self.on_partitions_revoked({TP(*each) for each in partitions})

    async def _serve_assigned(self, partitions: set[Partition]) -> None:
        self.generation += 1
        self.app.consumer_generation_id = self.generation
        if not self.app.rebalancing:
            self.app.on_rebalance_start()
        await self.on_partitions_assigned({TP(*each) for each in partitions}, self.generation)
        self.link.after_assign(partitions, self.generation)

    # Stopping

    async def on_stop(self) -> None:
        """Leave the group; what is in hand was committed on the way out of the partitions."""
        try:
            if self._poller is not None:
                closing = self._on_thread(self._poller.close)
                self._open = False  # tasks that are not cancelled yet may still ask
                await closing
        finally:
            self._thread.shutdown(wait=False)

    async def _on_thread(self, call: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    # Faust's own ways, replaced

    def assignment(self) -> set[TP]:
        return {TP(*each) for each in self._poller.assigned} if self._poller else set()

    def ack(self, message: Any) -> bool:
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        return None

    def _new_offset(self, tp: TP) -> int | None:
        return None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        return True

    async def wait_empty(self) -> None:
        return None

    async def perform_seek(self) -> None:
        return None

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return {}

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        return None

    async def _seek(self, partition: TP, offset: int) -> None:
        return None

    async def position(self, tp: TP) -> int | None:
        return None

    def highwater(self, tp: TP) -> int:
        return 0

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        return dict.fromkeys(partitions, 0)

    async def verify_all_partitions_active(self) -> None:
        return None

    def topic_partitions(self, topic: str) -> int | None:
        return self.link.partitions

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:
        return None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return partition

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)
