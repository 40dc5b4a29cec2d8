"""Writing records in transactions: all of one, or none, and the writer knows where each went."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.kafka import config as properties
from streams.kafka.errors import FAILURES, ClientError, Troubles, cause, said
from streams.kafka.group_reader import GroupReader
from streams.kafka.handshake import check, reason
from streams.kafka.rights import denied, right_of

log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0


class WriteError(ClientError):
    """A transaction that was not committed, or whose outcome is not known; the message says which."""


class ReplacedError(WriteError):
    """Another process took over the transactional id: this one must stop."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to write; value None deletes the key on a compacted topic."""

    topic: str
    key: str
    value: bytes | None


class TransactionalWriter:
    """One producer with a transactional id. Calls block; one thread at a time.

    Opening it ends what an earlier holder of the id left open, and that one can write no more. Raises WriteError.
    """

    def __init__(
        self, bootstrap_servers: str, transactional_id: str, client: Mapping[str, str | int | float | bool]
    ) -> None:
        self._config = {
            **client, "bootstrap.servers": bootstrap_servers, "transaction.timeout.ms": int(_TIMEOUT_S * 1_000),
        }  # fmt: skip
        check(self._config)
        self._id = transactional_id
        self._troubles = Troubles()
        self._undelivered: tuple[KafkaError, str] | None = None  # of the last record that did not arrive, and its topic
        made = {**properties.transactional(self._config, transactional_id), "linger.ms": 0, "error_cb": self._troubles}
        try:
            self._producer = Producer(made, logger=log)
        except FAILURES as error:
            raise WriteError(f"kafka: {said(error)}") from error
        try:
            self._producer.init_transactions(_TIMEOUT_S)
        except FAILURES as error:
            raise self._failed(error) from error

    def write(self, records: Sequence[Outgoing], read: GroupReader | None = None) -> list[tuple[str, int, int]]:
        """Write records in one transaction; topic, partition and offset of each, in their order. Raises WriteError.

        read: whose offsets are committed with them.
        """
        places: list[tuple[str, int, int] | None] = [None] * len(records)
        self._undelivered = None
        try:
            self._producer.begin_transaction()
            for number, record in enumerate(records):
                self._producer.produce(
                    record.topic, key=record.key, value=record.value, on_delivery=self._noting(places, number)
                )
                self._producer.poll(0)
            if self._producer.flush(_TIMEOUT_S):
                raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, "records not delivered"))
            if read is not None and (offsets := read.offsets()):
                self._producer.send_offsets_to_transaction(offsets, read.membership(), _TIMEOUT_S)
            self._commit()
        except (*FAILURES, BufferError) as error:
            refused = self._abort()
            raise self._failed(refused if refused and isinstance(error, SystemError) else error, read) from error
        return [place for place in places if place is not None]

    def _commit(self) -> None:
        while True:
            try:
                self._producer.commit_transaction(_TIMEOUT_S)
                return
            except KafkaException as error:
                if not cause(error).retriable():
                    raise

    def _abort(self) -> Exception | None:
        """Take back what was written; what stood against it."""
        try:
            self._producer.abort_transaction(_TIMEOUT_S)
        except FAILURES as error:
            log.warning("kafka: a transaction could not be taken back: %s", said(error))
            return error
        return None

    def _noting(
        self, places: list[tuple[str, int, int] | None], number: int
    ) -> Callable[[KafkaError | None, Message], None]:
        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                places[number] = message.topic() or "", message.partition() or 0, message.offset() or 0
            else:
                self._undelivered = error, message.topic() or ""

        return delivered

    def _failed(self, error: BaseException, read: GroupReader | None = None) -> WriteError:
        if isinstance(error, BufferError):
            return WriteError(f"not written: {error}")
        told = cause(error)
        if told.code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
            return ReplacedError("another process of the same name has started, and this one can write no more")
        group = "" if read is None else read.group
        told, topic = self._undelivered or (told, "")
        right = right_of(told, topic=topic, transactional_id=self._id, group=group, operation="WRITE")
        if right is not None:
            return WriteError(f"not written: {denied(self._config, right)}")
        self._producer.poll(0)
        why = reason(self._config, self._troubles.last) if self._troubles.refused_at is not None else ""
        return WriteError(f"not written: {self._troubles.beside(why or said(told))}")
