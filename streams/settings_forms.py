"""Forms in which the values of settings may be written, before they are checked."""

from __future__ import annotations

from pathlib import Path

_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")

# librdkafka properties that the commit order depends on: a deployment may not change them behind its back.
KAFKA_RESERVED = frozenset({
    "bootstrap.servers", "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "group.id",
    "group.instance.id", "group.protocol", "isolation.level", "partition.assignment.strategy",
    "queue.buffering.max.kbytes", "queued.max.messages.kbytes", "session.timeout.ms", "transactional.id",
    "transaction.timeout.ms",
})  # fmt: skip


def servers(value: object) -> object:
    """Addresses without `kafka://`, which other clients want; a scheme that Kafka's clients do not know is refused."""
    if not isinstance(value, str):
        return value
    found = [part.strip().removeprefix("kafka://").rstrip("/") for part in value.split(",")]
    for each in found:
        scheme, marked, _ = each.partition("://")
        if marked and scheme.upper() not in _PROTOCOLS:
            raise ValueError(f"{scheme}:// is not the address of a Kafka broker: write host:port")
    return ",".join(found)


def split(value: object) -> object:
    """Let a list be written as `a,b,c`: environment variables and options have no other form."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def word(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else str(int(value)) if isinstance(value, int) else value


def home(value: object) -> object:
    """`~` of files and variables, which no shell has seen."""
    return Path(value).expanduser() if isinstance(value, str | Path) else value
