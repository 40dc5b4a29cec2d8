"""Reading topics as a member of a group whose offsets are committed with what was made of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka import config as properties
from streams.kafka.cluster import Cluster
from streams.kafka.errors import DENIED, MISSING, ClientError, cause, said
from streams.kafka.log_reader import Entry, entry_of
from streams.kafka.rights import denied, right_of

log = logging.getLogger(__name__)
_ANSWER_S = 10.0


class GroupReader:
    """A member of a group that reads some topics. Close it.

    It gets the same partitions of each topic, where topics have as many.
    Raises ClientError where a topic is missing or may not be read.
    What was read is committed by a transaction of `TransactionalWriter`, which takes `offsets()` and `membership()`.
    """

    def __init__(
        self, bootstrap_servers: str, topics: Sequence[str], group: str, client: Mapping[str, str | int | float | bool]
    ) -> None:
        self._topics, self.group = topics, group
        self._next: dict[tuple[str, int], int] = {}
        self._config = {**client, "bootstrap.servers": bootstrap_servers, "group.id": group}
        self._ended: set[tuple[str, int]] = set()  # partitions read to their end, as far as is known
        cluster = Cluster(self._config)
        for topic in topics:  # a subscription to one that the broker does not know yet would wait for minutes
            cluster.topic(topic)
        self._consumer = Consumer({**properties.member(self._config), "enable.partition.eof": True}, logger=log)
        self._consumer.subscribe([*topics], on_revoke=self._revoked, on_lost=self._revoked)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def poll(self, rows: int, timeout_s: float) -> list[Entry]:
        """Messages that have come, at most so many. Raises ClientError."""
        entries = []
        for message in self._consumer.consume(rows, timeout_s):
            error = message.error()
            if error is None:
                entries.append(entry := entry_of(message))
                self._next[entry.topic, entry.partition] = entry.offset + 1
                self._ended.discard((entry.topic, entry.partition))
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended.add((message.topic() or "", int(message.partition() or 0)))
            elif error.fatal() or error.code() in DENIED | MISSING:
                topic = message.topic() or self._topics[0]
                right = right_of(error, topic=topic, group=self.group)
                raise denied(self._config, right) if right else ClientError(f"{topic}: {said(error)}")
        return entries

    def unread(self) -> dict[str, int]:
        """Records of each topic between what was read and its end, as far as that is known without asking."""
        left = dict.fromkeys(self._topics, 0)
        for (topic, number), at in self._next.items():
            if (topic, number) not in self._ended:  # behind the last record may stand the mark of a transaction
                _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
                left[topic] += max(0, high - at)
        return left

    @property
    def assigned(self) -> bool:
        """Whether it has partitions now; a member that died keeps them from others until its session ends."""
        return bool(self._consumer.assignment())

    @property
    def exhausted(self) -> bool:
        """Whether it has partitions, and all of them were read to their ends."""
        held = {(place.topic, place.partition) for place in self._consumer.assignment()}
        return bool(held) and held <= self._ended

    @property
    def alone(self) -> bool:
        """Whether it has every partition of its topics, so that no other member has one, not even one that died.

        Raises ClientError.
        """
        there = 0
        for topic in self._topics:
            try:
                there += len(self._consumer.list_topics(topic, _ANSWER_S).topics[topic].partitions)
            except KafkaException as error:
                raise ClientError(f"{topic}: {said(cause(error))}") from None
        return len(self._consumer.assignment()) == there

    def commit(self) -> None:
        """Commit all that was read, where nothing is made of it on this broker. Raises ClientError."""
        if not self._next:
            return
        try:
            self._consumer.commit(offsets=self.offsets(), asynchronous=False)
        except KafkaException as error:
            if (right := right_of(cause(error), topic=self._topics[0], group=self.group)) is not None:
                raise denied(self._config, right) from None
            if not cause(error).retriable() and cause(error).code() != KafkaError.ILLEGAL_GENERATION:
                raise ClientError(f"{', '.join(self._topics)}: not committed: {said(error)}") from None

    def offsets(self) -> list[TopicPartition]:
        """Where to go on behind all that was read."""
        return [TopicPartition(*place, offset) for place, offset in sorted(self._next.items())]

    def membership(self) -> Any:
        """What fences a member that the group has given up."""
        return self._consumer.consumer_group_metadata()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._next.pop((partition.topic, partition.partition), None)
            self._ended.discard((partition.topic, partition.partition))
