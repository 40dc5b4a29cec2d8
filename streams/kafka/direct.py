"""librdkafka spoken to by the native library, where that is in use: no Python object for each record.

confluent-kafka has no such call. The native library finds the client in confluent-kafka's object, which is looked up
anew for each of its releases: with any other one, as without the native library, all goes confluent-kafka's own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import Producer

from streams import native
from streams.flow.front.tables import fingerprint

KNOWN = "2.16."  # releases of confluent-kafka in whose objects the client's pointer comes first


class Changes(Protocol):
    """What is queued at once."""

    def produce(self, topic: str, partition: int, changes: Mapping[bytes, bytes | None]) -> int:
        """Queue keys with their values for a partition, in their order; how many were taken."""


def producer(client: object, config: Mapping[str, object], switch: native.Switch) -> Changes | None:
    """A direct way to this producer, made with `config`; None where there is none."""
    if not isinstance(client, Producer):  # another one's: a test's, say
        return None
    library, where = native.library(switch, fingerprint()), _librdkafka()
    if library is None or where is None or not version("confluent-kafka").startswith(KNOWN):
        return None
    try:
        direct: Any = library.Producer(client, where, f"{config.get('client.id', 'rdkafka')}#producer-")
    except ValueError:
        return None
    return direct  # type: ignore[no-any-return]


@cache
def _librdkafka() -> str | None:
    """The librdkafka that this process has loaded; None: it is part of confluent-kafka's own library, or not Linux."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text(encoding="utf-8").splitlines() if maps.exists() else []
    return next((line.split(maxsplit=5)[5] for line in lines if "/librdkafka" in line), None)
