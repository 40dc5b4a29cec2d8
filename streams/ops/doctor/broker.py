"""Checks of the broker: that it answers, that topics are as workers need them, that producers key as they must."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import msgspec
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource

from schemas.topics import RULES, TOPICS
from streams.flow import sources
from streams.kafka import admin as topics
from streams.kafka.admin import Admin, TopicError, TopicState
from streams.ops import preflight
from streams.ops.doctor.findings import Finding, fail, ok, warn
from streams.rulesets.board import Board, BoardError
from streams.rulesets.reading import Standing, standing
from streams.settings import Settings

SAMPLE_ROWS = 200  # newest records of each partition
SAMPLE_S = 5.0
CLOCK_WARN_S = 60.0
_TIMEOUT_S = 10.0


class _Identity(msgspec.Struct):
    carrier_code: str
    waybill_no: str


_identity = msgspec.json.Decoder(_Identity).decode


def checks(settings: Settings) -> Iterator[Finding]:
    """All of them, in the order of the report; those that need what is missing are left out."""
    servers = preflight.servers(settings)
    if not preflight.answers(servers):
        yield fail(
            "broker",
            f"nobody answers at {servers}",
            "start a Kafka with `waybill broker run`, or set bootstrap_servers (KAFKA_BOOTSTRAP_SERVERS)",
        )
        return
    client = preflight.client(settings)
    admin = Admin(servers, client)
    try:
        began = time.monotonic()
        cluster = admin.list_topics(timeout=_TIMEOUT_S)
        states = topics.show(servers, client=client)
    except (KafkaException, TopicError) as error:
        says = admin.why(error) if isinstance(error, KafkaException) else str(error)
        yield fail("broker", f"{servers}: {says}", "check address, listener and the security properties in kafka")
        return
    brokers = len(cluster.brokers)
    yield ok("broker", f"{servers}: {brokers} broker(s), answered in {(time.monotonic() - began) * 1000:.0f} ms")
    yield from _topics(states, brokers)
    there = {state.topic.name: state.partitions for state in states if state.partitions}
    yield from _cleanup(admin, there)
    if there.get(RULES):
        yield _rules(settings, Board(servers, client))
    yield from _records(settings, servers, client, there)


def _topics(states: list[TopicState], brokers: int) -> Iterator[Finding]:
    wrong = preflight.faults(states)
    for each in wrong:
        says, _, advice = each.rpartition("; ")
        yield fail("topics", says, advice)
    if not wrong:
        count = max(state.partitions for state in states)
        yield ok("topics", f"all {len(states)} there, {count} partitions each where it counts")
    thin = [state for state in states if state.partitions and state.replication < min(3, brokers)]
    if thin:
        names = ", ".join(state.topic.name for state in thin[:3]) + (" …" if len(thin) > 3 else "")
        says = f"{len(thin)} topics with fewer than {min(3, brokers)} replicas: {names}"
        yield warn("replicas", says, "a broker that is lost takes their records with it: raise the replication factor")


def _cleanup(admin: Admin, there: Mapping[str, int]) -> Iterator[Finding]:
    """Topics that are not as they are made: cleanup would lose state, or records be refused or misdated."""
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in there]
    if not resources:
        return
    declared = {topic.name: topics.declared(topic) for topic in TOPICS}
    lost, otherwise = [], []
    for resource, future in admin.describe_configs(resources, request_timeout=_TIMEOUT_S).items():
        try:
            found = {name: str(entry.value) for name, entry in future.result(_TIMEOUT_S).items()}
        except (KafkaException, TimeoutError):
            yield warn("cleanup", "may not be asked for", "grant DescribeConfigs on the topics to check it")
            return
        wanted = declared[resource.name]
        if set(found["cleanup.policy"].split(",")) != set(wanted["cleanup.policy"].split(",")):
            lost.append(f"{resource.name} {found['cleanup.policy']} instead of {wanted['cleanup.policy']}")
        otherwise += [
            f"{resource.name} {name}={found[name]} instead of {wanted[name]}"
            for name, worse in _MATTER.items()
            if name in wanted and worse(found[name], wanted[name])
        ]
    if lost:
        yield fail("cleanup", "; ".join(lost), "set cleanup.policy as it was made by `waybill topics create`")
    else:
        yield ok("cleanup", "each topic keeps what it must")
    if otherwise:
        advice = "set it by kafka-configs.sh: a batch would be refused, or records be dated by a worker's clock"
        yield warn("topics", "; ".join(otherwise), advice)


# Configuration besides that workers rest on, and what is worse than it was made.
_MATTER: dict[str, Callable[[str, str], bool]] = {
    "max.message.bytes": lambda found, wanted: int(found) < int(wanted),
    "message.timestamp.type": lambda found, wanted: found != wanted,
}


def _rules(settings: Settings, board: Board) -> Finding:
    """Which rules a worker that starts here judges by: of the topic, or of files."""
    try:
        found = standing(board.sets(), settings) if settings.rules_from == "topic" else Standing()
    except BoardError as error:
        return fail("rule sets", str(error), f"grant Read on {RULES}, or set rules_from to files")
    if settings.rules_from == "files":
        return ok("rule sets", "in force are rule files, as the setting rules_from says")
    if not found.newest:
        return ok("rule sets", "none was pushed: in force are rule files")
    if found.catalogue is None:
        return fail("rule sets", found.reason, "push a set that can be used: no worker starts with this one")
    by = f"in force is set {found.in_force}, catalogue {found.catalogue.fingerprint}"
    if found.in_force != found.newest:
        advice = "`waybill rules rollback`, or push a set that can be used"
        return warn("rule sets", f"set {found.newest} cannot be used ({found.reason}); {by}", advice)
    return ok("rule sets", by)


def _records(
    settings: Settings, servers: str, client: Mapping[str, str | int | float | bool], there: Mapping[str, int]
) -> Iterator[Finding]:
    """Keys and times of the newest records."""
    consumer = Consumer(
        {
            **client,
            "bootstrap.servers": servers,
            "group.id": f"{settings.group}-doctor",  # never joins
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    newest = 0
    try:
        for topic in sources.TOPICS:
            if topic in there:
                sample = _Sample(there[topic])
                _read(consumer, topic, there[topic], sample)
                newest = max(newest, sample.newest_ms)
                yield sample.finding(topic)
    except KafkaException as error:
        yield fail("keys", f"cannot be read: {error.args[0].str()}", "grant Read on the input topics")
    finally:
        consumer.close()
    yield _clock(newest)


class _Sample:
    """What the keys of some records look like."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._faults: Counter[str] = Counter()
        self._read = 0
        self.newest_ms = 0

    def add(self, key: bytes | None, value: bytes | None, partition: int, at_ms: int) -> None:
        self._read += 1
        self.newest_ms = max(self.newest_ms, at_ms)
        if not key:
            self._faults["have no key"] += 1
            return
        if (murmur2(key) & 0x7FFF_FFFF) % self._partitions != partition:
            self._faults["are not where murmur2 puts their key"] += 1
        try:
            found = _identity(value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # will be a reject; says nothing of its key
        if f"{found.carrier_code}:{found.waybill_no}".encode() != key:
            self._faults["have a key other than CARRIER:NUMBER"] += 1

    def finding(self, topic: str) -> Finding:
        if not self._read:
            return ok("keys", f"{topic}: no records yet")
        if not self._faults:
            return ok("keys", f"{topic}: the newest {self._read:,} records are keyed and placed as they must be")
        says = "; ".join(f"{count:,} of {self._read:,} {fault}" for fault, count in self._faults.items())
        return fail(
            "keys",
            f"{topic}: {says}",
            "a parcel's events do not meet: producers must key by CARRIER:NUMBER and partition by murmur2 "
            "(librdkafka: partitioner=murmur2_random)",
        )


def _read(consumer: Consumer, topic: str, partitions: int, sample: _Sample) -> None:
    """Read the newest records of each partition into `sample`."""
    at, waiting = [], set()
    for number in range(partitions):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_TIMEOUT_S)
        if high > low:
            at.append(TopicPartition(topic, number, max(low, high - SAMPLE_ROWS)))
            waiting.add(number)
    if not at:
        return
    consumer.assign(at)
    deadline = time.monotonic() + SAMPLE_S
    while waiting and time.monotonic() < deadline:
        for message in consumer.consume(1_000, 0.2):
            number = message.partition() or 0
            if message.error() is not None:
                waiting.discard(number)
                continue
            key = message.key()
            sample.add(key.encode() if isinstance(key, str) else key, message.value(), number, message.timestamp()[1])
    consumer.unassign()


def _clock(newest_ms: int) -> Finding:
    """This machine's clock against the newest record's. Kafka tells no time of its own."""
    if not newest_ms:
        return ok("clock", "no records to compare it with")
    ahead = newest_ms / 1000 - time.time()
    if ahead > CLOCK_WARN_S:
        return warn(
            "clock",
            f"the newest record is {ahead:,.0f} s ahead of this machine",
            "this clock or a producer's is wrong; absences are decided late, or too early",
        )
    return ok("clock", f"the newest record is {-ahead:,.0f} s old")
