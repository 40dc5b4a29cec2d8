"""`waybill.rules` and the workers' acknowledgements, for commands; and how a worker acknowledges.

A push is one transaction. Its transactional id is fixed, so of two pushes at a time the earlier one fails, and numbers
rise one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from schemas import topics
from schemas.refusals import UNREADABLE
from schemas.rulesets import SETS_KEPT, Ack, RuleSet, ack_key, set_key
from streams.kafka import naming
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError
from streams.kafka.log_reader import LogReader
from streams.kafka.producer import Sender, TransactionError, Transactions
from streams.rulesets.reading import Sets
from streams.settings import KafkaProperty

_TIMEOUT_S = 30.0
_encode = msgspec.json.Encoder().encode
_ack = msgspec.json.Decoder(Ack)


@dataclass(frozen=True, slots=True)
class Board:
    """The topics on one broker. client: further librdkafka properties; group: whose workers follow them."""

    servers: str
    client: Mapping[str, KafkaProperty]
    group: str

    def sets(self) -> Sets:
        """The sets that are kept. Raises ClientError."""
        found = Sets()
        for key, value in self._read(topics.RULES):
            found.add(key, value)
        return found

    def publish(self, make: Callable[[Sets], RuleSet]) -> RuleSet:
        """Write the set that `make` gives for those that are there, as the next one; all of it or nothing.

        make: gives one of a number that is kept already to leave things as they are. Raises ClientError.
        """
        config = {**self._config(), "transaction.timeout.ms": int(1000 * _TIMEOUT_S), "message.max.bytes": 8_000_000}
        kafka = Transactions(config, naming.of(self.group, "rules"))
        try:
            kafka.start()  # ends a push that was cut short, so that it is not read below
            before = self.sets()
            pushed = make(before)
            if pushed.number in before.kept:
                return pushed
            kafka.begin()
            kafka.produce(topics.RULES, 0, [{"key": key, "value": value} for key, value in _records(before, pushed)])
            kafka.commit()
            return pushed
        except TransactionError as error:
            raise ClientError(f"{topics.RULES}: not pushed: {error}") from error

    def acks(self) -> dict[str, Ack]:
        """What each worker of the group has said last, by instance. Raises ClientError."""
        found = {}
        for _, value in self._read(topics.RULE_ACKS):
            try:
                said = _ack.decode(value or b"")
            except UNREADABLE:
                continue  # of another version
            if said.group == self.group:
                found[said.instance] = said
        return found

    def members(self) -> set[str]:
        """The instances that are in the group now. Raises ClientError."""
        names = Cluster(self._config()).group(self.group).names
        return {name.removeprefix(f"{self.group}-") for name in names}

    def _read(self, topic: str) -> Iterator[tuple[bytes, bytes | None]]:
        """Every committed record of a topic, key and value."""
        with LogReader(self.servers, [topic], client=self.client) as reader:
            yield from ((entry.key, entry.value) for entry in reader.to_end())

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
        self._sender = Sender(config)

    def say(self, said: Ack) -> None:
        """Take the place of what this worker said before."""
        self._sender.send(topics.RULE_ACKS, ack_key(said.group, said.instance), _encode(said), 0)
