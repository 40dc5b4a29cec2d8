"""Topics on a broker: create those that are missing, show what is there, delete all of them.

`partitions` holds for every topic but those read whole (reference, rules), which have one. Parcels and entities are
co-partitioned, so equal counts are part of the contract, and a topic of workers that differs is an error. The desk's
topics keep the count that they were made with.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka.admin import NewTopic

from schemas import topics
from schemas.topics import TOPICS, Topic
from streams.kafka.cluster import Cluster, TopicFacts
from streams.kafka.errors import ClientError

Client = Mapping[str, str | int | float | bool]

_TIMEOUT_S = 30.0
_MB = 1024 * 1024
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_YEAR_MS = 366 * _DAY_MS

_Config = Mapping[str, str | float]

# What workers write is dated by the broker: a worker's clock that jumps must neither let records be deleted before they
# are read, nor have them refused, as the broker does with those more than an hour ahead of its own clock.
_DATED: _Config = {"message.timestamp.type": "LogAppendTime"}
_INTERNAL: _Config = {**_DATED, "max.message.bytes": 4 * _MB, "compression.type": "lz4"}
# Observations and facts are done with in seconds; the hours are for a worker that was down.
_QUEUE: _Config = {**_INTERNAL, "retention.ms": 6 * _HOUR_MS, "segment.bytes": 64 * _MB}
# Small segments, because compaction never touches the one that is written to.
_CHANGELOG: _Config = {
    **_INTERNAL,
    "segment.bytes": 32 * _MB,
    "segment.ms": _HOUR_MS,
    "min.cleanable.dirty.ratio": 0.3,
    "max.compaction.lag.ms": _DAY_MS,
    "delete.retention.ms": _DAY_MS,
}
# A parcel is judged by the licence that held when it was accepted: what is replaced or deleted stays readable, also for
# a worker that starts, until no parcel is under way that was accepted before.
_REFERENCE: _Config = {
    "min.compaction.lag.ms": 7 * _DAY_MS,
    "delete.retention.ms": 7 * _DAY_MS,
    "segment.ms": _DAY_MS,
}
_KEPT: _Config = {"retention.ms": 180 * _DAY_MS}
# What `waybill erase` has replaced is gone within a week, however little else comes.
_SHOWING: _Config = {**_KEPT, **_DATED, "max.compaction.lag.ms": 7 * _DAY_MS}
_CONFIG: dict[str, _Config] = {
    topics.OBSERVATIONS: _QUEUE,
    topics.FACTS: _QUEUE,
    topics.ALERTS: _SHOWING,
    topics.SHADOW: {**_KEPT, **_DATED},
    topics.NOTICES: {**_KEPT, **_DATED},
    topics.FEEDBACK: _KEPT,
    topics.REJECTS: {**_DATED, "retention.ms": 30 * _DAY_MS},
    topics.REFERENCE: _REFERENCE,
    topics.TRACES: _SHOWING,
    topics.TALLIES: {"retention.ms": 400 * _DAY_MS},
    topics.ORDERS: {**_KEPT, **_DATED},
    topics.CLUES: {**_DATED, "retention.ms": 3 * _YEAR_MS},
    topics.HOLDS: {**_KEPT, **_DATED},
    topics.ENFORCEMENT: {**_DATED, "retention.ms": 5 * _YEAR_MS},
    topics.ACCESS: {**_DATED, "retention.ms": 3 * _YEAR_MS},
    topics.RULES: {"max.message.bytes": 4 * _MB},  # a set is one record
}


def retention_d(name: str) -> float | None:
    """For how many days a topic is created to keep records; None: as the broker does, or the newest of each key."""
    kept = _CONFIG.get(name, {}).get("retention.ms")
    return None if kept is None else float(kept) / _DAY_MS


class TopicError(ClientError):
    """Topics are not as they must be; the message names topics and counts."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """What a broker has of one topic. `partitions` 0: it is missing, or `hidden` from this client for want of a right.

    offsets: sum of end minus start offsets; 0 where that was not asked for.
    """

    topic: Topic
    partitions: int
    replication: int = 0
    offsets: int = 0
    hidden: bool = False
    allowed: frozenset[str] | None = None  # what this client may do with it; None: the broker does not say


def create(bootstrap: str, partitions: int = 4, replication: int = 1, *, client: Client | None = None) -> list[str]:
    """Create the topics that are missing and wait until each has its leaders; returns the names created.

    Idempotent. `client`: further librdkafka properties. Raises `TopicError` when a topic exists with another partition
    count, before anything is created, and `ClientError` when the broker refuses or does not answer.
    """
    cluster = _cluster(bootstrap, client)
    there = _there(cluster)
    _check_counts(there, partitions)
    missing = [topic for topic in TOPICS if not there[topic.name].partitions]
    if missing:
        cluster.create(_request(topic, expected_partitions(topic, partitions), replication) for topic in missing)
    there = _led(cluster, there)
    _check_counts(there, partitions)  # again: someone else may have created one meanwhile
    if missing:
        _offsets(cluster, there)  # a leader is named before it serves its partition; this waits until all do
    return [topic.name for topic in missing]


def create_as(bootstrap: str, counts: Mapping[str, int], replication: int, *, client: Client | None = None) -> None:
    """Create those of some topics that are missing, each with its own count of partitions. Raises as `create` does."""
    cluster = _cluster(bootstrap, client)
    there = cluster.topics(list(counts))
    if wrong := [
        f"{name} has {facts.partitions}, wanted {counts[name]}"
        for name, facts in there.items()
        if facts.partitions not in (0, counts[name])
    ]:
        raise TopicError(f"partition counts differ: {'; '.join(wrong)}")
    missing = [topic for topic in TOPICS if topic.name in counts and not there[topic.name].partitions]
    if missing:
        cluster.create(_request(topic, counts[topic.name], replication) for topic in missing)
    _offsets(cluster, _led(cluster, there))


def show(bootstrap: str, *, client: Client | None = None) -> list[TopicState]:
    """The state of every topic, in the order of `TOPICS`. Raises `ClientError` when the broker does not answer."""
    cluster = _cluster(bootstrap, client)
    there = _there(cluster)
    return _states(there, TOPICS, _offsets(cluster, there))


def look(
    bootstrap: str, names: Sequence[str], *, client: Client | None = None, needed: bool = False
) -> list[TopicState]:
    """The state of these topics, without how much they hold; needed: see `Cluster.topics`. Raises `ClientError` when
    the broker does not answer."""
    found = [topic for topic in TOPICS if topic.name in names]
    return _states(_cluster(bootstrap, client).topics([topic.name for topic in found], needed=needed), found, {})


def delete(bootstrap: str, *, client: Client | None = None, but: Collection[str] = ()) -> list[str]:
    """Delete every topic of ours, `but` some, with all that it holds, and wait until they are gone; returns the names
    deleted."""
    cluster = _cluster(bootstrap, client)
    names = [name for name, facts in _there(cluster).items() if facts.partitions and name not in but]
    if names:
        cluster.delete(names)
    deadline = time.monotonic() + _TIMEOUT_S
    while left := [name for name, facts in _there(cluster).items() if facts.partitions and name in names]:
        if time.monotonic() > deadline:
            raise TopicError(f"topics are still there {_TIMEOUT_S:.0f} s after their deletion: {', '.join(left)}")
        time.sleep(0.02)
    return names


def expected_partitions(topic: Topic, partitions: int) -> int:
    """How many partitions a topic has when the others have `partitions`."""
    return 1 if topic.single else partitions


def grow_advice(partitions: int) -> str:
    """What to do where topics of workers have other counts than so many partitions."""
    return f"stop all workers, then run `waybill topics grow --partitions {partitions}`, which brings their state along"


def declared(topic: Topic) -> dict[str, str]:
    """The configuration with which a topic is created."""
    changelog = topic.internal and topic.cleanup == "compact"
    config = {"cleanup.policy": topic.cleanup, **(_CHANGELOG if changelog else _CONFIG.get(topic.name, {}))}
    return {key: str(value) for key, value in config.items()}


def _request(topic: Topic, partitions: int, replication: int) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=partitions,
        replication_factor=replication,
        config=declared(topic),
    )


def _led(cluster: Cluster, wanted: Collection[str]) -> dict[str, TopicFacts]:
    """These topics, once each of them has its leaders. Raises TopicError."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        there = cluster.topics(list(wanted))
        leaderless = [name for name, facts in there.items() if not (facts.led or facts.hidden)]
        if not leaderless:
            return there
        if time.monotonic() > deadline:
            raise TopicError(f"topics have no leader after {_TIMEOUT_S:.0f} s: {', '.join(leaderless)}")
        time.sleep(0.02)


