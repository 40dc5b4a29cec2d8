"""`waybill.rules` and the workers' acknowledgements, for commands; and how a worker acknowledges.

A push is one transaction. Its transactional id is fixed, so of two pushes at a time the earlier one fails, and numbers
rise one by one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas import topics
from schemas.rulesets import SETS_KEPT, Ack, RuleSet, ack_key, set_key
from streams.rulesets.reading import Sets
from streams.settings import KafkaProperty

log = logging.getLogger(__name__)

_TIMEOUT_S = 30.0
_encode = msgspec.json.Encoder().encode
_ack = msgspec.json.Decoder(Ack)


class BoardError(RuntimeError):
    """The topics of rules cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Board:
    """The topics on one broker. client: further librdkafka properties."""

    servers: str
    client: Mapping[str, KafkaProperty]

    def sets(self) -> Sets:
        """The sets that are kept. Raises BoardError."""
        found = Sets()
        for key, value in self._read(topics.RULES):
            found.add(key, value)
        return found

    def publish(self, make: Callable[[Sets], RuleSet]) -> RuleSet:
        """Write the set that `make` gives for those that are there, as the next one; all of it or nothing.

        make: gives one of a number that is kept already to leave things as they are. Raises BoardError.
        """
        producer = Producer(
            {
                **self._config(),
                "transactional.id": "waybill-rules",
                "transaction.timeout.ms": int(1000 * _TIMEOUT_S),
                "compression.type": "gzip",
                "message.max.bytes": 8_000_000,
            },
            logger=log,
        )
        try:
            producer.init_transactions(_TIMEOUT_S)  # ends a push that was cut short, so that it is not read below
            before = self.sets()
            pushed = make(before)
            if pushed.number in before.kept:
                return pushed
            producer.begin_transaction()
            for key, value in _records(before, pushed):
                producer.produce(topics.RULES, key=key, value=value, partition=0)
            producer.commit_transaction(_TIMEOUT_S)
            return pushed
        except KafkaException as error:
            raise BoardError(f"{topics.RULES}: not pushed: {error.args[0].str()}") from error

    def acks(self, group: str) -> dict[str, Ack]:
        """What each worker of a group has said last, by instance. Raises BoardError."""
        found = {}
        for _, value in self._read(topics.RULE_ACKS):
            try:
                said = _ack.decode(value or b"")
            except msgspec.DecodeError:
                continue  # of another version
            if said.group == group:
                found[said.instance] = said
        return found

    def members(self, group: str) -> set[str]:
        """The instances that are in a group now. Raises BoardError."""
        try:
            admin = AdminClient(self._config())
            described = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT_S)[group].result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return set()
            raise BoardError(f"group {group}: {error.args[0].str()}") from error
        names = (member.group_instance_id or member.client_id for member in described.members)
        return {name.removeprefix(f"{group}-") for name in names}

    def _read(self, topic: str) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Every committed record of a topic of one partition, key and value."""
        client = Consumer(
            {
                **self._config(),
                "group.id": "waybill-board",  # asked for, and never joined
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
            logger=log,
        )
        try:
            # Of all: asking by name may create it. And one that is missing librdkafka would go on waiting for.
            if topic not in client.list_topics(timeout=_TIMEOUT_S).topics:
                raise BoardError(f"{topic}: no such topic; `waybill topics create` makes it")
            client.assign([TopicPartition(topic, 0, 0)])
            deadline = time.monotonic() + _TIMEOUT_S
            while time.monotonic() < deadline:
                for message in client.consume(1_000, 0.2):
                    error = message.error()
                    if error is None:
                        key = message.key()
                        yield key.encode() if isinstance(key, str) else key, message.value()
                    elif error.code() == KafkaError._PARTITION_EOF:
                        return
                    elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION):
                        raise BoardError(f"{topic}: no such topic; `waybill topics create` makes it")
                    elif not error.retriable():
                        raise BoardError(f"{topic}: {error.str()}")
            raise BoardError(f"{topic}: not read to its end after {_TIMEOUT_S:.0f} s")
        except KafkaException as error:
            raise BoardError(f"{topic}: {error.args[0].str()}") from error
        finally:
            client.close()

    def _config(self) -> dict[str, KafkaProperty]:
        return {**self.client, "bootstrap.servers": self.servers}


def _records(before: Sets, pushed: RuleSet) -> Iterator[tuple[bytes, bytes | None]]:
    """What a push writes: the rules in force one by one, tombstones for those that went, the set, and old sets' end."""
    newest = next((found for number in before.newest() if isinstance(found := before.kept[number], RuleSet)), None)
    for rule_id in sorted((newest.files.keys() if newest else set()) - pushed.files.keys()):
        yield rule_id.encode(), None
    for rule_id, text in sorted(pushed.files.items()):
        yield rule_id.encode(), text.encode()
    yield set_key(pushed.number), _encode(pushed)
    for number in before.newest()[SETS_KEPT - 1 :]:
        yield set_key(number), None


class Acker:
    """A worker's own producer for acknowledgements; they go out by themselves."""

    def __init__(self, config: Mapping[str, object]) -> None:
        self._producer = Producer({**config, "enable.idempotence": True}, logger=log)

    def say(self, said: Ack) -> None:
        """Take the place of what this worker said before."""
        self._producer.produce(
            topics.RULE_ACKS, key=ack_key(said.group, said.instance), value=_encode(said), partition=0
        )
        self._producer.poll(0)
