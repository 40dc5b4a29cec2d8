"""Reading single messages by where they stand."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.kafka.log_reader import Entry, ReadError, entry_of

Place = tuple[str, int, int]  # topic, partition, offset

_TIMEOUT_S = 10.0
_SILENCE_S = 30.0
_ROWS = 5_000
_APART_MAX = 2_000  # offsets that are read through rather than sought past


class OffsetReader:
    """Fetches messages by topic, partition and offset. One thread at a time. Close it."""

    def __init__(self, bootstrap_servers: str, client: Mapping[str, str | int | float | bool]) -> None:
        self._consumer = Consumer(
            {
                **client,
                "bootstrap.servers": bootstrap_servers,
                "group.id": "waybill-offsets",  # never joins: partitions are assigned by hand
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "fetch.queue.backoff.ms": 5,
            }
        )

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def fetch(self, places: Iterable[Place]) -> dict[Place, Entry]:
        """The messages that are still there, without those past retention or aborted. Raises ReadError."""
        by_partition: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
        for topic, partition, offset in places:
            by_partition[topic, partition].add(offset)
        found: dict[Place, Entry] = {}
        for (topic, partition), offsets in sorted(by_partition.items()):
            for run in _runs(self._there(topic, partition, offsets)):
                found.update(self._run(topic, partition, run))
        self._consumer.unassign()  # or it would fetch on, to no purpose
        return found

    def _there(self, topic: str, partition: int, offsets: set[int]) -> list[int]:
        try:
            place = TopicPartition(topic, partition)
            low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
                return []
            raise ReadError(f"{topic}: {error.args[0].str()}") from None
        return sorted(offset for offset in offsets if low <= offset < high)

    def _run(self, topic: str, partition: int, offsets: Sequence[int]) -> dict[Place, Entry]:
        """Read from the first of these to the last, and keep them."""
        wanted, found = set(offsets), dict[Place, Entry]()
        self._consumer.assign([TopicPartition(topic, partition, offsets[0])])
        heard = time.monotonic()
        while True:
            for message in self._consumer.consume(_ROWS, 0.1):
                error = message.error()
                heard = time.monotonic()
                if error is None:
                    offset = message.offset() or 0
                    if offset in wanted:
                        found[topic, partition, offset] = entry_of(message)
                    if offset >= offsets[-1]:
                        return found
                elif error.code() == KafkaError._PARTITION_EOF:
                    return found
                elif error.fatal() or not error.retriable():
                    raise ReadError(f"{topic}: {error.str()}")
            if time.monotonic() - heard > _SILENCE_S:
                raise ReadError(f"{topic}[{partition}]@{offsets[0]}: nothing came for {_SILENCE_S:.0f} s")


def _runs(offsets: Sequence[int]) -> Iterator[list[int]]:
    """Rising offsets, parted where it is quicker to seek."""
    run: list[int] = []
    for offset in offsets:
        if run and offset - run[-1] > _APART_MAX:
            yield run
            run = []
        run.append(offset)
    if run:
        yield run
