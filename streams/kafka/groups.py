"""A group of workers seen from outside: waiting until it is empty, and committing offsets for it then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer

from streams.kafka import config as properties
from streams.kafka.cluster import Cluster
from streams.kafka.config import Properties
from streams.kafka.errors import ClientError

_SPARE_S = 5.0
_LOOK_EVERY_S = 0.5


class GroupError(ClientError):
    """A group that has members, and must not; the message names them."""


def emptied(cluster: Cluster, group: str, session_s: float, say: Callable[[str], None]) -> None:
    """Wait until a group whose workers are stopped has no members. Raises GroupError where it still has some.

    The broker keeps a stopped worker's place in the group for its session time-out.
    """
    deadline = time.monotonic() + session_s + _SPARE_S
    said = False
    while members := cluster.group(group).names:
        if time.monotonic() > deadline:
            raise GroupError(
                f"group {group} has members ({', '.join(sorted(members))}): stop all its workers, then run this again"
            )
        if not said:
            say(f"waiting for up to {session_s:.0f} s until the broker has let {', '.join(sorted(members))} go")
            said = True
        time.sleep(_LOOK_EVERY_S)


class Outsider:
    """Whoever commits offsets of a group without being a member, which the broker takes while it has none. Close it."""

    def __init__(self, config: Properties, group: str) -> None:
        self._client = Consumer(properties.member({"log_level": 0, **config, "group.id": group}))

    @property
    def metadata(self) -> Any:
        """For a transaction that holds offsets."""
        return self._client.consumer_group_metadata()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()
