"""Whether a group may be joined, found out by joining it; for one that has no members, which nobody notices."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import Consumer

from streams.kafka.config import Properties, polling
from streams.kafka.errors import DENIED
from streams.kafka.rights import denied, right_of

_JOIN_S = 15.0


def may_join(config: Properties, group: str, topic: str) -> bool:
    """Join, and leave at once; False where that did not come about in time. Raises DeniedError.

    topic: one that may be read; nothing of it is, and no offset is kept.
    """
    joined: list[Any] = []
    client = Consumer(polling({**config, "group.id": group, "log_level": 0}))
    try:
        client.subscribe([topic], on_assign=lambda consumer, places: joined.append(True))
        deadline = time.monotonic() + _JOIN_S
        while not joined and time.monotonic() < deadline:
            for message in client.consume(100, 0.1):
                error = message.error()
                if error is not None and error.code() in DENIED:
                    right = right_of(error, topic=str(message.topic() or topic), group=group)
                    if right is not None:
                        raise denied(config, right)
        return bool(joined)
    finally:
        client.close()
