"""State under more partitions: where everything goes, and that nobody can tell from the alerts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence

import msgspec
import pytest
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]

from schemas import topics
from schemas.records import encode
from streams.files.driver import TOPIC_OF, Offline, raw
from streams.flow import rekey
from streams.flow.batches import Batch, untail
from streams.flow.emit import sources_of
from streams.flow.fold import dossiers
from streams.flow.partitions import partition_of
from streams.flow.rejudge import MARK as SWEPT
from streams.flow.rekey import Homes
from streams.flow.time.expiry import Retention
from streams.kafka.roles import WORKER_TOPICS
from streams.settings import Settings
from streams.state.store import FIRST, whole
from tests.repetition import seeds
from tests.runs import catalogue, comparable, difference, open_alerts, run
from tests.tallies import published, recount
from tests.worlds import DAY, HOME, START, Record, events_of, world

Rewritten = Callable[[Batch, Homes], tuple[list[bool], list[list[tuple[int, bytes]]]]]
SETTINGS = Settings(home_adcodes=HOME)
STORES = (topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)


class Parted(Offline):
    """A run whose parcels lie where producers put them."""

    def __init__(self, partitions: int) -> None:
        kept = Retention.of(SETTINGS)
        super().__init__(
            SETTINGS, catalogue(), partitions=partitions, now_ms=START + 1_000 * DAY, retention=kept, tally_ms=1
        )
        self.partitions = partitions
        self.said: dict[bytes, bytes] = {}  # tallies, as their topic has them

    def publish(self) -> None:
        self.said |= {each.key: each.value for each in self.tallies()}

    def differs(self, records: Sequence[Record]) -> str:
        """How alerts and tallies differ from those of a run without growth, when all deadlines have passed."""
        self.close()
        self.publish()
        wanted = open_alerts(run(records))
        counted = recount(records, wanted.values())
        tallied = "" if published(self.said.items()) == counted else f"{published(self.said.items())} not {counted}"
        return difference(comparable(self.open_alerts()), wanted) or tallied

    def placed(self, records: Sequence[Record]) -> list[Batch]:
        """Records as batches by murmur2."""
        values: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        for record in events_of(records):
            number = int(partition_of([record.key.encode()], self.partitions)[0])
            values[TOPIC_OF[type(record)], number].append(encode(record))
        return [raw(*place, found) for place, found in values.items()]

    def refer(self, records: Sequence[Record]) -> None:
        """Feed the reference records among these."""
        known = events_of(records)
        self.feed(self.batches([record for record in records if record not in known]))


def test_partitions_are_those_of_java() -> None:
    rng = random.Random(1)
    keys = [rng.randbytes(size) for size in range(70) for _ in range(20)]
    for partitions in (1, 4, 6, 4096):
        wanted = [(murmur2(key) & 0x7FFF_FFFF) % partitions for key in keys]
        assert partition_of(keys, partitions).tolist() == wanted
    assert partition_of([], 4).tolist() == []


def lengthened(records: Sequence[Record]) -> list[Record]:
    """The same, where every third parcel has a name that is longer than what it is kept under."""
    events = {id(record) for record in events_of(records)}
    return [
        msgspec.structs.replace(record, waybill_no=f"{record.waybill_no}-" + "0" * 30)  # type: ignore[union-attr]
        if id(record) in events and int(record.waybill_no) % 3 == 0  # type: ignore[union-attr]
        else record
        for record in records
    ]


def grown(first: Parted, partitions: int, records: Sequence[Record]) -> Parted:
    """A run that goes on with this one's state, brought to so many partitions, and the reference data among these."""
    second = Parted(partitions)
    second.alerts, second.said = dict(first.alerts), dict(first.said)
    for mine, theirs in zip(second.stores, first.stores, strict=True):
        for number in range(first.partitions):
            rows = theirs.scan(number, b"", 1_000_000, b"\xff" * 16)
            mine.put([number] * len(rows), [key for key, _ in rows], [value for _, value in rows])
    homes = Homes(partitions)
    for _ in range(2):  # whoever was killed does it again
        move(second, homes)
    answered = second._histories.step([raw(topics.OBSERVATIONS, at, [value]) for at, value in rekey.owed(homes)])
    second._parcels.timers.open(
        {
            number: second._parcels.restore(number, whole(second.stores[0], number, 100), lambda: False)
            for number in range(partitions)
        }
    )
    second.refer(records)
    second.feed([raw(topics.FACTS, at, [value]) for at, value in answered])
    return second


def sweep(run: Parted) -> None:
    """Judge again what is to be judged again, as a worker does when it has taken partitions over."""
    run._sweeper.begin(range(run.partitions))
    while (swept := run._sweeper.step(START + 1_000 * DAY)) is not None:
        run._keep(swept.judged)


def move(run: Parted, homes: Homes) -> None:
    for number in range(homes.partitions):
        for name, store in zip(STORES, run.stores, strict=True):
            assert not rekey.strange_notes(store, name, number)
        for _ in rekey.survey(run.stores[0], number, homes, 7):
            pass
    rekey.share_notes(run.stores[0], homes.partitions)
    for name, store in zip(STORES, run.stores, strict=True):
        for number in range(homes.partitions):
            for _ in rekey.MOVES[name](store, number, homes, 7):
                pass


