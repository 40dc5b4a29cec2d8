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
        return {"group.id": settings.group, "group.protocol": "consumer", "group.remote.assignor": "range"}
    return {
        "group.id": settings.group,
        "group.instance.id": f"{settings.group}-{settings.instance}",
        "partition.assignment.strategy": "range",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.session_timeout_ms // 4,
    }
