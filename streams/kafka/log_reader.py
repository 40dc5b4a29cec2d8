"""Reading topics whole, from their beginning or their end, without a group: committed messages only, and no trace left.

A reader holds every partition of its topics. `to_end` gives what is there, `poll` and `to_now` what comes, and
`positions` how far it is, so that whoever has written something can wait until it was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Message

from streams.kafka.cluster import Cluster
from streams.kafka.reader import Piece, Reader

_TIMEOUT_S = 10.0
_ROWS = 5_000


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
    starts   where to begin instead, by topic and partition; those that it leaves out begin as the others do.

    Raises ClientError when the broker does not answer, has no such topic, or denies it.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        *,
        client: Mapping[str, str | int | float | bool] | None = None,
        latest: bool = False,
        starts: Mapping[tuple[str, int], int] | None = None,
    ) -> None:
        config = {**(client or {}), "bootstrap.servers": bootstrap_servers}
        cluster = Cluster(config, timeout_s=_TIMEOUT_S)
        places = [(topic, number) for topic in topics for number in range(cluster.topic(topic).partitions)]
        self._reader = Reader(config)
        try:
            # Fixed now: "the beginning", or "the end", would be wherever the first fetch finds it.
            self.bounds = {place: self._reader.bounds(*place, _TIMEOUT_S) for place in places}
            self.positions = {place: (starts or {}).get(place, self.bounds[place][latest]) for place in places}
            self._reader.assign(self.positions)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._reader.__exit__(None, None, None)

    def to_end(self) -> Iterator[Entry]:
        """All messages up to the end of each partition as it is when reached, once. Raises ClientError."""
        for entries in self.pieces_to_end():
            yield from entries

    def to_now(self) -> Iterator[Entry]:
        """All messages up to the end of each partition as it is now, after what was read before. Raises ClientError."""
        ends = {place: self._reader.bounds(*place, _TIMEOUT_S)[1] for place in self.positions}
        self._reader.further({place: end for place, end in ends.items() if self.positions[place] < end})
        yield from self.to_end()

    def pieces_to_end(self) -> Iterator[list[Entry]]:
        """The same in the pieces in which it comes; `positions` is behind the piece given last."""
        for piece in self._reader.to_end(rows_max=_ROWS):
            yield self._entries(piece)

    def poll(self, timeout_s: float) -> list[Entry]:
        """Messages that have come, at the latest after `timeout_s`. Raises ClientError."""
        return self._entries(self._reader.read(_ROWS, timeout_s))

    def unread(self) -> dict[str, int]:
        """Records of each topic between what was read and its end, as far as that is known without asking."""
        left = dict.fromkeys((topic for topic, _ in self.positions), 0)
        for (topic, number), at in self.positions.items():
            left[topic] += max(0, (self._reader.end_seen(topic, number) or 0) - at)
        return left

    def _entries(self, piece: Piece) -> list[Entry]:
        for place, at in piece.reached.items():  # behind the last message may stand the mark of a transaction
            self.positions[place] = max(self.positions.get(place, 0), at)
        return [entry_of(message) for message in piece.records]


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
