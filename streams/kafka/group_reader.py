"""Reading a topic as a member of a group whose offsets are committed with what was made of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.log_reader import FINAL, Entry, ReadError, entry_of

log = logging.getLogger(__name__)


class GroupReader:
    """A member of a group. Close it.

    What was read is committed by a transaction of `TransactionalWriter`, which takes `offsets()` and `membership()`.
    """

    def __init__(
        self, bootstrap_servers: str, topic: str, group: str, client: Mapping[str, str | int | float | bool]
    ) -> None:
        self._topic = topic
        self._next: dict[int, int] = {}
        self._consumer = Consumer(
            {
                **client,
                "bootstrap.servers": bootstrap_servers,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 10_000,
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 5,
            },
            logger=log,
        )
        self._consumer.subscribe([topic], on_revoke=self._revoked, on_lost=self._revoked)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def poll(self, rows: int, timeout_s: float) -> list[Entry]:
        """Messages that have come, at most so many. Raises ReadError."""
        entries = []
        for message in self._consumer.consume(rows, timeout_s):
            error = message.error()
            if error is None:
                entries.append(entry_of(message))
                self._next[entries[-1].partition] = entries[-1].offset + 1
            elif error.fatal() or error.code() in FINAL:
                raise ReadError(f"{self._topic}: {error.str()}")
        return entries

    def commit(self) -> None:
        """Commit all that was read, where nothing is made of it on this broker. Raises ReadError."""
        if not self._next:
            return
        try:
            self._consumer.commit(offsets=self.offsets(), asynchronous=False)
        except KafkaException as error:
            if not error.args[0].retriable() and error.args[0].code() != KafkaError.ILLEGAL_GENERATION:
                raise ReadError(f"{self._topic}: not committed: {error.args[0].str()}") from None

    def offsets(self) -> list[TopicPartition]:
        """Where to go on behind all that was read."""
        return [TopicPartition(self._topic, partition, offset) for partition, offset in sorted(self._next.items())]

    def membership(self) -> Any:
        """What fences a member that the group has given up."""
        return self._consumer.consumer_group_metadata()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._next.pop(partition.partition, None)