def _check_counts(there: Mapping[str, TopicFacts], partitions: int) -> None:
    wrong = [
        f"{topic.name} has {found}, wanted {wanted}"
        for topic in TOPICS
        if not topic.desk
        and (found := there[topic.name].partitions)
        and found != (wanted := expected_partitions(topic, partitions))
    ]
    if wrong:
        most = max(partitions, *(there[topic.name].partitions for topic in TOPICS if not topic.desk))
        raise TopicError(
            f"partition counts differ, and parcels would not meet: {'; '.join(wrong)}; {grow_advice(most)}"
        )


def _cluster(bootstrap: str, client: Client | None) -> Cluster:
    return Cluster({**(client or {}), "bootstrap.servers": bootstrap}, timeout_s=_TIMEOUT_S)


def _there(cluster: Cluster) -> dict[str, TopicFacts]:
    return cluster.topics([topic.name for topic in TOPICS])


def _states(there: Mapping[str, TopicFacts], wanted: Sequence[Topic], offsets: Mapping[str, int]) -> list[TopicState]:
    return [
        TopicState(topic, facts.partitions, facts.replication, offsets.get(topic.name, 0), facts.hidden, facts.allowed)
        for topic in wanted
        for facts in (there[topic.name],)
    ]


def _offsets(cluster: Cluster, there: Mapping[str, TopicFacts]) -> dict[str, int]:
    """Sum of end minus start offsets by topic."""
    places = [(name, number) for name, facts in there.items() for number in range(facts.partitions)]
    sums = dict.fromkeys(there, 0)
    for (name, _), (low, high) in cluster.bounds(places).items():
        sums[name] += high - low
    return sums
