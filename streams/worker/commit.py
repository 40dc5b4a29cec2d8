"""Effects, in one written order.

Everything that a worker does to the world for a stretch of input is one *epoch*. Its effects happen in this order:

1. begin a Kafka transaction
2. produce observations, facts, alerts, what is in shadow, notices and rejects
3. produce the changelog: the last value of every key that changed, none of a key that was forgotten
4. send the source offsets to the transaction, with the group's metadata, so that a worker that has lost its
   partitions is refused
5. commit the transaction
6. write the deltas to RocksDB, with the changelog offsets that they stand for

A worker that dies before 5 has done nothing: the next one aborts what it left open and reads the same input again.
One that dies between 5 and 6 has done everything: on start the changelog is read from the offset in RocksDB.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import cast

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Delivered

from streams.state.rocks import Delta, RocksStore
from streams.worker.epoch import Epoch, Message

log = logging.getLogger(__name__)


class CommitError(RuntimeError):
    """An epoch that could not be committed. The worker stops; the next one reads the same input again."""


class AbortedError(CommitError):
    """An epoch that was taken back whole: nothing of it happened, and this worker may read its input again."""


class Committer:
    """The worker's one producer, and the order above. Calls block; one thread at a time."""

    def __init__(self, config: Mapping[str, object], transactional_id: str, stores: Mapping[str, RocksStore]) -> None:
        self._stores = stores  # by changelog topic
        self._producer = Producer(
            {
                **config,
                "transactional.id": transactional_id,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "batch.size": 1_000_000,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 10_000_000,
            },
            logger=log,
        )
        self._timeout_s = float(str(config.get("transaction.timeout.ms", 60_000))) / 1000
        self._unfinished = False

    def start(self) -> None:
        """Fence any earlier holder of the transactional id and abort what it left open."""
        self._producer.init_transactions(self._timeout_s)

    def commit(self, epoch: Epoch, deltas: Mapping[str, Delta], group_metadata: object) -> None:
        """Steps 1 to 6 for one epoch.

        Raises AbortedError when the transaction failed and was aborted: the state knows of what did not happen, and
        has to be opened anew. Any other CommitError leaves the outcome open, or says that another worker has this
        one's place, which must not go on.
        """
        if self._unfinished:
            raise CommitError("an earlier epoch was not finished, and this one would pass over it")
        self._unfinished = True
        ends: dict[tuple[str, int], int] = {}
        try:
            self._producer.begin_transaction()  # 1
            for (topic, partition), messages in epoch.messages.items():  # 2
                self._produce(topic, partition, messages)
            for topic, delta in deltas.items():  # 3
                for partition, values in delta.items():
                    self._changelog(topic, partition, values, ends)
            self._deliver()
            offsets = [TopicPartition(topic, partition, at) for (topic, partition), at in epoch.offsets.items()]
            self._producer.send_offsets_to_transaction(offsets, group_metadata, self._timeout_s)  # 4
            self._resolve()  # 5
        except (KafkaException, SystemError) as error:
            cause = _said(error)
            what = f"transaction of {epoch.rows} records failed: {cause.str()}"
            if cause.fatal():
                raise CommitError(what) from error
            self._abort(what)
            self._unfinished = False
            raise AbortedError(what) from error
        for topic, delta in deltas.items():  # 6
            self._stores[topic].write(delta, {number: ends[topic, number] for number in delta})
        self._unfinished = False

    def _produce(self, topic: str, partition: int, messages: list[Message]) -> None:
        done = 0
        while done < len(messages):
            batch = messages[done : done + _PRODUCE_ROWS]
            queued = self._producer.produce_batch(topic, batch, partition)
            if queued < len(batch):
                failed = next((error for message in batch if (error := message.get("_error"))), None)
                raise CommitError(f"{topic}: {len(batch) - queued} of {len(batch)} records not queued: {failed}")
            self._producer.poll(0)
            done += len(batch)

    def _changelog(
        self, topic: str, partition: int, values: dict[bytes, bytes | None], ends: dict[tuple[str, int], int]
    ) -> None:
        """Produce a partition's changes; only the last is asked for its offset, for a partition keeps its order."""

        def delivered(error: KafkaError | None, message: Delivered) -> None:
            if error is None:
                ends[topic, partition] = (message.offset() or 0) + 1

        messages: list[Message] = [{"key": key, "value": value} for key, value in values.items()]
        messages[-1]["callback"] = delivered
        self._produce(topic, partition, messages)

    def _deliver(self) -> None:
        """Wait until all that was produced has arrived.

        A commit would do so too. But where it is refused while records are on their way, librdkafka forgets those, the
        broker misses their sequence numbers, and the abort may never end: seen with librdkafka 2.16, in one run of ten.
        """
        if left := self._producer.flush(self._timeout_s):
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, f"{left} records not delivered"))

    def _abort(self, why: str) -> None:
        """Take back what was produced, so that no reader waits for the transaction to time out.

        A commit whose outcome is not known is refused here: it is for the next start to learn it.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self._producer.abort_transaction(max(deadline - time.monotonic(), 0))
                return
            except KafkaException as error:
                cause = error.args[0]
                if not cause.retriable() or time.monotonic() > deadline:
                    raise CommitError(f"{why}; and it was not aborted: {cause.str()}") from error

    def _resolve(self) -> None:
        """Commit. A time-out leaves the outcome open, so ask again until it is known."""
        deadline = time.monotonic() + 3 * self._timeout_s
        while True:
            try:
                self._producer.commit_transaction(self._timeout_s)
                return
            except KafkaException as error:
                cause = error.args[0]
                if not cause.retriable() or time.monotonic() > deadline:
                    raise


def _said(error: BaseException) -> KafkaError:
    """What librdkafka said.

    A fatal error is raised by confluent-kafka while callbacks are served. Where a delivery report or a line of the log
    is called in the same turn, the interpreter makes a SystemError of it, with the error as its cause.
    """
    if isinstance(error, KafkaException):
        return cast(KafkaError, error.args[0])
    if error.__cause__ is None:
        raise error
    return _said(error.__cause__)


_PRODUCE_ROWS = 50_000
