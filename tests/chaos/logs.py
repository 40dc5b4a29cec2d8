"""Reading what is on the broker: a whole log, or along with it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import FACTS, INSPECTIONS, OBSERVATIONS, SCANS, SHIPMENTS

READ_BY_WORKERS = (SHIPMENTS, SCANS, INSPECTIONS, OBSERVATIONS, FACTS)
Log = dict[tuple[str, int, int], tuple[bytes | None, bytes | None]]  # (topic, partition, offset): key and value
_TIMEOUT_S = 30.0


def client(servers: str, isolation: str, group: str = "chaos") -> Consumer:
    """A consumer that joins no group."""
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "log_level": 0,
        }
    )


def places(topics: Iterable[str], partitions: int, offset: int = 0) -> list[TopicPartition]:
    """All partitions of these topics."""
    return [TopicPartition(topic, number, offset) for topic in topics for number in range(partitions)]


def whole(servers: str, topic: str, partitions: int, isolation: str = "read_committed") -> Log:
    """Everything in a topic that a reader of this isolation sees."""
    reader = client(servers, isolation)
    try:
        return _to_the_ends(reader, places([topic], partitions))
    finally:
        reader.close()


def unread(servers: str, group: str, partitions: int) -> dict[tuple[str, int], int]:
    """Messages behind the committed offsets of `group`, by partition; -1 where a transaction is still open.

    Counted by reading: a transaction's mark takes an offset too, so the ends of a log alone say nothing.
    """
    committed, all_of_it = client(servers, "read_committed", group), client(servers, "read_uncommitted")
    try:
        at = committed.committed(places(READ_BY_WORKERS, partitions), timeout=_TIMEOUT_S)
        found: dict[tuple[str, int], int] = defaultdict(int)
        for each in at:
            each.offset = max(each.offset, 0)
            if _end(committed, each) != _end(all_of_it, each):
                found[each.topic, each.partition] = -1
        for topic, partition, _ in _to_the_ends(committed, at):
            found[topic, partition] += 1
        return dict(found)
    finally:
        committed.close()
        all_of_it.close()


def ends(servers: str, topics: Iterable[str], partitions: int) -> list[int]:
    """The ends of all partitions of these topics: whatever is written there moves them, marks of transactions too."""
    asker = client(servers, "read_uncommitted")
    try:
        return [_end(asker, each) for each in places(topics, partitions)]
    finally:
        asker.close()


def _end(asker: Consumer, place: TopicPartition) -> int:
    """The end of a partition; a broker that has just come back may not know yet that it leads it."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        try:
            return int(asker.get_watermark_offsets(place, timeout=_TIMEOUT_S)[1])
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _to_the_ends(reader: Consumer, at: Sequence[TopicPartition]) -> Log:
    found: Log = {}
    waiting = {(each.topic, each.partition) for each in at}
    reader.assign(list(at))
    deadline = time.monotonic() + _TIMEOUT_S
    while waiting:
        messages = reader.consume(10_000, 0.2)
        for message in messages:
            if _kept(message, found):
                waiting.discard((str(message.topic()), int(message.partition() or 0)))
        if messages:
            deadline = time.monotonic() + _TIMEOUT_S
        if time.monotonic() > deadline:
            raise TimeoutError(f"the end of {sorted(waiting)[:3]} was not reached within {_TIMEOUT_S:.0f} s")
    return found


def _kept(message: Message, log: Log) -> bool:
    """Keep a message; True where it is the end of its partition. Raises for a log that was cut off."""
    error = message.error()
    if error is None:
        place = (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
        log[place] = (message.key(), message.value())
        return False
    if error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
        raise KafkaException(error)
    return error.code() == KafkaError._PARTITION_EOF


class Listener(threading.Thread):
    """A plain reader of what is committed, there all along. `seen`: what it got; `error`: what it died of."""

    def __init__(self, servers: str, topics: Sequence[str], partitions: int) -> None:
        super().__init__(name="listener", daemon=True)
        self.seen: Log = {}
        self.error: Exception | None = None
        self._client = client(servers, "read_committed")
        self._client.assign(places(topics, partitions))
        self._ended = threading.Event()

    def run(self) -> None:
        """Read until `finish`."""
        try:
            while not self._ended.is_set():
                for message in self._client.consume(1_000, 0.2):
                    _kept(message, self.seen)
        except Exception as error:
            self.error = error
        finally:
            self._client.close()

    def finish(self, messages: int, within_s: float = 20.0) -> None:
        """Wait until it has read so many messages, at most `within_s`, and end it."""
        deadline = time.monotonic() + within_s
        while len(self.seen) < messages and time.monotonic() < deadline and self.is_alive():
            time.sleep(0.05)
        self._ended.set()
        self.join(within_s)
