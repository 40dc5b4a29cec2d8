"""Rights, and how to say what is missing. `roles` lists who needs which.

Kafka's own words: a principal is allowed an operation on a resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaError

from streams.kafka.errors import DeniedError

Operation = Literal["READ", "WRITE", "DESCRIBE", "CREATE", "DELETE", "DESCRIBE_CONFIGS", "ALTER"]
Kind = Literal["topic", "group", "transactional id"]


@dataclass(frozen=True, slots=True)
class Right:
    """One operation on one resource; on all whose names begin so, where it is prefixed."""

    operation: Operation
    kind: Kind
    name: str
    prefixed: bool = False

    def __str__(self) -> str:
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}"


def principal(config: Mapping[str, object]) -> str:
    """Who a client with these properties is to the broker, as far as they say."""
    protocol = str(config.get("security.protocol", "plaintext")).upper()
    if protocol.startswith("SASL"):
        name = config.get("sasl.username")
        if client := config.get("sasl.oauthbearer.client.id"):
            return f"the principal of the token of client {client}"
        return f"User:{name}" if name else "this client's principal"
    if protocol == "SSL":
        return "the principal of this client's certificate"
    return "User:ANONYMOUS"


def denied(config: Mapping[str, object], *rights: Right) -> DeniedError:
    """What to say where these rights are missing."""
    return DeniedError(f"the broker denies {principal(config)} {together(rights)}; {advice(config, *rights)}")


def together(rights: Iterable[Right]) -> str:
    """Several in words, each operation said once."""
    alike: dict[tuple[str, str], list[Right]] = {}
    for right in rights:
        alike.setdefault((right.operation, right.kind), []).append(right)
    return ", ".join(
        f"{operation} on {kind}s {', '.join(right.name for right in them)}" if len(them) > 1 else str(them[0])
        for (operation, kind), them in alike.items()
    )


def advice(config: Mapping[str, object], *rights: Right) -> str:
    """The command that grants these rights; for several, that of the first, and how the others go."""
    first = rights[0]
    who = principal(config)
    user = f"'{who}'" if who.startswith("User:") else "User:NAME"
    option = f"--{first.kind.replace(' ', '-')} {first.name}"
    if first.prefixed:
        option += " --resource-pattern-type prefixed"
    text = (
        f"grant it with `kafka-acls.sh --bootstrap-server HOST:PORT --add --allow-principal {user} "
        f"--operation {first.operation} {option}`"
    )
    return text if len(rights) == 1 else f"{text}, and likewise for the others; `waybill acl` prints all of a role"


def right_of(error: KafkaError, *, topic: str = "", group: str = "", transactional_id: str = "",
             operation: Operation = "READ") -> Right | None:  # fmt: skip
    """The right for want of which this was refused, of the resources at hand; None if it was something else.

    operation: that was wanted of the topic or group; whoever writes needs to READ a group, whose offsets it commits.

    An idempotent producer that may write no topic at all is refused by the cluster: a topic's right cures that, too.
    """
    code = error.code()
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED and group:
        return Right("READ" if operation == "WRITE" else operation, "group", group)
    if code == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED and transactional_id:
        return Right("WRITE", "transactional id", transactional_id)
    if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED) and topic:
        return Right(operation, "topic", topic)
    return None
