"""More partitions: state, history and what is unread come along, once, whoever is killed on the way."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas import topics
from schemas.records import Alert, encode
from streams.files.driver import TOPIC_OF
from streams.flow.partitions import partition_of
from streams.kafka import admin
from streams.kafka.restore import restore
from streams.kafka.roles import WORKER_TOPICS
from streams.settings import Settings
from streams.state.parted import MARK, Parted
from streams.state.rocks import RocksStore
from streams.state.store import FIRST, whole
from streams.state.tuning import Shared
from streams.worker.grow import GrowError, Growth
from tests.broker.test_operators import ends, waybill
from tests.command import Done
from tests.growing import growing
from tests.runs import Alerts, comparable, difference, open_alerts, run
from tests.waiting import PATIENCE_S
from tests.workers import SESSION_MS, Publisher, Reader, Stream, Worker
from tests.worlds import Record, world

pytestmark = pytest.mark.broker
GROUP = "waybill-grow"
# Phase, number of the transaction or request in it, and on which side of it: each is where a run of its own ends.
MOMENTS = (
    ("marking", 1, "before"),
    ("adding partitions: waybill.shipments", 1, "after"),
    ("moving: waybill.internal.histories", 2, "before"),
    ("unread", 1, "after"),
    ("done", 1, "before"),
)
MORE_MOMENTS = (
    *((phase, number, side) for phase in ("marking", "adding", "moving", "unread") for number in (1, 2, 3)
      for side in ("before", "after")),
    ("done", 1, "after"),
)  # fmt: skip


def grow(servers: str, state_dir: Path, partitions: int, *more: str) -> Done:
    """`waybill topics grow` where producers are stopped."""
    return waybill(
        servers, "topics", "grow", "--partitions", str(partitions), "--producers-s", "0", "--set", f"group={GROUP}",
        "--set", f"state_dir={state_dir}", *more,
    )  # fmt: skip


def counts(servers: str) -> set[int]:
    """Partitions of the topics of workers."""
    return {
        each.partitions for each in admin.show(servers) if each.topic.name in WORKER_TOPICS and not each.topic.single
    }


def add_partitions(servers: str, topic: str, partitions: int) -> None:
    """As kafka-topics.sh does it."""
    client = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    client.create_partitions([NewPartitions(topic, partitions)])[topic].result(PATIENCE_S)


def publish_to(servers: str, partitions: int, records: Sequence[Record]) -> None:
    """As a producer that knows of so many partitions."""
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True})
    for record in records:
        topic, key = TOPIC_OF[type(record)], record.key.encode()
        number = 0 if topic == topics.REFERENCE else int(partition_of([key], partitions)[0])
        producer.produce(topic, key=key, value=encode(record), partition=number)
    assert producer.flush(PATIENCE_S) == 0


class Revisions(Reader):
    """A reader that goes by the revision of alerts, as one of a topic that grew must."""

    def alerts(self) -> Alerts:
        found: dict[str, Alert] = {}
        for value in self.values:
            alert = msgspec.json.decode(value, type=Alert)
            if alert.revision >= found.get(alert.alert_id, alert).revision:
                found[alert.alert_id] = alert
        return comparable(found.values())


def expect(servers: str, wanted: Alerts, worker: Worker) -> None:
    """Wait for these open alerts, of which no message comes twice."""
    reader = Revisions(servers)
    try:
        same = reader.until(lambda: reader.open() == wanted)
        assert same, f"{difference(reader.open(), wanted)}\n\n{worker.told()}"
        said = Counter((alert.alert_id, alert.revision) for alert in map(_alert, reader.values))
        assert set(said.values()) <= {1}
    finally:
        reader.close()


_alert = msgspec.json.Decoder(Alert).decode


def pieces(records: list[Record], count: int) -> list[list[Record]]:
    """So many parts of them."""
    return [records[len(records) * i // count : len(records) * (i + 1) // count] for i in range(count)]


def judge(servers: str, folder: Path, records: list[Record], **settings: Any) -> None:
    """Have a worker judge these, all that was published so far."""
    with Worker(servers, folder / "state", group=GROUP, **settings) as worker:
        expect(servers, open_alerts(run(records)), worker)
        assert worker.stop() == 0


def check_state(servers: str, folder: Path, partitions: int) -> None:
    """Every parcel is kept once, at its home, and every partition says for how many the state is kept."""
    cache = Shared.of(8, 64)
    names = (topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG)
    stores = {name: RocksStore(name, folder, cache, hot_bytes_max=1 << 20) for name in names}
    restore({"bootstrap.servers": servers}, stores, set(range(partitions)), lambda: False)
    for store in stores.values():
        assert store.get(range(partitions), [MARK] * partitions) == [Parted(partitions).encode()] * partitions
    for number in range(partitions):
        kept = [key for rows in whole(stores[names[0]], number, 1_000) for key, _ in rows]
        assert set(partition_of(kept, partitions).tolist()) <= {number}
        entities = [key for key, _ in stores[names[1]].scan(number, b"", 100_000, FIRST) if len(key) == 13]
        assert {int.from_bytes(key[1:9], "big") % partitions for key in entities} <= {number}
    for store in stores.values():
        store.close_all()


def prepare(servers: str, folder: Path, parts: Sequence[list[Record]]) -> None:
    """A state of four partitions, and events that wait, some written when a topic had been given partitions by hand."""
    Publisher(servers)(parts[0])
    judge(servers, folder, parts[0])
    publish = Publisher(servers)
    publish(parts[1])
    publish.raw(topics.SHIPMENTS, b"SF:unreadable", b"{not json")
    publish.flush()
    add_partitions(servers, topics.SCANS, 6)
    Publisher(servers)(parts[2])


def check(servers: str, folder: Path, records: list[Record], behind: Sequence[list[Record]]) -> None:
    """Nothing is lost or doubled, of events that came before and of those that come now."""
    assert counts(servers) == {6}
    check_state(servers, folder / "check", 6)
    for part in behind:
        Publisher(servers)(part)
    judge(servers, folder, records)
    rejects = Reader(servers, topic=topics.REJECTS)
    rejects.until(lambda: bool(rejects.values))
    assert len(rejects.rejects()) == 1
    rejects.close()


@pytest.mark.chaos
def test_a_run_that_is_killed_at_any_phase_goes_on(
    fresh_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the end some producers do not know of the new partitions yet."""
    records = world(3, 120)
    parts = pieces(records, 5)
    prepare(fresh_kafka, tmp_path, parts)
    settings = Settings(bootstrap_servers=fresh_kafka, group=GROUP, state_dir=tmp_path, session_timeout_ms=SESSION_MS)
    stranger = settings.model_copy(update={"group": "waybill-stranger"})
    with Growth(stranger, 6, say=print, advance=lambda *_: None) as growth, pytest.raises(GrowError) as told:
        growth.look(alone=False)
    assert "group waybill-stranger has committed nothing, but there is state of" in str(told.value)
    for phase, number, side in MOMENTS:
        done = growing(fresh_kafka, tmp_path, GROUP, 6, phase, str(number), side)
        assert done.returncode == -9, f"{phase} {number} {side}: {done.stderr}"
        if phase.startswith("moving"):
            with Worker(fresh_kafka, tmp_path / "state", group=GROUP) as worker:
                assert "`waybill topics grow --partitions 6`, which goes on where it stopped" in ends(worker)
    late, passed = iter([parts[3]]), 0.0

    def say(text: str) -> None:
        nonlocal passed
        if "producers may not know" in text:
            publish_to(fresh_kafka, 4, next(late, []))
            passed = PATIENCE_S  # now they do

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed, sleep=time.sleep)
    with (
        monkeypatch.context() as patched,
        Growth(settings, 6, say=say, advance=lambda *_: None) as growth,
    ):
        patched.setattr("streams.worker.grow.time", clock)
        growth.run(growth.look(), PATIENCE_S)
    assert not [*late]
    check(fresh_kafka, tmp_path, records, parts[4:])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_killed_often_goes_on(fresh_kafka: str, tmp_path: Path, seed: int) -> None:
    records = world(20 + seed, 120)
    parts = pieces(records, 4)
    prepare(fresh_kafka, tmp_path, parts)
    for phase, number, side in random.Random(seed).sample(MORE_MOMENTS, 12):
        done = growing(fresh_kafka, tmp_path, GROUP, 6, phase, str(number), side)
        assert done.returncode in (-9, 0), done.stderr
    done = growing(fresh_kafka, tmp_path, GROUP, 6)
    assert done.returncode == 0, done.stderr
    check(fresh_kafka, tmp_path, records, parts[3:])


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_growing_twice(fresh_kafka: str, tmp_path: Path, protocol: str) -> None:
    records = world(8, 200)
    parts = pieces(records, 3)
    for part, partitions in zip(parts, (4, 5, 10), strict=True):
        if partitions > 4:
            done = grow(fresh_kafka, tmp_path, partitions, "--set", f"group_protocol={protocol}")
            assert done.returncode == 0, done.stderr
        Publisher(fresh_kafka)(part)
        judged = [record for each in parts[: parts.index(part) + 1] for record in each]
        judge(fresh_kafka, tmp_path, judged, group_protocol=protocol)
    check_state(fresh_kafka, tmp_path / "check", 10)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize("topic", [topics.SHIPMENTS, topics.SCANS])
