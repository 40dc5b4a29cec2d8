"""Reading topics whole, from their beginning or their end, without a group: committed messages only, and no trace left.

A reader holds every partition of its topics. `to_end` gives what is there, `poll` what comes, and `positions` how far
it is, so that whoever has written something can wait until it was read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

_TIMEOUT_S = 10.0
_SILENCE_S = 30.0
_ROWS = 5_000
# What no waiting mends. Others, such as a broker that restarts, librdkafka gets over.
FINAL = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION}


class ReadError(RuntimeError):
    """A topic cannot be read; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. value None: a tombstone. at_ms: the broker's timestamp, epoch ms."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    at_ms: int

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


class LogReader:
    """Reads all partitions of some topics; a context manager, which closes it.

    client   further librdkafka properties.
    latest   begin at the end instead.

    Raises ReadError when the broker does not answer or has no such topic.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        *,
        client: Mapping[str, str | int | float | bool] | None = None,
        latest: bool = False,
    ) -> None:
        self.positions: dict[tuple[str, int], int] = {}
        self._name = ", ".join(topics)
        self._consumer = Consumer(
            {
                **(client or {}),
                "bootstrap.servers": bootstrap_servers,
                "group.id": "waybill-readers",  # never joins: partitions are assigned by hand
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "fetch.queue.backoff.ms": 5,
            }
        )
        try:
            self._pending = self._assign(topics, latest)
        except BaseException:
            self._consumer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def to_end(self) -> Iterator[Entry]:
        """All messages up to the end of each partition as it is when reached. Raises ReadError."""
        heard = time.monotonic()
        while self._pending:
            waiting = len(self._pending)
            entries = self.poll(0.5)
            yield from entries
            if entries or len(self._pending) < waiting:
                heard = time.monotonic()
            elif time.monotonic() - heard > _SILENCE_S:
                raise ReadError(f"{self._name}: nothing came for {_SILENCE_S:.0f} s")

    def poll(self, timeout_s: float) -> list[Entry]:
        """Messages that have come, at the latest after `timeout_s`. Raises ReadError."""
        entries = []
        for message in self._consumer.consume(_ROWS, timeout_s):
            error = message.error()
            if error is None:
                entries.append(entry_of(message))
                self.positions[entries[-1].topic, entries[-1].partition] = entries[-1].offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                place = message.topic() or "", message.partition() or 0
                self._pending.discard(place)
                # Behind the last message may stand the mark of a transaction: this is past it.
                self.positions[place] = max(self.positions.get(place, 0), message.offset() or 0)
            elif error.fatal() or error.code() in FINAL:
                raise ReadError(f"{message.topic() or self._name}: {error.str()}")
        return entries

    def _assign(self, topics: Sequence[str], latest: bool) -> set[tuple[str, int]]:
        try:
            listed = self._consumer.list_topics(timeout=_TIMEOUT_S).topics  # of all: asking by name may create it
        except KafkaException as error:
            raise ReadError(f"the broker does not answer: {error.args[0].str()}") from None
        if missing := [topic for topic in topics if topic not in listed]:
            raise ReadError(f"no topic {', '.join(missing)}; run `waybill topics create`")
        places = [
            TopicPartition(topic, number, OFFSET_BEGINNING)
            for topic in topics
            for number in sorted(listed[topic].partitions)
        ]
        if latest:  # fixed now: "the end" would be wherever the first fetch finds it
            for place in places:
                place.offset = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)[1]
        self._consumer.assign(places)
        return {(place.topic, place.partition) for place in places}


def entry_of(message: Message) -> Entry:
    """A message without error, as what it is."""
    key, value = message.key(), message.value()
    return Entry(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        key.encode() if isinstance(key, str) else bytes(key or b""),
        value.encode() if isinstance(value, str) else value,
        message.timestamp()[1],
    )
