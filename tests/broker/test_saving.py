"""Topics into a folder and back, and the drill: a cluster is lost, and another goes on from what was saved."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from schemas import topics
from schemas.topics import TOPICS
from streams.files.driver import TOPIC_OF
from streams.kafka import admin, saving
from streams.kafka.cluster import Cluster
from streams.kafka.reader import Reader
from streams.kafka.roles import SAVED
from streams.ops.broker import PrivateKafka
from tests.command import waybill
from tests.runs import open_alerts, run
from tests.waiting import PATIENCE_S, until
from tests.workers import Publisher, Stream, Worker, expect, expect_tallies
from tests.workers import Reader as Alerts
from tests.worlds import world

pytestmark = pytest.mark.broker

Held = dict[tuple[str, int], list[tuple[Any, ...]]]
SENT_MS = int(time.time() * 1_000) - 60_000  # none so old that it is compacted meanwhile


def no_bar(step: str, share: float, rows: int) -> None:
    """Nobody looks."""


def held(servers: str) -> Held:
    """What is committed on all topics, by partition: key, value, headers, and the time where producers give it."""
    config = {"bootstrap.servers": servers}
    places = [
        (name, number)
        for name, facts in Cluster(config).topics([topic.name for topic in TOPICS]).items()
        for number in range(facts.partitions)
    ]
    with Reader(config) as reader:
        reader.assign(dict.fromkeys(places, 0))
        messages = [message for piece in reader.to_end() for message in piece.records]

    def place(message: Message) -> tuple[str, int]:
        return str(message.topic()), int(message.partition() or 0)

    def row(name: str, message: Message) -> tuple[Any, ...]:
        time_ms = message.timestamp()[1] if name in DATED_BY_SENDER else None
        offset = message.offset() if name == topics.REFERENCE else None  # it counts in revisions
        return message.key(), message.value(), message.headers(), time_ms, offset

    found = groupby(sorted(messages, key=place), place)
    return {at: [row(at[0], each) for each in of if each.key() != b"gap"] for at, of in found}


FILLED = (topics.ALERTS, topics.CLUES, topics.PARCELS_CHANGELOG, topics.RULES, topics.REFERENCE, topics.FACTS)
DATED_BY_SENDER = {topics.RULES, topics.FEEDBACK}


def fill(servers: str) -> None:
    """Records of every shape on topics of every kind: what was aborted is no part of it."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": "fill"})
    producer.init_transactions(PATIENCE_S)
    for number in range(4):
        producer.begin_transaction()
        for name in (
            topics.ALERTS,
            topics.CLUES,
            topics.PARCELS_CHANGELOG,
            topics.RULES,
            topics.REFERENCE,
            topics.FACTS,
        ):
            for key in range(30):
                value = None if key % 7 == 3 else bytes([number, key]) * 40
                producer.produce(name, key=b"\xff%d" % key, value=value, timestamp=SENT_MS + key)
        producer.produce(topics.REJECTS, value=b"no key", headers=[("why", b"\x00\xff"), ("none", None)])
        producer.produce(topics.SHIPMENTS, key=b"events are not saved", value=b"{}")
        if number == 2:
            producer.flush()
            producer.abort_transaction(PATIENCE_S)
        else:
            producer.commit_transaction(PATIENCE_S)


def emptied(servers: str, folder: Path) -> dict[str, str]:
    """Delete all topics, as a new cluster has none. The environment of commands."""
    admin.delete(servers)
    return {"KAFKA_BOOTSTRAP_SERVERS": servers, "WAYBILL_STATE_DIR": str(folder / "state")}


def test_what_was_saved_comes_back_in_its_order_and_events_of_carriers_do_not(
    fresh_topics: Callable[[int], str], tmp_path: Path
) -> None:
    servers = fresh_topics(3)
    fill(servers)
    before = {place: rows for place, rows in held(servers).items() if place[0] != topics.SHIPMENTS}
    assert len(before[topics.RULES, 0]) == 90
    environment = {"KAFKA_BOOTSTRAP_SERVERS": servers}
    saved = waybill("topics", "save", str(tmp_path / "saved"), env=environment)
    assert saved.returncode == 0, saved.stderr
    assert f"{topics.RULES}: 90 records saved" in saved.stdout
    assert (tmp_path / "saved").stat().st_mode & 0o077 == 0

    environment = emptied(servers, tmp_path)
    loaded = waybill("topics", "load", str(tmp_path / "saved"), env=environment)
    assert loaded.returncode == 0, loaded.stderr
    assert held(servers) == before
    counts = {state.topic.name: state.partitions for state in admin.show(servers)}
    assert (counts[topics.ALERTS], counts[topics.RULES], counts[topics.SHIPMENTS]) == (3, 1, 0)

    again = waybill("topics", "load", str(tmp_path / "saved"), env=environment)
    assert again.returncode == 0, again.stderr
    assert held(servers) == before, "nothing twice"
    twice = waybill("topics", "save", str(tmp_path / "saved"), env=environment)
    assert (twice.returncode, "is not empty" in twice.stderr) == (1, True)


