"""Who does what on the broker: the rights of each role, which `waybill acl` prints and processes check at their start.

Kafka's own words: a principal is allowed an operation on a resource. READ and WRITE imply DESCRIBE; DESCRIBE_CONFIGS
and ALTER do not stand for one another. Nothing is needed on the cluster. What is listed is what is used:
`tests/broker/test_roles.py` holds it against what the broker's authorizer was asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from schemas import topics
from schemas.inputs import CONSUMED_TOPICS, INPUT_TOPICS
from schemas.topics import TOPICS
from streams.kafka import naming
from streams.kafka.rights import Operation, Right

READS: Final = (
    *CONSUMED_TOPICS, topics.REFERENCE, topics.RULES, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG,
)  # fmt: skip
WRITES: Final = (
    topics.OBSERVATIONS, topics.FACTS, topics.ALERTS, topics.SHADOW, topics.TALLIES, topics.ORDERS, topics.NOTICES,
    topics.REJECTS, topics.RULE_ACKS, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG,
)  # fmt: skip
WORKER_TOPICS: Final = tuple(dict.fromkeys((*READS, *WRITES)))
GROWN: Final = tuple(topic.name for topic in TOPICS if topic.name in WORKER_TOPICS and not topic.single)
"""Topics that have the count of partitions of the workers."""

SAVED: Final = tuple(topic.name for topic in TOPICS if topic.name not in INPUT_TOPICS)
"""What `waybill topics save` takes unless told otherwise: all but what carriers send."""

SEARCHED: Final = (
    topics.SHIPMENTS, topics.OBSERVATIONS, topics.ALERTS, topics.TRACES, topics.PARCELS_CHANGELOG,
    topics.HISTORIES_CHANGELOG,
)  # fmt: skip
"""Where a sender or recipient can be: in clear on the first, as tokens on the others."""


@dataclass(frozen=True, slots=True)
class Role:
    """What one principal does.

    does    its commands, or its work
    needs   its rights, by the group of the workers
    """

    name: str
    does: str
    needs: Callable[[str], tuple[Right, ...]]

    def rights(self, group: str) -> tuple[Right, ...]:
        """What it needs where the workers are this group, each once."""
        return tuple(dict.fromkeys(self.needs(group)))

    @property
    def sees(self) -> tuple[str, ...]:
        """Of whom it may read names, ID numbers or phones: what carriers send has senders and recipients."""
        read = {right.name for right in self.needs("") if right.operation == "READ"}
        return (
            *(("senders", "recipients") if topics.SHIPMENTS in read else ()),
            *(("couriers",) if topics.REFERENCE in read else ()),
        )


def _on(operation: Operation, *which: str) -> tuple[Right, ...]:
    return tuple(Right(operation, "topic", topic) for topic in which)


def _reads(*which: str) -> tuple[Right, ...]:
    return _on("READ", *which)


def _writes(*which: str) -> tuple[Right, ...]:
    return _on("WRITE", *which)


def _joins(group: str) -> Right:
    return Right("READ", "group", group)


def _asks(group: str) -> Right:
    return Right("DESCRIBE", "group", group)


def _writes_as(name: str) -> Right:
    """One transactional id; any that begins so, where it ends with a dash."""
    return Right("WRITE", "transactional id", name, prefixed=name.endswith("-"))


def _worker(group: str) -> tuple[Right, ...]:
    return (*_reads(*READS), *_writes(*WRITES), _joins(group), _writes_as(naming.worker(group, "")))


def _acts(group: str, process: naming.Process) -> tuple[Right, ...]:
    """Writing acts on clues, and reading them back."""
    return (
        *_reads(topics.CLUES),
        *_writes(topics.CLUES, topics.FEEDBACK, topics.HOLDS),
        _writes_as(naming.one_of(group, process, "")),
    )


_MOVED: Final = (*CONSUMED_TOPICS, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)
_ALL: Final = tuple(topic.name for topic in TOPICS)
_MEASURED: Final = (topics.CLUES, topics.FEEDBACK, topics.REFERENCE, topics.TRACES, topics.TALLIES)
_RULES_IN_FORCE: Final = (topics.RULES, topics.RULE_ACKS)

ROLES: Final = (
    Role("worker", "`waybill worker`", _worker),
    Role(
        "tracer",
        "`waybill tracer`",
        lambda group: (
            *_reads(topics.ALERTS, topics.ORDERS, *INPUT_TOPICS),
            *_writes(topics.TRACES),
            Right("READ", "group", naming.of(group, "tracer"), prefixed=True),  # also one that traces all again
            Right("WRITE", "transactional id", naming.of(group, "tracer"), prefixed=True),
        ),
    ),
    Role(
        "door",
        "`waybill tracer --door`, beside what a tracer needs",
        lambda group: (
            *_reads(topics.ALERTS, topics.SHIPMENTS),
            *_writes(topics.ACCESS),
            _writes_as(naming.one_of(group, "door", "")),
        ),
    ),
    Role(
        "dispatcher",
        "`waybill dispatcher`",
        lambda group: (
            *_reads(topics.CLUES, topics.ALERTS, topics.TRACES, topics.ORDERS, topics.REFERENCE, topics.FEEDBACK,
                    topics.HOLDS),
            *_writes(topics.CLUES, topics.FEEDBACK, topics.HOLDS),
            _writes_as(naming.of(group, "dispatcher")),
        ),
    ),
    Role(
        "desk",
        "`waybill desk serve`",
        lambda group: (
            *_acts(group, "desk"),
            *_reads(*_MEASURED, topics.ACCESS, *_RULES_IN_FORCE),
            *_writes(topics.ACCESS),
            _asks(group),
        ),
    ),
    Role(
        "webhook",
        "`waybill desk webhook`",
        lambda group: (*_reads(topics.CLUES), _joins(naming.of(group, "webhook"))),
    ),
    Role("clues", "`waybill clues`", lambda group: _acts(group, "clues")),
    Role(
        "analyst",
        "`waybill alerts`, `measures`, `tallies`, `rules status`, and a consumer in the group `GROUP.analyst-NAME`",
        lambda group: (
            *_reads(topics.ALERTS, topics.SHADOW, topics.NOTICES, *_MEASURED, *_RULES_IN_FORCE),
            _asks(group),
            Right("READ", "group", naming.one_of(group, "analyst", ""), prefixed=True),
        ),
    ),
    Role(
        "publisher",
        "`waybill rules push`, `rollback`, `status`",
        lambda group: (
            *_reads(*_RULES_IN_FORCE),
            *_writes(topics.RULES),
            _asks(group),
            _writes_as(naming.of(group, "rules")),
        ),
    ),
    Role("producer", "sending events; with `registry`, `waybill replay`", lambda _: _writes(*INPUT_TOPICS)),
    Role("registry", "sending reference data", lambda _: _writes(topics.REFERENCE)),
    Role(
        "operator",
        "`waybill topics create` and `show`, `offsets show`",
        lambda group: (*_on("CREATE", *_ALL), *_on("DESCRIBE", *_ALL), _asks(group)),
    ),
    Role("saver", "`waybill topics save`", lambda _: _reads(*SAVED)),
    Role(
        "loader",
        "`waybill topics load`",
        lambda group: (
            *_on("CREATE", *SAVED), *_reads(*SAVED), *_writes(*SAVED), _writes_as(naming.of(group, "load"))
        ),
    ),
    Role(
        "doctor",
        "`waybill doctor`, with all its checks",
        lambda group: (
            *_worker(group),
            *_reads(topics.RULE_ACKS),
            *_on("DESCRIBE", *(name for name in _ALL if name not in WORKER_TOPICS)),
            *_on("DESCRIBE_CONFIGS", *_ALL),
        ),
    ),
    Role(
        "maintainer",
        "`waybill topics grow`, `offsets reset`",
        lambda group: (
            *_reads(*_MOVED),
            *_writes(*_MOVED),  # events, too: what is unread is written anew where it belongs
            *_on("ALTER", *GROWN),
            _joins(group),
            _writes_as(naming.of(group, "grow")),
        ),
    ),
    Role(
        "eraser",
        "`waybill erase`",
        lambda group: (
            *_reads(*SEARCHED),
            *_on("DESCRIBE", topics.REFERENCE),
            *_writes(topics.ALERTS, topics.TRACES, topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG),
            *_on("DELETE", topics.SHIPMENTS, topics.OBSERVATIONS),
            _joins(group),
            _writes_as(naming.of(group, "grow")),  # one name for both, so that one of the two is fenced
        ),
    ),
)  # fmt: skip


def role(name: str) -> Role:
    """The role of this name. Raises KeyError."""
    return {each.name: each for each in ROLES}[name]
