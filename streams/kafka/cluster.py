"""What a broker knows, asked by an administrator's client: topics, offsets, configuration, members, rights."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, cast

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType

from streams.kafka.config import Properties
from streams.kafka.errors import (
    COORDINATOR_MOVES,
    FAILURES,
    LEADERLESS,
    MISSING,
    ClientError,
    DeniedError,
    MissingError,
    Troubles,
    cause,
    said,
)
from streams.kafka.handshake import check, reason
from streams.kafka.rights import Operation, Right, denied, right_of

Place = tuple[str, int]

TIMEOUT_S = 30.0
REFUSED_S = 2.0
"""So long librdkafka may try again where a listener refused it, as one does whose broker is not quite there yet."""
STARTING_S = 5.0
"""So long a topic that has to be there is asked for again: a broker that starts answers before it knows its topics."""
_LOOK_S = 0.1
_GRACE_S = 5.0  # an answer that came in time may take so long to reach us
_AGAIN_S = 0.05
_NO_ID = "A" * 22  # of a broker before 2.8


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """What a broker tells of one topic. `partitions` 0: it is missing, or `hidden`: this client may not see it.

    allowed: what this client may do with it, in Kafka's words; None where the broker does not say.
    """

    name: str
    partitions: int = 0
    replication: int = 0
    led: bool = False  # every partition has a leader
    hidden: bool = False
    id: str = ""
    allowed: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Members:
    """The members of a group, by name: of static members what they are called, else their client id."""

    names: frozenset[str] = field(default_factory=frozenset)
    allowed: frozenset[str] | None = None


class Cluster:
    """Asks, waits and says why an answer did not come. Every method raises ClientError, or DeniedError."""

    def __init__(self, config: Properties, *, timeout_s: float = TIMEOUT_S) -> None:
        check(config)
        self.config = config
        self._timeout_s = timeout_s
        self._troubles = Troubles()
        try:
            self._client = AdminClient(cast("dict[str, Any]", {"log_level": 0, **config, "error_cb": self._troubles}))
        except FAILURES as error:
            raise ClientError(f"kafka: {said(error)}") from error

    def topics(self, names: Sequence[str], *, needed: bool = False) -> dict[str, TopicFacts]:
        """Facts of these topics, which asking for does not create. needed: ask again while one is missing, for
        `STARTING_S`."""
        deadline = time.monotonic() + (STARTING_S if needed else 0)
        while True:
            asked = self._client.describe_topics(
                TopicCollection(list(names)), include_authorized_operations=True, request_timeout=self._timeout_s
            )
            found = {name: self._facts(name, future) for name, future in asked.items()}
            if all(facts.partitions or facts.hidden for facts in found.values()) or time.monotonic() >= deadline:
                return found
            time.sleep(_LOOK_S)

    def ids(self, names: Iterable[str]) -> dict[str, str]:
        """What the broker calls these topics by, where it has ids: one that is made anew has another."""
        found = self.topics(sorted(names), needed=True)
        return {name: facts.id for name, facts in found.items() if facts.id not in ("", _NO_ID)}

    def topic(self, name: str, partition: int = 0) -> TopicFacts:
        """Facts of a topic that has to be there and to be read, and to have this partition. Raises MissingError or
        DeniedError where it is not so."""
        facts = self.topics([name], needed=True)[name]
        if facts.hidden or (facts.partitions and facts.allowed is not None and "READ" not in facts.allowed):
            raise denied(self.config, Right("READ", "topic", name))
        if not facts.partitions:
            raise MissingError(f"{name}: no such topic; run `waybill topics create`")
        if partition >= facts.partitions:
            raise MissingError(f"{name}[{partition}]: no such partition; the topic has {facts.partitions}")
        return facts

    def _answer(self, future: Future[Any]) -> Any:
        """What it gives, or no answer in time; sooner where the listener refuses this client, or the client it."""
        deadline = time.monotonic() + self._timeout_s + _GRACE_S
        while True:
            try:
                return future.result(_LOOK_S)
            except TimeoutError:
                self._client.poll(0)
                refused = self._troubles.refused_at
                if time.monotonic() > (deadline if refused is None else min(deadline, refused + REFUSED_S)):
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer in time")) from None

    def _facts(self, name: str, future: Future[Any]) -> TopicFacts:
        try:
            found = self._answer(future)
        except FAILURES as error:
            code = cause(error).code()
            if code in MISSING:
                return TopicFacts(name)
            if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return TopicFacts(name, hidden=True)
            raise self._failure(error) from error
        parts = found.partitions
        return TopicFacts(
            name,
            len(parts),
            min((len(part.replicas) for part in parts), default=0),
            all(part.leader is not None and part.leader.id >= 0 for part in parts),
            id=str(found.topic_id),
            allowed=_names(found.authorized_operations),
        )

    def brokers(self) -> int:
        """How many brokers the cluster has."""
        try:
            return len(self._answer(self._client.describe_cluster(request_timeout=self._timeout_s)).nodes)
        except FAILURES as error:
            raise self._failure(error) from error

    def create(self, topics: Iterable[NewTopic]) -> None:
        """Create topics; one that is there is no fault."""
        requests = list(topics)
        self._await("CREATE", self._client.create_topics(requests, operation_timeout=self._timeout_s),
                    ok=KafkaError.TOPIC_ALREADY_EXISTS)  # fmt: skip

    def grow(self, names: Iterable[str], partitions: int) -> None:
        """Add partitions to topics, so that each has so many; one that has them is no fault."""
        requests = [NewPartitions(name, partitions) for name in names]
        self._await("ALTER", self._client.create_partitions(requests, operation_timeout=self._timeout_s),
                    ok=KafkaError.INVALID_PARTITIONS)  # fmt: skip

    def delete(self, names: Iterable[str]) -> None:
        """Delete topics; one that is gone is no fault."""
        self._await("DELETE", self._client.delete_topics(list(names), operation_timeout=self._timeout_s),
                    ok=KafkaError.UNKNOWN_TOPIC_OR_PART)  # fmt: skip

    def delete_before(self, offsets: Mapping[Place, int]) -> None:
        """Delete the records before these offsets of some partitions, whoever has read them."""
        asked = self._client.delete_records([TopicPartition(*place, at) for place, at in offsets.items()],
                                            request_timeout=self._timeout_s)  # fmt: skip
        for partition, future in asked.items():
            try:
                self._answer(future)
            except FAILURES as error:
                where = f"{partition.topic}[{partition.partition}]: "
                raise self._failure(error, where, topic=partition.topic, operation="DELETE") from error

    def bounds(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        """Start and end offsets, waiting for partitions whose leader does not serve them yet."""
        latest, earliest = OffsetSpec.latest(), OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        starts, ends = self._offsets(places, earliest), self._offsets(places, latest)
        return {place: (starts[place], ends[place]) for place in places}

    def ends(self, places: Iterable[Place], timeout_s: float) -> dict[Place, int]:
        """End offsets, records of open transactions included, of partitions whose leader answers within the time."""
        newest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = self._client.list_offsets(
            {TopicPartition(*place): newest for place in places}, request_timeout=timeout_s
        )
        wait(asked.values())
        told = {place: answer.result() for place, answer in asked.items() if answer.exception() is None}
        return {(place.topic, place.partition): result.offset for place, result in told.items()}

    def _offsets(self, places: Sequence[Place], spec: OffsetSpec) -> dict[Place, int]:
        found: dict[Place, int] = {}
        deadline = time.monotonic() + self._timeout_s
        waiting = [TopicPartition(*place) for place in places]
        while waiting:
            asked = self._client.list_offsets(dict.fromkeys(waiting, spec), request_timeout=self._timeout_s)
            waiting = []
            for partition, future in asked.items():
                try:
                    found[partition.topic, partition.partition] = self._answer(future).offset
                except FAILURES as error:
                    if cause(error).code() not in LEADERLESS | MISSING or time.monotonic() > deadline:
                        where = f"{partition.topic}[{partition.partition}]: "
                        raise self._failure(error, where, topic=partition.topic, operation="DESCRIBE") from error
                    waiting.append(partition)
            time.sleep(_AGAIN_S if waiting else 0)
        return found

    def configs(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """The configuration of topics. Raises DeniedError where it may not be asked for."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        found: dict[str, dict[str, str]] = {}
        for resource, future in self._client.describe_configs(resources, request_timeout=self._timeout_s).items():
            try:
                found[resource.name] = {key: str(entry.value) for key, entry in self._answer(future).items()}
            except FAILURES as error:
                raise self._failure(error, topic=resource.name, operation="DESCRIBE_CONFIGS") from error
        return found

    def group(self, name: str, operation: Operation = "DESCRIBE") -> Members:
        """The members of a group; none where there is no such group. operation: the right that whoever asks wants."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            asked = self._client.describe_consumer_groups(
                [name], include_authorized_operations=True, request_timeout=self._timeout_s
            )
            try:
                found = self._answer(asked[name])
            except FAILURES as error:
                code = cause(error).code()
                if code == KafkaError.GROUP_ID_NOT_FOUND:
                    return Members()
                if code in COORDINATOR_MOVES and time.monotonic() < deadline:
                    time.sleep(_AGAIN_S)
                    continue
                raise self._failure(error, f"group {name}: ", group=name, operation=operation) from error
            names = frozenset(member.group_instance_id or member.client_id for member in found.members)
            return Members(names, _names(found.authorized_operations))

    def committed(self, group: str, places: Iterable[Place], *, stable: bool = False) -> dict[Place, int]:
        """A group's committed offsets (next to read) of those places that have one.

        stable: wait for transactions that are not finished. A consumer asks, which never joins the group: where the
        coordinator moves, an administrator's client would end the process (librdkafka#5040).
        """
        deadline = time.monotonic() + self._timeout_s
        level = "read_committed" if stable else "read_uncommitted"
        asking = Consumer({"log_level": 0, **self.config, "group.id": group, "isolation.level": level})
        try:
            while True:
                try:
                    found = asking.committed([TopicPartition(*place) for place in places], timeout=self._timeout_s)
                    for each in found:
                        if each.error is not None:
                            raise KafkaException(each.error)
                    break
                except FAILURES as error:
                    if cause(error).code() in _UNSTABLE and time.monotonic() < deadline:
                        time.sleep(_AGAIN_S)
                        continue
                    raise self._failure(error, f"group {group}: ", group=group, operation="DESCRIBE") from error
        finally:
            asking.close()
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}

    def set_committed(self, group: str, offsets: Mapping[Place, int]) -> None:
        """Set committed offsets of a group that has no members."""
        places = [TopicPartition(topic, number, offset) for (topic, number), offset in offsets.items()]
        asked = self._client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
        try:
            for each in self._answer(asked[group]).topic_partitions:
                if each.error is not None:
                    raise ClientError(f"group {group}: {each.topic}[{each.partition}]: {each.error.str()}")
        except FAILURES as error:
            raise self._failure(error, f"group {group}: ", group=group) from error

    def id(self) -> str:
        """What the cluster is called by itself."""
        try:
            return str(self._client.list_topics(timeout=self._timeout_s).cluster_id)
        except FAILURES as error:
            raise self._failure(error) from error

    def _await(self, operation: Operation, futures: Mapping[str, Future[None]], *, ok: int) -> None:
        refused: defaultdict[str, list[str]] = defaultdict(list)  # by reason: it is mostly the same for all
        missing: list[Right] = []
        for name, future in futures.items():
            try:
                self._answer(future)
            except FAILURES as error:
                told = cause(error)
                if right := right_of(told, topic=name, operation=operation):
                    missing.append(right)
                elif told.code() != ok:
                    refused[self._why(error)].append(name)
        if missing:
            raise denied(self.config, *missing)
        if refused:
            listed = [f"{', '.join(names)}: {why}" for why, names in refused.items()]
            raise ClientError(f"the broker refused {'; '.join(listed)}")

    def _failure(self, error: BaseException, where: str = "", *, topic: str = "", group: str = "",
                 operation: str = "READ") -> ClientError:  # fmt: skip
        right = right_of(cause(error), topic=topic, group=group, operation=cast(Operation, operation))
        if right is not None:
            return denied(self.config, right)
        return ClientError(f"{where}{self._why(error)}")

    def _why(self, error: BaseException) -> str:
        """What a call failed of; where no broker answers why that is, or the last trouble with a connection."""
        self._client.poll(0)
        if cause(error).code() not in _SILENCES:
            return said(error)
        if why := reason(self.config, self._troubles.last):
            return self._troubles.beside(f"{self.config.get('bootstrap.servers')}: {why}")
        servers = self.config.get("bootstrap.servers")
        return f"the broker at {servers} does not answer: {self._troubles.beside(said(error))}"


_UNSTABLE = COORDINATOR_MOVES | {KafkaError.UNSTABLE_OFFSET_COMMIT}
_SILENCES = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE}


def topic_ids(config: Properties, names: Collection[str]) -> dict[str, str]:
    """See `Cluster.ids`, asked by a client of its own."""
    return Cluster({"log_level": 0, **config}).ids(names)


def _names(operations: object) -> frozenset[str] | None:
    """Operations by Kafka's names; None where the broker does not say."""
    if not isinstance(operations, list):
        return None
    return frozenset(str(each.name) for each in operations)


__all__ = ["Cluster", "DeniedError", "Members", "Place", "TopicFacts"]
