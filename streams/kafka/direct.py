"""librdkafka spoken to by the native library, where that is in use: no Python object for each record.

confluent-kafka has no such call. The native library finds the client in confluent-kafka's object, which is looked up
anew for each of its releases: with any other one, as without the native library, all goes confluent-kafka's own way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Consumer, Producer

from streams import native
from streams.flow.front.tables import fingerprint
from streams.state.memory import Changes

KNOWN = "2.16."  # releases of confluent-kafka in whose objects the client's pointer comes first


class Writing(Protocol):
    """A producer, directly."""

    def produce(self, topic: str, partition: int, changes: Changes, first: int, rows_max: int) -> int:
        """Queue keys of native changes with their values for a partition, in their order: from `first` on, at most so
        many. Returns how many were taken."""


Fetched = tuple[str, int, bytes, bytes, Sequence[bytes | None]]
"""Topic, partition, offsets and times (each packed as 64-bit integers), and values."""
Event = tuple[str, int, int, int, str]
"""Topic, partition, offset, error code and text: what is said in the place of a record."""


class Reading(Protocol):
    """A consumer, directly. Its own queue is confluent-kafka's still: rebalances, and errors of no partition."""

    def forward(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Read these partitions here from now on; harmless for those that already are."""

    def fetch(self, rows_max: int, timeout_ms: int, bytes_max: int) -> tuple[list[Fetched], list[Event]]:
        """What is there, or comes within the time; a batch that grows past `bytes_max` is followed by another."""

    def close(self) -> None:
        """Let go of the consumer, before it is closed."""


def producer(client: object, config: Mapping[str, object], switch: native.Switch) -> Writing | None:
    """A direct way to this producer, made with `config`; None where there is none."""
    found: Writing | None = _found("Producer", Producer, client, config, switch)
    return found


def consumer(client: object, config: Mapping[str, object], switch: native.Switch) -> Reading | None:
    """A direct way to this consumer, made with `config`; None where there is none."""
    found: Reading | None = _found("Fetcher", Consumer, client, config, switch)
    return found


def _found(name: str, kind: type, client: object, config: Mapping[str, object], switch: native.Switch) -> Any:
    if not isinstance(client, kind):  # another one's: a test's, say
        return None
    library, where = native.library(switch, fingerprint()), _librdkafka()
    if library is None or where is None or not version("confluent-kafka").startswith(KNOWN):
        return None
    called = f"{config.get('client.id', 'rdkafka')}#{kind.__name__.lower()}-"
    try:
        return getattr(library, name)(client, where, called)
    except ValueError:
        return None


@cache
def _librdkafka() -> str | None:
    """The librdkafka that this process has loaded; None: it is part of confluent-kafka's own library, or not Linux."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text(encoding="utf-8").splitlines() if maps.exists() else []
    return next((line.split(maxsplit=5)[5] for line in lines if "/librdkafka" in line), None)
