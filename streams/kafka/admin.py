"""Topics on a broker: create those that are missing, show what is there, delete all of them.

`partitions` holds for every topic but those read whole (reference, rules), which have one: parcels and entities are
co-partitioned, so equal counts are part of the contract, and a topic that differs is an error.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec, TopicMetadata

from schemas import topics
from schemas.topics import TOPICS, Topic

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
_CONFIG: dict[str, _Config] = {
    topics.OBSERVATIONS: _QUEUE,
    topics.FACTS: _QUEUE,
    topics.ALERTS: {**_KEPT, **_DATED},
    topics.SHADOW: {**_KEPT, **_DATED},
    topics.NOTICES: {**_KEPT, **_DATED},
    topics.FEEDBACK: _KEPT,
    topics.REJECTS: {**_DATED, "retention.ms": 30 * _DAY_MS},
    topics.REFERENCE: _REFERENCE,
    topics.TRACES: {**_KEPT, **_DATED},
    topics.TALLIES: {"retention.ms": 400 * _DAY_MS},
    topics.ORDERS: {**_KEPT, **_DATED},
    topics.CLUES: {**_DATED, "retention.ms": 3 * _YEAR_MS},
    topics.HOLDS: {**_KEPT, **_DATED},
    topics.ENFORCEMENT: {**_DATED, "retention.ms": 5 * _YEAR_MS},
    topics.ACCESS: {**_DATED, "retention.ms": 3 * _YEAR_MS},
    topics.RULES: {"max.message.bytes": 4 * _MB},  # a set is one record
}

_NOT_YET = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
}


class TopicError(RuntimeError):
    """Topics are not as they must be, or the broker could not be asked; the message names topics and counts."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """What a broker has of one topic. `partitions` 0: it is missing. `offsets`: sum of end minus start offsets."""

    topic: Topic
    partitions: int
    replication: int
    offsets: int


def create(bootstrap: str, partitions: int = 4, replication: int = 1, *, client: Client | None = None) -> list[str]:
    """Create the topics that are missing and wait until each has its leaders; returns the names created.

    Idempotent. `client`: further librdkafka properties. Raises `TopicError` when a topic exists with another partition
    count, before anything is created, or when the broker refuses or does not answer.
    """
    admin = Admin(bootstrap, client)
    there = _described(admin)
    _check_counts(there, partitions)
    missing = [topic for topic in TOPICS if topic.name not in there]
    requests = [_request(topic, partitions, replication) for topic in missing]
    if requests:
        _await(admin.create_topics(requests, operation_timeout=_TIMEOUT_S), ok=KafkaError.TOPIC_ALREADY_EXISTS)
    deadline = time.monotonic() + _TIMEOUT_S
    while not _ready(there := _described(admin)):
        if time.monotonic() > deadline:
            raise TopicError(f"topics have no leader after {_TIMEOUT_S:.0f} s: {', '.join(_leaderless(there))}")
        time.sleep(0.02)
    _check_counts(there, partitions)  # again: someone else may have created one meanwhile
    if missing:
        _offsets(admin, there)  # a leader is named before it serves its partition; this waits until all do
    return [topic.name for topic in missing]


def show(bootstrap: str, *, client: Client | None = None) -> list[TopicState]:
    """The state of every topic, in the order of `TOPICS`. Raises `TopicError` when the broker does not answer."""
    admin = Admin(bootstrap, client)
    there = _described(admin)
    offsets = _offsets(admin, there)
    states = []
    for topic in TOPICS:
        found = there.get(topic.name)
        replicas = min((len(p.replicas) for p in found.partitions.values()), default=0) if found else 0
        count = len(found.partitions) if found else 0
        states.append(TopicState(topic, count, replicas, offsets.get(topic.name, 0)))
    return states


def delete(bootstrap: str, *, client: Client | None = None) -> list[str]:
    """Delete every topic of ours with all that it holds, and wait until they are gone; returns the names deleted."""
    admin = Admin(bootstrap, client)
    names = list(_described(admin))
    if names:
        _await(admin.delete_topics(names, operation_timeout=_TIMEOUT_S), ok=KafkaError.UNKNOWN_TOPIC_OR_PART)
    deadline = time.monotonic() + _TIMEOUT_S
    while left := _described(admin):
        if time.monotonic() > deadline:
            raise TopicError(f"topics are still there {_TIMEOUT_S:.0f} s after their deletion: {', '.join(left)}")
        time.sleep(0.02)
    return names


def expected_partitions(topic: Topic, partitions: int) -> int:
    """How many partitions a topic has when the others have `partitions`."""
    return 1 if topic.single else partitions


def declared(topic: Topic) -> dict[str, str]:
    """The configuration with which a topic is created."""
    changelog = topic.internal and topic.cleanup == "compact"
    config = {"cleanup.policy": topic.cleanup, **(_CHANGELOG if changelog else _CONFIG.get(topic.name, {}))}
    return {key: str(value) for key, value in config.items()}


def _request(topic: Topic, partitions: int, replication: int) -> NewTopic:
    return NewTopic(
        topic.name,
        num_partitions=expected_partitions(topic, partitions),
        replication_factor=replication,
        config=declared(topic),
    )


def _check_counts(there: Mapping[str, TopicMetadata], partitions: int) -> None:
    wrong = [
        f"{topic.name} has {found}, wanted {wanted}"
        for topic in TOPICS
        if topic.name in there
        and (found := len(there[topic.name].partitions)) != (wanted := expected_partitions(topic, partitions))
    ]
    if wrong:
        raise TopicError(f"partition counts differ, and parcels would not meet: {'; '.join(wrong)}")


def _described(admin: Admin) -> dict[str, TopicMetadata]:
    """Those of our topics that exist. Asks for all topics: asking for one by name may create it."""
    try:
        listed = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise TopicError(f"the broker does not answer: {admin.why(error)}") from error
    return {topic.name: listed[topic.name] for topic in TOPICS if topic.name in listed}


def _ready(there: Mapping[str, TopicMetadata]) -> bool:
    return len(there) == len(TOPICS) and not _leaderless(there)


def _leaderless(there: Mapping[str, TopicMetadata]) -> list[str]:
    led = {
        name
        for name, topic in there.items()
        if topic.partitions and all(p.leader >= 0 for p in topic.partitions.values())
    }
    return [topic.name for topic in TOPICS if topic.name not in led]


def _offsets(admin: Admin, there: Mapping[str, TopicMetadata]) -> dict[str, int]:
    """Sum of end minus start offsets by topic, waiting for partitions whose leader does not serve them yet."""
    partitions = [TopicPartition(name, number) for name, topic in there.items() for number in topic.partitions]
    latest, earliest = OffsetSpec.latest(), OffsetSpec.earliest()  # type: ignore[no-untyped-call]
    sums = dict.fromkeys(there, 0)
    deadline = time.monotonic() + _TIMEOUT_S
    for spec, sign in ((latest, 1), (earliest, -1)):
        waiting = partitions
        while waiting:
            asked = admin.list_offsets(dict.fromkeys(waiting, spec), request_timeout=_TIMEOUT_S)
            waiting = []
            for partition, future in asked.items():
                try:
                    sums[partition.topic] += sign * future.result().offset
                except KafkaException as error:
                    if error.args[0].code() not in _NOT_YET or time.monotonic() > deadline:
                        raise TopicError(f"{partition.topic} [{partition.partition}]: {error.args[0].str()}") from error
                    waiting.append(partition)
            time.sleep(0.02 if waiting else 0)
    return sums


def _await(futures: Mapping[str, Future[None]], *, ok: int) -> None:
    refused: defaultdict[str, list[str]] = defaultdict(list)  # by reason: it is mostly the same for all
    for name, future in futures.items():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != ok:
                refused[error.args[0].str()].append(name)
    if refused:
        said = [f"{', '.join(names)}: {why}" for why, names in refused.items()]
        raise TopicError(f"the broker refused {'; '.join(said)}")


class Admin(AdminClient):
    """librdkafka's, which can say why nothing was answered: of a call that fails the error says only that it did."""

    def __init__(self, bootstrap: str, client: Client | None) -> None:
        self._last: KafkaError | None = None
        config: dict[str, Any] = {**(client or {}), "bootstrap.servers": bootstrap, "error_cb": self._note}
        super().__init__(config)

    def why(self, error: KafkaException) -> str:
        """What a call failed of, and the last trouble with a connection before it."""
        self.poll(0)
        said = error.args[0].str()
        return str(said) if self._last is None else f"{said} ({self._last.str()})"

    def _note(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # which says no more than the call's own
            self._last = error
