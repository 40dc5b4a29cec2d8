"""librdkafka's properties of every client of ours, in one place.

`client` is what all have in common: the servers, and what the setting `kafka` adds. Each kind of client puts its own
over it, so that nothing a deployment sets changes what correctness rests on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from streams.kafka import naming
from streams.settings import Settings

Properties = Mapping[str, object]
log = logging.getLogger("streams.kafka")

WAIT_MS = 100
"""How long a broker keeps a request for records that are not there. One that comes is sent at once; but partitions that
were just assigned or resumed wait for it, and an idle broker computes for each request."""


def client(settings: Settings) -> dict[str, object]:
    """What every client has in common."""
    return {"bootstrap.servers": settings.bootstrap_servers, **settings.kafka}


def reader(config: Properties, *, committed: bool = True, more: Properties | None = None) -> dict[str, Any]:
    """A consumer that assigns itself and keeps no offsets.

    librdkafka wants a `group.id` of every consumer that assigns partitions, and asks for its coordinator once. With
    offsets that are given, none that are stored or committed, and no subscription, nothing waits for the answer: a
    refusal is an event that `Reader` leaves out. So the client needs no right on any group.
    """
    return {
        "group.id": naming.GROUP,
        "fetch.wait.max.ms": 50,
        **config,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed" if committed else "read_uncommitted",
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "fetch.queue.backoff.ms": 5,
        **(more or {}),
    }


def polling(config: Properties) -> dict[str, Any]:
    """A worker's consumer; `config` has its membership."""
    return {
        **config,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,  # for `lag`
        "isolation.level": "read_committed",
        "auto.offset.reset": "error",  # where nothing was committed the poller says so
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": WAIT_MS,
        "queued.min.messages": 100_000,
        "max.partition.fetch.bytes": 4_194_304,
    }


def member(config: Properties) -> dict[str, Any]:
    """A consumer of a group whose offsets travel in transactions; `config` has its `group.id`."""
    return {
        "session.timeout.ms": 10_000,
        **config,
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "range",  # the same partitions of all its topics
        "fetch.wait.max.ms": WAIT_MS,
        "fetch.queue.backoff.ms": 5,
    }


def sender(config: Properties) -> dict[str, Any]:
    """A producer whose records are never misordered or doubled, put where Java clients would put them."""
    return {
        "linger.ms": 5,
        "compression.type": "lz4",
        **config,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
    }


def transactional(config: Properties, transactional_id: str) -> dict[str, Any]:
    """A producer of large transactions."""
    return {
        **config,
        "transactional.id": transactional_id,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 5,
        "batch.size": 1_000_000,
        "compression.type": "lz4",
        "queue.buffering.max.messages": 10_000_000,
    }


def membership(settings: Settings) -> dict[str, object]:
    """How a worker is a member of its group.

    Classic members are static: a quick restart moves no partitions. Under KIP-848 a static member that was killed is
    refused until the broker has missed it for its session time-out, 45 s unless the broker says otherwise; and one that
    leaves keeps its partitions.
    """
    fetching = {"queued.max.messages.kbytes": settings.fetch_queue_mb * 1_024}
    if settings.group_protocol == "consumer":
        return {
            "group.id": settings.group,
            "client.id": member_id(settings),
            "group.protocol": "consumer",
            "group.remote.assignor": "range",
            **fetching,
        }
    return {
        "group.id": settings.group,
        "client.id": member_id(settings),
        "group.instance.id": member_id(settings),
        "partition.assignment.strategy": "range",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.session_timeout_ms // 4,
        **fetching,
    }


def producing(settings: Settings) -> dict[str, object]:
    """The bounds of a worker's producer."""
    return {
        "transaction.timeout.ms": settings.transaction_timeout_ms,
        "queue.buffering.max.kbytes": settings.produce_queue_mb * 1_024,
    }


def member_id(settings: Settings) -> str:
    """What a worker is called among the members; see `naming.worker`."""
    return naming.worker(settings.group, settings.instance)
