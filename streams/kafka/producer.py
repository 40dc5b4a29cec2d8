"""Writing: transactions, whose order of effects `streams.worker.commit` gives, and records without one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from streams.kafka import config as properties
from streams.kafka import direct
from streams.kafka.config import Properties
from streams.kafka.errors import DENIED, FAILURES, ClientError, Troubles, cause, said
from streams.kafka.handshake import check
from streams.kafka.rights import denied, right_of
from streams.native import Switch
from streams.state.memory import Changes

Place = tuple[str, int]
Record = dict[str, object]  # as `produce_batch` takes it; the partition is given with the batch, or is not heeded
log = logging.getLogger(__name__)

_PRODUCE_ROWS = 50_000


class TransactionError(ClientError):
    """A step of a transaction that failed.

    fatal    this producer can do nothing any more: another has its transactional id, for one
    denied   for want of a right, so that trying again helps only once that is granted
    """

    def __init__(self, text: str, *, fatal: bool = False, denied: bool = False) -> None:
        super().__init__(text)
        self.fatal = fatal
        self.denied = denied


class Transactions:
    """A producer of transactions. Calls block; one thread at a time. Each raises TransactionError."""

    def __init__(self, config: Properties, transactional_id: str, *, native: Switch = "0") -> None:
        """native: whether changes go by the native library, where it is there."""
        check(config)
        self._config = config
        self._id = transactional_id
        self._producer = Producer(properties.transactional(config, transactional_id), logger=log)
        self._direct = direct.producer(self._producer, config, native)
        self._timeout_s = float(str(config.get("transaction.timeout.ms", 60_000))) / 1000
        self._topic = ""  # that was written last: librdkafka does not say which it was refused for

    def start(self) -> None:
        """Fence any earlier holder of the transactional id and abort what it left open."""
        with self._telling():
            self._producer.init_transactions(self._timeout_s)

    def begin(self) -> None:
        """Begin a transaction."""
        with self._telling():
            self._producer.begin_transaction()

    def produce(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """Queue records for a partition, in their order."""
        self._topic = topic
        done = 0
        with self._telling():
            while done < len(records):
                batch = list(records[done : done + _PRODUCE_ROWS])
                queued = self._producer.produce_batch(topic, batch, partition)
                if queued < len(batch):
                    failed = next((error for record in batch if (error := record.get("_error"))), None)
                    what = f"{topic}: {len(batch) - queued} of {len(batch)} records not queued: {failed}"
                    raise TransactionError(what, fatal=True)
                self._producer.poll(0)
                done += len(batch)

    def produce_dated(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        """The same of records that have a `timestamp` (epoch ms), which are taken one by one only."""
        self._topic = topic
        with self._telling():
            for record in records:
                while True:
                    try:
                        self._producer.produce(topic, partition=partition, **record)  # type: ignore[arg-type]
                        break
                    except BufferError:
                        self._producer.poll(0.1)
                self._producer.poll(0)

    def produce_changes(self, topic: str, partition: int, changes: Changes, ends: dict[Place, int]) -> None:
        """Queue keys with their values for a partition, in their order, and note in `ends` what is next behind the
        last, once that has arrived."""

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                ends[topic, partition] = (message.offset() or 0) + 1

        done, last = 0, len(changes) - 1  # of which we want to hear
        while self._direct is not None and done < last and not isinstance(changes, dict):  # it is the native library's
            rows_max = min(last - done, _PRODUCE_ROWS)
            self._topic = topic
            if (queued := self._direct.produce(topic, partition, changes, done, rows_max)) < rows_max:
                raise TransactionError(f"{topic}: {rows_max - queued} of {rows_max} records not queued", fatal=True)
            with self._telling():
                self._producer.poll(0)
            done += rows_max
        records: list[Record] = [{"key": key, "value": value} for key, value in changes.behind(done)]
        records[-1]["callback"] = delivered
        self.produce(topic, partition, records)

    def deliver(self) -> None:
        """Wait until all that was produced has arrived.

        A commit would do so too. But where it is refused while records are on their way, librdkafka forgets those, the
        broker misses their sequence numbers, and the abort may never end: seen with librdkafka 2.16, in one run of ten.
        """
        with self._telling():
            if left := self._producer.flush(self._timeout_s):
                raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, f"{left} records not delivered"))

    def send_offsets(
        self, offsets: Mapping[Place, int], group_metadata: object, topic_ids: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Send source offsets (next to read) with the group's metadata; a stale member is refused.

        topic_ids: kept beside the offsets, which mean nothing in a later topic of the same name.
        """
        at = [
            TopicPartition(topic, partition, offset, topic_ids.get(topic, ""))
            for (topic, partition), offset in offsets.items()
        ]
        with self._telling():
            self._producer.send_offsets_to_transaction(at, group_metadata, self._timeout_s)

    def commit(self) -> None:
        """Commit. A time-out leaves the outcome open, so ask again until it is known."""
        deadline = time.monotonic() + 3 * self._timeout_s
        self._until(deadline, lambda: self._producer.commit_transaction(self._timeout_s))

    def abort(self) -> None:
        """Take back what was produced, so that no reader waits for the transaction to time out.

        A commit whose outcome is not known is refused here: it is for the next start to learn it.
        """
        deadline = time.monotonic() + self._timeout_s
        self._until(deadline, lambda: self._producer.abort_transaction(max(deadline - time.monotonic(), 0)))

    def _until(self, deadline: float, call: Callable[[], None]) -> None:
        with self._telling():
            while True:
                try:
                    call()
                    return
                except KafkaException as error:
                    if not cause(error).retriable() or time.monotonic() > deadline:
                        raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            told = cause(error)
            right = right_of(told, topic=self._topic, transactional_id=self._id, operation="WRITE")
            text = str(denied(self._config, right)) if right else said(told)
            raise TransactionError(text, fatal=told.fatal(), denied=told.code() in DENIED) from error


class Sender:
    """A producer without transactions; records go out by themselves, in the order of each partition."""

    def __init__(self, config: Properties) -> None:
        self._troubles = Troubles()
        try:
            self._producer = Producer({**properties.sender(config), "error_cb": self._troubles}, logger=log)
        except FAILURES as error:
            raise ClientError(f"kafka: {said(error)}") from error

    def send(self, topic: str, key: bytes | None, value: bytes | None, partition: int = -1) -> None:
        """Queue a record, waiting where the queue is full. partition: -1 leaves it to the key."""
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, partition=partition)
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)

    def flush(self, timeout_s: float) -> int:
        """Wait for what is on its way; the number of records that still are."""
        return self._producer.flush(timeout_s)
