"""How a worker is a member of its group."""

from __future__ import annotations

from streams.settings import Settings


def membership(settings: Settings) -> dict[str, object]:
    """librdkafka's properties of a member.

    Classic members are static: a quick restart moves no partitions. Under KIP-848 a static member that was killed is
    refused until the broker has missed it for its session time-out, 45 s unless the broker says otherwise; and one that
    leaves keeps its partitions.
    """
    if settings.group_protocol == "consumer":
        return {
            "group.id": settings.group,
            "client.id": slot(settings),
            "group.protocol": "consumer",
            "group.remote.assignor": "range",
            **_fetching(settings),
        }
    return {
        "group.id": settings.group,
        "client.id": slot(settings),
        "group.instance.id": slot(settings),
        "partition.assignment.strategy": "range",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.session_timeout_ms // 4,
        **_fetching(settings),
    }


def _fetching(settings: Settings) -> dict[str, object]:
    return {"queued.max.messages.kbytes": settings.fetch_queue_mb * 1_024}


def producing(settings: Settings) -> dict[str, object]:
    """librdkafka's properties of the worker's producer."""
    return {
        "transaction.timeout.ms": settings.transaction_timeout_ms,
        "queue.buffering.max.kbytes": settings.produce_queue_mb * 1_024,
    }


def slot(settings: Settings) -> str:
    """What a worker is called among the members, by which those who ask the group know it."""
    return f"{settings.group}-{settings.instance}"
