"""What is published, and what must have come of it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import xxhash

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import Reject, encode
from streams.files.driver import TOPIC_OF
from tests.chaos import traffic as chaos_traffic
from tests.chaos import verdict as chaos
from tests.chaos.logs import Log
from tests.ordering import drawn
from tests.runs import open_alerts, run
from tests.simulator.broker import Broker, Place
from tests.simulator.counting import Said, chained
from tests.tallies import recount
from tests.worlds import world

Line = tuple[Place, bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages in the order in which they arrive, and what to say of the broker in the end."""

    lines: list[Line]
    check: Callable[[Broker], list[str]]


def counted(rng: random.Random, seed: int, partitions: int) -> Traffic:
    """Events of a few keys, and some that cannot be read."""
    lines: list[Line] = []
    keys = rng.choice((1, 4, 12))
    for number in range(rng.choice((10, 40, 120))):
        topic = rng.choice(INPUT_TOPICS)
        key = b"k%d" % rng.randrange(keys)
        partition = xxhash.xxh3_64_intdigest(key) % partitions
        lines.append(((topic, partition), key, b"%s#%d" % (key, number) if rng.random() < 0.95 else None))
    return Traffic(lines, lambda broker: check_counts(broker, lines))


def check_counts(broker: Broker, lines: list[Line]) -> list[str]:
    """Every event was counted once and in its order, answered once, and said in rising numbers."""
    wanted: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    offsets: Counter[Place] = Counter()
    garbage: list[chaos_traffic.Place] = []
    for (topic, partition), key, value in lines:
        if value is None:
            garbage.append((topic, partition, offsets[topic, partition]))
        else:
            row = wanted[f"{INPUT_TOPICS.index(topic) + 1}:{(key or b'').decode()}"]
            row[0], row[1] = row[0] + 1, chained(row[1], value)
        offsets[topic, partition] += 1
    newest: dict[str, Said] = {}
    wrong = []
    for _, value in committed(broker, topics.ALERTS).values():
        said = msgspec.json.decode(value or b"", type=Said)
        before = newest.get(said.key)
        if before is not None and before.revision >= said.revision:
            wrong.append(f"{said.key}: revision {said.revision} after {before.revision}")
        newest[said.key] = said
    for name in sorted(wanted.keys() | newest.keys()):
        events, order = wanted[name]
        found = newest.get(name) or Said(name, 0, 0, 0, 0)
        if (found.events, found.answers, found.order) != (events, events, order):
            wrong.append(
                f"{name}: {found.events} events and {found.answers} answers counted of {events}"
                f"{', in another order' if (found.events, found.answers) == (events, events) else ''}"
            )
    return wrong + _rejects(broker, garbage)


def judged(rng: random.Random, seed: int, partitions: int) -> Traffic:
    """A small crowded world with reference data, some events twice, and some that cannot be read."""
    records = world(seed, rng.choice((3, 8, 16)))
    lines: list[Line] = []
    garbage: list[chaos_traffic.Place] = []
    offsets: Counter[Place] = Counter()
    for record in records:
        topic, key = TOPIC_OF[type(record)], record.key.encode()
        partition = 0 if topic == topics.REFERENCE else xxhash.xxh3_64_intdigest(key) % partitions
        if rng.random() < 0.05 and topic != topics.REFERENCE:
            lines.append(((topic, partition), key, encode(record)[:-5]))
            garbage.append((topic, partition, offsets[topic, partition]))
            offsets[topic, partition] += 1
        lines.append(((topic, partition), key, encode(record)))
        offsets[topic, partition] += 1

    def check(broker: Broker) -> list[str]:
        outcome, wanted = chaos.Outcome(), open_alerts(run(records))
        chaos.check_alerts(committed(broker, topics.ALERTS), wanted, outcome)
        chaos.check_tallies(committed(broker, topics.TALLIES), recount(records, wanted.values()), outcome)
        chaos.check_orders(committed(broker, topics.ORDERS), drawn(records), outcome)
        return outcome.wrong + _rejects(broker, garbage)

    return Traffic(lines, check)


def committed(broker: Broker, topic: str) -> Log:
    """The messages of a topic that count."""
    return {
        (topic, partition, offset): (record.key, record.value)
        for (name, partition), log in broker.logs.items()
        if name == topic
        for offset, record in enumerate(log.records)
        if record.counts
    }


def _rejects(broker: Broker, garbage: list[chaos_traffic.Place]) -> list[str]:
    outcome = chaos.Outcome()
    log = {at: value for at, value in committed(broker, topics.REJECTS).items() if _of_events(value[1])}
    chaos.check_rejects(log, garbage, outcome)
    return outcome.wrong


def _of_events(value: bytes | None) -> bool:
    return msgspec.json.decode(value or b"", type=Reject).topic != topics.REFERENCE
