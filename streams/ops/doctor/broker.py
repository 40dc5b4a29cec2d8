"""Checks of the broker: that it answers, that topics are as workers need them, that producers key as they must."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from schemas.inputs import INPUT_TOPICS
from schemas.refusals import UNREADABLE
from schemas.topics import REFERENCE, RULE_ACKS, RULES, TOPICS
from streams.flow.partitions import partition_of
from streams.kafka import admin as topics
from streams.kafka.admin import TopicState
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError, DeniedError
from streams.kafka.reader import Reader
from streams.kafka.rights import Right, advice
from streams.kafka.roles import WORKER_TOPICS
from streams.ops import preflight
from streams.ops.doctor import formats, reference, rights
from streams.ops.doctor.findings import Finding, fail, ok, warn
from streams.rulesets.board import Board
from streams.rulesets.reading import Standing, flooding, standing
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
    """All of them, in the order of the report. One that fails does not keep the others from being made."""
    servers = preflight.servers(settings)
    if not preflight.answers(servers):
        yield fail(
            "broker",
            f"nobody answers at {servers}",
            "start a Kafka with `waybill broker run`, or set bootstrap_servers (KAFKA_BOOTSTRAP_SERVERS)",
        )
        return
    config = {**preflight.client(settings), "bootstrap.servers": servers}
    try:
        cluster = Cluster(config, timeout_s=_TIMEOUT_S)
        began = time.monotonic()
        brokers = cluster.brokers()
        took_ms = (time.monotonic() - began) * 1000
        states = topics.look(servers, [topic.name for topic in TOPICS], client=preflight.client(settings))
    except ClientError as error:
        yield fail("broker", f"{servers}: {error}", "check address, listener and the security properties in kafka")
        return
    yield ok("broker", f"{servers}: {brokers} broker(s), answered in {took_ms:.0f} ms")
    yield from _topics(settings, states, brokers)
    yield from rights.checks(settings, cluster, states)
    there = {state.topic.name: state.partitions for state in states if state.partitions}
    yield from _guarded("cleanup", _cleanup(cluster, there))
    yield from _guarded("format", formats.on_changelogs(config, there))
    board = Board(servers, preflight.client(settings), settings.group)
    if there.get(RULES):
        yield from _guarded("rule sets", [_rules(settings, board)])
    if there.get(RULE_ACKS):
        yield from _floods(board)
    if there.get(REFERENCE):
        yield from _guarded("reference", reference.checks(settings, config))
    yield from _records(config, there, {state.topic.name for state in states if state.hidden})


def _guarded(what: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """These findings, and one that says so where the check itself could not be made."""
    try:
        yield from findings
    except ClientError as error:
        yield fail(what, f"not checked: {error}", "see to that, then run the doctor again")


def _topics(settings: Settings, states: list[TopicState], brokers: int) -> Iterator[Finding]:
    hidden = [state.topic.name for state in states if state.hidden]
    if hidden:
        wanted = [name for name in hidden if name in WORKER_TOPICS]
        says = f"{len(hidden)} of {len(states)} may not be seen, or are not there: {', '.join(hidden)}"
        if wanted:
            yield fail("topics", says, advice(settings.kafka, *(Right("READ", "topic", name) for name in wanted)))
        else:
            yield warn("topics", says, "workers need none of them; the desk does")
    wrong = preflight.faults(states)
    for each in wrong:
        says, _, what = each.rpartition("; ")
        yield fail("topics", says, what)
    if not (wrong or hidden):
        count = max(state.partitions for state in states)
        yield ok("topics", f"all {len(states)} there, {count} partitions each where it counts")
    thin = [state for state in states if state.partitions and state.replication < min(3, brokers)]
    if thin:
        names = ", ".join(state.topic.name for state in thin[:3]) + (" …" if len(thin) > 3 else "")
        says = f"{len(thin)} topics with fewer than {min(3, brokers)} replicas: {names}"
        yield warn("replicas", says, "a broker that is lost takes their records with it: raise the replication factor")


def _cleanup(cluster: Cluster, there: Mapping[str, int]) -> Iterator[Finding]:
    """Topics that are not as they are made: cleanup would lose state, or records be refused or misdated."""
    declared = {topic.name: topics.declared(topic) for topic in TOPICS}
    lost, otherwise, unknown = [], [], []
    for name in there:
        try:
            found = cluster.configs([name])[name]
        except DeniedError:
            unknown.append(name)
            continue
        wanted = declared[name]
        if set(found["cleanup.policy"].split(",")) != set(wanted["cleanup.policy"].split(",")):
            lost.append(f"{name} {found['cleanup.policy']} instead of {wanted['cleanup.policy']}")
        otherwise += [
            f"{name} {key}={found[key]} instead of {wanted[key]}"
            for key, worse in _MATTER.items()
            if key in wanted and worse(found[key], wanted[key])
        ]
    if unknown:
        says = f"the configuration of {len(unknown)} topics may not be read: {', '.join(unknown)}"
        yield warn("cleanup", says, "grant DESCRIBE_CONFIGS on these topics to have it checked; workers do without")
    if lost:
        yield fail("cleanup", "; ".join(lost), "set cleanup.policy as it was made by `waybill topics create`")
    elif there and not unknown:
        yield ok("cleanup", "each topic keeps what it must")
    if otherwise:
        what = "set it by kafka-configs.sh: a batch would be refused, or records be dated by a worker's clock"
        yield warn("topics", "; ".join(otherwise), what)


# Configuration besides that workers rest on, and what is worse than it was made.
_MATTER: dict[str, Callable[[str, str], bool]] = {
    "max.message.bytes": lambda found, wanted: int(found) < int(wanted),
    "message.timestamp.type": lambda found, wanted: found != wanted,
}


def _rules(settings: Settings, board: Board) -> Finding:
    """Which rules a worker that starts here judges by: of the topic, or of files."""
    found = standing(board.sets(), settings) if settings.rules_from == "topic" else Standing()
    if settings.rules_from == "files":
        return ok("rule sets", "in force are rule files, as the setting rules_from says")
    if not found.newest:
        return ok("rule sets", "none was pushed: in force are rule files")
    if found.catalogue is None:
        return fail("rule sets", found.reason, "push a set that can be used: no worker starts with this one")
    count = len(found.catalogue.rules)
    by = f"in force is set {found.in_force}, {count} rules, catalogue {found.catalogue.fingerprint}"
    if found.in_force != found.newest:
        what = "`waybill rules rollback`, or push a set that can be used"
        return warn("rule sets", f"set {found.newest} cannot be used ({found.reason}); {by}", what)
    return ok("rule sets", by)


def _floods(board: Board) -> Iterator[Finding]:
    """Rules that workers hold back, because they open far more alerts than their budget allows."""
    try:
        acks, members = board.acks(), board.members()
    except ClientError as error:  # a worker has no right to read what all of them say, and needs none
        yield warn("floods", f"not checked: {error}", "run the doctor as somebody who may read this topic")
        return
    held = [(instance, each) for instance in sorted(members & acks.keys()) for each in acks[instance].held]
    for instance, each in held:
        yield warn(
            "floods",
            f"worker {instance}: {flooding(each)}",
            "look at what waits with `waybill alerts --shadow`; then push the rule corrected, or with a larger budget",
        )
    if not held:
        yield ok("floods", f"no rule is held back by the {len(members)} worker(s) that run")


def _records(config: Mapping[str, object], there: Mapping[str, int], hidden: set[str]) -> Iterator[Finding]:
    """Keys and times of the newest records."""
    newest, read = 0, 0
    for topic in INPUT_TOPICS:
        if topic in hidden:
            yield fail("keys", f"{topic}: may not be read", advice(config, Right("READ", "topic", topic)))
        if topic not in there:
            continue
        sample = _Sample(there[topic])
        try:
            _read(config, topic, there[topic], sample)
        except ClientError as error:
            yield fail("keys", f"{topic}: not read: {error}", "without it nothing is known of how producers key")
            continue
        newest, read = max(newest, sample.newest_ms), read + 1
        yield sample.finding(topic)
    if read:
        yield _clock(newest)
    else:
        yield warn("clock", "not checked: no input topic could be read", "compare this machine's clock yourself")


class _Sample:
    """What the keys of some records look like."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._faults: Counter[str] = Counter()
        self._read = 0
        self._fewer = set(range(1, partitions))  # counts of partitions by which all that are misplaced would be right
        self._misplaced = 0
        self.newest_ms = 0

    def add(self, key: bytes | None, value: bytes | None, partition: int, at_ms: int) -> None:
        self._read += 1
        self.newest_ms = max(self.newest_ms, at_ms)
        if not key:
            self._faults["have no key"] += 1
            return
        if partition_of([key], self._partitions)[0] != partition:
            self._misplaced += 1
            self._fewer = {count for count in self._fewer if partition_of([key], count)[0] == partition}
        try:
            found = _identity(value or b"")
        except UNREADABLE:
            return  # will be a reject; says nothing of its key
        if f"{found.carrier_code}:{found.waybill_no}".encode() != key:
            self._faults["have a key other than CARRIER:NUMBER"] += 1

    def finding(self, topic: str) -> Finding:
        if not self._read:
            return ok("keys", f"{topic}: no records yet")
        if self._misplaced and self._fewer and not self._faults:
            return warn(
                "keys",
                f"{topic}: {self._misplaced:,} of {self._read:,} are where murmur2 puts their key among "
                f"{max(self._fewer)} partitions, not {self._partitions}",
                "they were written before the topics grew, or by a producer that does not know of it: see that "
                "producers are started anew; `waybill topics grow --dry-run` counts those that are unread",
            )
        if self._misplaced:
            self._faults["are not where murmur2 puts their key"] = self._misplaced
        if not self._faults:
            return ok("keys", f"{topic}: the newest {self._read:,} records are keyed and placed as they must be")
        says = "; ".join(f"{count:,} of {self._read:,} {fault}" for fault, count in self._faults.items())
        return fail(
            "keys",
            f"{topic}: {says}",
            "a parcel's events do not meet: producers must key by CARRIER:NUMBER and partition by murmur2 "
            "(librdkafka: partitioner=murmur2_random)",
        )


def _read(config: Mapping[str, object], topic: str, partitions: int, sample: _Sample) -> None:
    """Read the newest records of each partition into `sample`. Raises ClientError."""
    with Reader(config) as reader:
        bounds = {(topic, number): reader.bounds(topic, number, _TIMEOUT_S) for number in range(partitions)}
        # Of empty partitions, too: what may not be read must not pass for what holds nothing.
        reader.assign({place: max(low, high - SAMPLE_ROWS) for place, (low, high) in bounds.items()})
        for piece in reader.to_end(silent_s=SAMPLE_S):
            for message in piece.records:
                key = message.key()
                at_ms = message.timestamp()[1]
                sample.add(
                    key.encode() if isinstance(key, str) else key, message.value(), message.partition() or 0, at_ms
                )


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
