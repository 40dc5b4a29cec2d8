"""Rights: what a worker needs, and how to say what is missing.

Kafka's own words: a principal is allowed an operation on a resource. What a worker needs is exactly this:

topic             READ   what it reads: inputs, internal topics, reference data, rules
topic             WRITE  what it writes: alerts, rejects, notices, shadow, internal topics
group             READ   the setting `group`
transactional id  WRITE  `GROUP-INSTANCE`

Names of groups and transactional ids begin with the setting `group`, so one prefixed entry allows all workers. READ and
WRITE imply DESCRIBE. Nothing is needed on the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaError

from schemas import topics
from schemas.inputs import CONSUMED_TOPICS
from streams.kafka.errors import DeniedError

Operation = Literal["READ", "WRITE", "DESCRIBE", "CREATE", "DELETE", "DESCRIBE_CONFIGS", "ALTER"]
Kind = Literal["topic", "group", "transactional id"]

READS = (
    *CONSUMED_TOPICS, topics.REFERENCE, topics.RULES, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG,
)  # fmt: skip
WRITES = (
    topics.OBSERVATIONS, topics.FACTS, topics.ALERTS, topics.SHADOW, topics.TALLIES, topics.ORDERS, topics.NOTICES,
    topics.REJECTS, topics.RULE_ACKS, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG,
)  # fmt: skip
WORKER_TOPICS = tuple(dict.fromkeys((*READS, *WRITES)))


@dataclass(frozen=True, slots=True)
class Right:
    """One operation on one resource."""

    operation: Operation
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}"


def worker_rights(group: str) -> tuple[Right, ...]:
    """What a worker of this group needs, apart from its transactional id."""
    return (
        *(Right("READ", "topic", name) for name in READS),
        *(Right("WRITE", "topic", name) for name in WRITES),
        Right("READ", "group", group),
    )


def principal(config: Mapping[str, object]) -> str:
    """Who a client with these properties is to the broker, as far as they say."""
    protocol = str(config.get("security.protocol", "plaintext")).upper()
    if protocol.startswith("SASL"):
        name = config.get("sasl.username")
        return f"User:{name}" if name else "this client's principal"
    if protocol == "SSL":
        return "the principal of this client's certificate"
    return "User:ANONYMOUS"


def denied(config: Mapping[str, object], *rights: Right) -> DeniedError:
    """What to say where these rights are missing."""
    who = principal(config)
    many = ", ".join(map(str, rights))
    return DeniedError(f"the broker denies {who} {many}; {advice(config, *rights)}")


def advice(config: Mapping[str, object], *rights: Right) -> str:
    """The command that grants these rights; for several, that of the first, and how the others go."""
    first = rights[0]
    who = principal(config)
    user = f"'{who}'" if who.startswith("User:") else "User:NAME"
    option = f"--{first.kind.replace(' ', '-')} {first.name}"
    text = (
        f"grant it with `kafka-acls.sh --bootstrap-server HOST:PORT --add --allow-principal {user} "
        f"--operation {first.operation} {option}`"
    )
    return text if len(rights) == 1 else f"{text}, and likewise for the others"


def right_of(error: KafkaError, *, topic: str = "", group: str = "", transactional_id: str = "",
             operation: Operation = "READ") -> Right | None:  # fmt: skip
    """The right for want of which this was refused, of the resources at hand; None if it was something else.

    An idempotent producer that may write no topic at all is refused by the cluster: a topic's right cures that, too.
    """
    code = error.code()
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED and group:
        return Right("READ", "group", group)
    if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED and transactional_id:
        return Right("WRITE", "transactional id", transactional_id)
    if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED) and topic:
        return Right(operation, "topic", topic)
    return None