def test_a_load_that_breaks_off_goes_on_where_it_stood(
    fresh_topics: Callable[[int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = fresh_topics(2)
    fill(servers)
    before = {place: rows for place, rows in held(servers).items() if place[0] != topics.SHIPMENTS}
    config = {"bootstrap.servers": servers}
    folder = tmp_path / "saved"
    saving.save(config, folder, SAVED, no_bar)
    emptied(servers, tmp_path)
    monkeypatch.setattr(saving, "_ROWS", 20)
    for at in (20, 100, 250):

        def break_off(step: str, share: float, rows: int, at: int = at) -> None:
            if rows >= at:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            saving.load(config, folder, 1, break_off, writer="load")
    saving.load(config, folder, 1, no_bar, writer="load")
    assert held(servers) == before

    publish = Publisher(fresh_topics(2))
    for key, value, *_ in before[topics.RULES, 0][-30:]:  # what compaction leaves of it
        publish.raw(topics.RULES, key, value)
    publish.flush()
    saving.load(config, folder, 1, no_bar, writer="load")
    rows = {place: [row[:2] for row in rows] for place, rows in held(servers).items()}
    assert rows.pop((topics.RULES, 0))[30:] == [row[:2] for row in before[topics.RULES, 0]]
    assert rows == {place: [row[:2] for row in of] for place, of in before.items() if place != (topics.RULES, 0)}


def test_what_does_not_fit_is_refused_by_name(fresh_topics: Callable[[int], str], tmp_path: Path) -> None:
    servers = fresh_topics(2)
    fill(servers)
    config, folder = {"bootstrap.servers": servers}, tmp_path / "saved"
    saving.save(config, folder, [topics.RULES, topics.ALERTS], no_bar)

    def refused(where: Path = folder) -> str:
        with pytest.raises((saving.SavingError, admin.TopicError)) as told:
            saving.load(config, where, 1, no_bar, writer="load")
        return str(told.value)

    Publisher(servers).raw(topics.RULES, b"other", b"rule")
    fresh_topics(3)
    assert f"{topics.ALERTS} has 3, wanted 2" in refused()
    publish = Publisher(fresh_topics(2))
    publish.raw(topics.RULES, b"other", b"rule")
    publish.flush()
    assert f"{topics.RULES}[0] holds records that are not in {folder / topics.RULES / '0.ndjson.gz'}" in refused()
    assert not held(servers).keys() - {(topics.RULES, 0)}, "nothing was written"

    packed = folder / topics.ALERTS / "1.ndjson.gz"
    packed.write_bytes(gzip.compress(b"{}"))
    assert f"{packed} is missing or damaged" in refused()
    assert f"{tmp_path / 'topics.json'} cannot be read" in refused(tmp_path)
    assert {part["topic"] for part in json.loads((folder / "topics.json").read_bytes())} == {
        topics.RULES,
        topics.ALERTS,
    }


@pytest.mark.long
def test_drill_a_cluster_is_lost_and_another_goes_on(tmp_path: Path) -> None:
    """Saved while workers judge, then killed and gone; carriers send again what they sent since before the saving."""
    records = world(21, 600)
    wanted = open_alerts(run(records))
    half = len(records) // 2
    with PrivateKafka() as kafka:
        admin.create(kafka.bootstrap_servers, 4)
        with Worker(kafka.bootstrap_servers, tmp_path / "a" / "state") as worker:
            worker.ready()
            stream = Stream(kafka.bootstrap_servers, records[:half], 4.0)
            stream.start()
            alerts = Alerts(kafka.bootstrap_servers)
            until(lambda: alerts.poll() > 0 and len(alerts.values) > 20)
            config = {"bootstrap.servers": kafka.bootstrap_servers}
            saving.save(config, tmp_path / "saved", SAVED, no_bar)
            stream.join()
            kafka.kill()
    with PrivateKafka() as other:
        servers = other.bootstrap_servers
        saving.load({"bootstrap.servers": servers}, tmp_path / "saved", 1, no_bar, writer="load")
        admin.create(servers, 4)
        assert any(rows for (name, _), rows in held(servers).items() if name == topics.PARCELS_CHANGELOG)
        with Worker(servers, tmp_path / "b" / "state") as worker:
            registered = len(held(servers).get((topics.REFERENCE, 0), []))
            reference = [record for record in records if TOPIC_OF[type(record)] == topics.REFERENCE]
            Publisher(servers)(record for record in records if record not in reference[:registered])
            expect(servers, wanted, worker)
            expect_tallies(servers, records, wanted, worker)
            assert worker.stop() == 0