SEEDS = seeds(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_alerts_are_those_of_a_run_without_growth(seed: int) -> None:
    rng = random.Random(seed)
    records = lengthened(world(seed, 50))
    cut = rng.randint(0, len(records))
    start, end = rng.choice([(4, 6), (4, 8), (1, 3), (6, 7), (3, 3)])
    first = Parted(start)
    first.refer(records[:cut])
    first.feed(first.placed(records[:cut]))
    if rng.random() < 0.7:
        first.publish()
    second = grown(first, end, records)
    second.feed(second.placed(records[cut:]))
    assert not second.differs(records)
    for number in range(end):
        kept = [key for rows in whole(second.stores[0], number, 100) for key, _ in rows]
        assert not [key for key in kept if len(key) < 32 and partition_of([key], end)[0] != number]


def test_a_dossier_goes_on_naming_where_its_events_were_read() -> None:
    records = lengthened(world(2, 60))
    first = Parted(4)
    batches = first.placed(records)
    first.feed(batches)
    key_of = {
        (batch.topic, batch.partition, offset): msgspec.json.decode(value or b"")["waybill_no"]
        for batch in batches
        for offset, value in zip(batch.offsets, batch.values, strict=True)
    }
    second, seen = grown(grown(first, 6, []), 7, []), 0
    for number in range(7):
        for rows in whole(second.stores[0], number, 1_000):
            kept = dossiers.stored(number, rows)
            for i in range(len(rows)):
                for source in sources_of(kept, i):
                    seen += 1
                    named = key_of[source.topic, source.partition, source.offset]
                    assert named == untail(kept.tails[i])[2]
    assert seen > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_parcels_whose_events_went_to_two_partitions_are_one_again(seed: int) -> None:
    """Some producers knew of more partitions than the worker, which judged what they sent."""
    rng = random.Random(seed)
    records = lengthened(world(seed, 50))
    cut = rng.randint(len(records) // 2, len(records))
    first, newer = Parted(4), Parted(6)
    first.refer(records[:cut])
    for start in range(0, cut, 40):
        few = records[start : min(start + 40, cut)]
        for batch in (first if rng.random() < 0.6 else newer).placed(few):
            first.feed([Batch(batch.topic, batch.partition % 4, batch.offsets, batch.values, batch.timestamps)])
    first.publish()
    second = grown(first, 6, records)
    sweep(second)
    second.feed(second.placed(records[cut:]))
    assert not second.differs(records)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_agents_sent_each_other_comes_along(seed: int) -> None:
    records = lengthened(world(seed, 40))
    first = Parted(4)
    first.refer(records)
    judged = first._parcels.step(first.placed(records), START + 1_000 * DAY)
    half = judged.observations[::2]
    facts = first._histories.step([raw(topics.OBSERVATIONS, number, [value]) for number, value in half])
    first._keep(judged)
    second = grown(first, 6, records)
    homes = Homes(6)
    for number in range(6):
        list(rekey.survey(second.stores[0], number, homes, 100))

    def sent(topic: str, messages: Sequence[tuple[int, bytes]], of: Rewritten) -> list[Batch]:
        out = []
        for number, value in messages:
            _, (news,) = of(raw(topic, number, [value]), homes)
            (again,) = [of(raw(topic, at, [new]), homes)[0] for at, new in news[:1]]
            assert again == [True]
            out += [raw(topic, at, [new]) for at, new in news]
        return out

    answered = second._histories.step(sent(topics.OBSERVATIONS, judged.observations[1::2], rekey.observations))
    second.feed(sent(topics.FACTS, facts, rekey.facts))
    second.feed([raw(topics.FACTS, number, [value]) for number, value in answered])
    assert not second.differs(records)


def test_events_go_where_their_producers_would_put_them() -> None:
    keys = [f"SF:{number}".encode() for number in range(50)]
    batch = Batch(topics.SCANS, 3, range(51), [b""] * 51, [0] * 51, keys=[*keys, None])
    assert rekey.events(batch, 6).tolist() == [*partition_of(keys, 6).tolist(), 3]


def test_an_unknown_note_is_told_of() -> None:
    run = Parted(2)
    run.stores[0].put([1], [b"\x00other"], [b"\x07"])
    assert rekey.strange_notes(run.stores[0], topics.PARCELS_CHANGELOG, 1) == [b"\x00other"]
    assert not rekey.strange_notes(run.stores[0], topics.PARCELS_CHANGELOG, 0)
    run.stores[1].put([1], [b"\x00" + bytes(12)], [b"\x07"])  # a bucket of a sender
    assert not rekey.strange_notes(run.stores[1], topics.HISTORIES_CHANGELOG, 1)


def test_topics_of_workers_have_one_count_and_the_desks_their_own() -> None:
    workers = {topic.name for topic in topics.TOPICS if topic.name in WORKER_TOPICS and not topic.single}
    assert {topic.name for topic in topics.TOPICS if not (topic.desk or topic.single)} == workers


def test_every_changelog_has_its_moves() -> None:
    changelogs = {topic.name for topic in topics.TOPICS if topic.internal and topic.cleanup == "compact"}
    assert changelogs - {topics.RULE_ACKS} == rekey.MOVES.keys() == rekey.NOTES.keys()


@pytest.mark.parametrize("mark", [None, b"\x07" + (9).to_bytes(8, "little") + bytes(8)])
def test_a_sweep_that_was_not_over_begins_again(mark: bytes | None) -> None:
    run = Parted(3)
    run.stores[0].put([0, 1], [SWEPT] * 2, [b"\x07" + at.to_bytes(8, "little") + bytes(8) for at in (9, 5)])
    if mark:
        run.stores[0].put([1], [SWEPT], [mark])
    rekey.share_notes(run.stores[0], 3)
    found = [run.stores[0].get([number], [SWEPT])[0] for number in range(3)]
    if mark:
        assert found == [mark] * 3
    else:
        assert [int.from_bytes((value or b"")[1:9], "little") for value in found] == [9, 5, 5]
        assert all((value or b"")[9:] != bytes(8) for value in found)
    assert not list(run.stores[0].scan(0, FIRST, 10))
