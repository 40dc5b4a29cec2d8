"""Reading without a group: a consumer that assigns itself, keeps no offsets, and knows where partitions end.

    with Reader(config) as reader:
        reader.assign({("waybill.rules", 0): 0})
        for piece in reader.to_end():
            ...

`read` is the one place that looks at librdkafka's events. It needs READ on the topics and no right on any group.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streams.kafka import config as properties
from streams.kafka.cluster import Cluster
from streams.kafka.config import Properties
from streams.kafka.errors import (
    DENIED,
    FAILURES,
    LEADERLESS,
    MISSING,
    ClientError,
    MissingError,
    Troubles,
    cause,
    said,
)
from streams.kafka.handshake import check
from streams.kafka.rights import denied, right_of

Place = tuple[str, int]
log = logging.getLogger(__name__)

_ASK_S = 10.0
_POLL_S = 0.2
_LEADER_S = 0.1


@dataclass(slots=True)
class Piece:
    """What a read gave. reached: next to read, by partition; ended: partitions that were read to their end."""

    records: list[Message] = field(default_factory=list)
    reached: dict[Place, int] = field(default_factory=dict)
    ended: set[Place] = field(default_factory=set)


class Reader:
    """A context manager over one consumer, for one thread.

    config      librdkafka's properties, the servers among them
    committed   read what transactions committed, to the last that is finished; else everything
    more        properties of this reader alone

    Raises ClientError when the client cannot be made, as of a file that is missing.
    """

    def __init__(self, config: Properties, *, committed: bool = True, more: Properties | None = None) -> None:
        check(config)
        self._config = config
        self._troubles = Troubles()
        self._pending: dict[Place, int | None] = {}  # not read to the end; where that is, if it was given
        try:
            made = properties.reader(config, committed=committed, more=more)
            self._client = Consumer({**made, "error_cb": self._troubles}, logger=log)
        except FAILURES as error:
            raise ClientError(f"kafka: {said(error)}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def pending(self) -> bool:
        """Some partition has not been read to its end since `assign`."""
        return bool(self._pending)

    def bounds(self, topic: str, partition: int, timeout_s: float = _ASK_S) -> tuple[int, int]:
        """Offset of the first record, and that behind the last which this reader sees."""
        deadline = time.monotonic() + timeout_s
        while True:
            left_s = max(deadline - time.monotonic(), 0.1)
            try:
                low, high = self._client.get_watermark_offsets(TopicPartition(topic, partition), timeout=left_s)
            except FAILURES as error:
                # A leader that moves, as when brokers are restarted one by one, is found again by asking once more.
                code = cause(error).code()
                if code in MISSING:
                    Cluster(self._config).topic(topic, partition)
                if code not in LEADERLESS | MISSING or time.monotonic() > deadline:
                    raise self.failure(cause(error), topic) from error
                time.sleep(_LEADER_S)
            else:
                return int(low), int(high)

    def end_seen(self, topic: str, partition: int) -> int | None:
        """Where a partition ended when something last came of it; nothing is asked. None: nothing has come yet."""
        try:
            _, high = self._client.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
        except FAILURES:
            return None
        return int(high) if high >= 0 else None

    def assign(self, starts: Mapping[Place, int], ends: Mapping[Place, int] | None = None) -> None:
        """Read these partitions from these offsets; to `ends` (next to read), or to wherever each is found to end."""
        self._pending = {place: (ends or {}).get(place) for place in starts}
        self._client.assign([TopicPartition(*place, at) for place, at in starts.items()])

    def further(self, ends: Mapping[Place, int]) -> None:
        """Let `to_end` read on to these offsets (next to read), none of which was reached yet."""
        self._pending = dict(ends)

    def read(self, rows_max: int, timeout_s: float) -> Piece:
        """What has come, at the latest after `timeout_s`. Raises DeniedError, and ClientError for what is final."""
        piece = Piece()
        for message in self._client.consume(rows_max, timeout_s):
            place = (str(message.topic()), int(message.partition() or 0))
            error = message.error()
            if error is None:
                piece.records.append(message)
                piece.reached[place] = int(message.offset() or 0) + 1
                piece.ended.discard(place)
            elif error.code() == KafkaError._PARTITION_EOF:
                piece.reached[place] = int(message.offset() or 0)
                piece.ended.add(place)
            elif error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                continue  # it needs no group: see `config.reader`
            elif error.fatal() or error.code() in _FINAL:
                raise self.failure(error, str(message.topic() or ""))
            else:  # librdkafka gets over it
                log.warning("kafka: %s", said(error))
        for place, at in piece.reached.items():
            end = self._pending.get(place)
            if (end is None and place in piece.ended) or (end is not None and at >= end):
                self._pending.pop(place, None)
        return piece

    def to_end(self, *, rows_max: int = 5_000, silent_s: float = 30.0) -> Iterator[Piece]:
        """All that comes until every partition was read to its end; `read` may go on after it.

        Raises ClientError when nothing has come for `silent_s`.
        """
        heard = time.monotonic()
        while self._pending:
            piece = self.read(rows_max, _POLL_S)
            if piece.reached:
                heard = time.monotonic()
            elif time.monotonic() - heard > silent_s:
                topic, number = min(self._pending)
                Cluster(self._config).topic(topic)  # a right that is missing is silence to a consumer
                raise ClientError(self._troubles.beside(f"{topic}[{number}]: nothing has come for {silent_s:.0f} s"))
            yield piece

    def failure(self, error: KafkaError, topic: str) -> ClientError:
        """What this error means for whoever reads `topic`."""
        if (right := right_of(error, topic=topic)) is not None:
            return denied(self._config, right)
        if error.code() in MISSING:  # or hidden for want of a right, which a consumer cannot tell
            try:
                Cluster(self._config).topic(topic)
            except ClientError as told:
                return told
            return MissingError(f"{topic}: it was gone while it was read, and is there again; start again")
        where = f"{topic}: " if topic else ""
        self._client.poll(0)
        return ClientError(where + self._troubles.beside(said(error)))


# What no waiting mends. Others, such as a broker that restarts, librdkafka gets over.
_FINAL = {*DENIED, *MISSING, KafkaError._AUTO_OFFSET_RESET}