def test_what_a_worker_judged_before_it_saw_the_growth(fresh_kafka: str, tmp_path: Path, topic: str, seed: int) -> None:
    """In some seconds producers know of more partitions than the worker, and parcels have state in two of them."""
    records = world(seed, 200)
    parts = pieces(records, 3)
    Publisher(fresh_kafka)(parts[0])
    with Worker(fresh_kafka, tmp_path / "state", group=GROUP) as worker:
        expect(fresh_kafka, open_alerts(run(parts[0])), worker)
        add_partitions(fresh_kafka, topic, 6)
        Publisher(fresh_kafka)(parts[1])
        assert "`waybill topics grow --partitions 6`" in ends(worker)
    done = grow(fresh_kafka, tmp_path, 6)
    assert done.returncode == 0, done.stderr
    check_state(fresh_kafka, tmp_path / "check", 6)
    Publisher(fresh_kafka)(parts[2])
    with Worker(fresh_kafka, tmp_path / "state", group=GROUP) as worker:
        reader = Revisions(fresh_kafka)
        wanted = open_alerts(run(records))
        assert reader.until(lambda: reader.open() == wanted), difference(reader.open(), wanted)
        reader.close()
        assert worker.stop() == 0


@pytest.mark.long
@pytest.mark.parametrize("seed", [31, 32])
def test_workers_that_were_killed_under_load(fresh_kafka: str, tmp_path: Path, seed: int) -> None:
    """They leave transactions open, and observations and facts on their way to each other."""
    records = world(seed, 600)
    parts = pieces(records, 2)
    workers = [Worker(fresh_kafka, tmp_path / name, group=GROUP, instance=name) for name in ("a", "b")]
    with workers[0], workers[1]:
        for worker in workers:
            worker.ready()
        stream = Stream(fresh_kafka, parts[0], 4)
        stream.start()
        time.sleep(random.Random(seed).uniform(1, 3))
        for worker in workers:
            worker.kill()
        stream.join()
    done = grow(fresh_kafka, tmp_path, 6)
    assert done.returncode == 0, done.stderr
    check_state(fresh_kafka, tmp_path / "check", 6)
    Publisher(fresh_kafka)(parts[1])
    judge(fresh_kafka, tmp_path, records)
