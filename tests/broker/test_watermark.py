"""The watermark on a real broker: a replay at full speed opens no alert that the rest of it withdraws."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import Alert
from streams.kafka.transport.broker import Broker
from tests import forked
from tests.waiting import until
from tests.workers import ROOT, Publisher, Reader, Worker

pytestmark = pytest.mark.broker


def waybill(servers: str, *arguments: str | Path) -> None:
    done = forked.waybill(*map(str, arguments), env={"KAFKA_BOOTSTRAP_SERVERS": servers}, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def withdrawn_absences(reader: Reader) -> tuple[int, list[str]]:
    """How many alerts were ever open, and those that were withdrawn or lost a journey rule again."""
    messages: defaultdict[str, list[Alert]] = defaultdict(list)
    for value in reader.values:
        alert = msgspec.json.decode(value, type=Alert)
        messages[alert.alert_id].append(alert)
    lost = []
    for alert_id, alerts in messages.items():
        last = alerts[-1].status, {reason.rule for reason in alerts[-1].reasons}
        for alert in alerts:
            absent = {reason.rule for reason in alert.reasons if reason.rule in ABSENCES}
            if alert.status == "open" and absent and (last[0] != "open" or absent - last[1]):
                lost.append(f"{alert_id}: {sorted(absent - last[1])}")
                break
    return len(messages), lost


ABSENCES = {
    "journey.departed_uninspected",
    "journey.unregistered",
    "journey.ghost",
    "journey.second_xray_missing",
    "journey.unresolved_departed",
}


@pytest.mark.parametrize("first", ["worker", "replay"])
def test_a_replay_at_full_speed_opens_nothing_that_it_withdraws(fresh_kafka: str, tmp_path: Path, first: str) -> None:
    """The README's sequence, with a worker that reads along, and with one that finds all of it waiting."""
    waybill(fresh_kafka, "generate", tmp_path / "traffic", "--parcels", "4000", "--seed", "1")
    with Worker(fresh_kafka, tmp_path / "state", idle_partition_s=3_600, home_adcodes="430421,440111") as worker:
        if first == "worker":
            worker.ready()
        else:
            worker.kill()
        waybill(fresh_kafka, "replay", tmp_path / "traffic", "--speed", "max")
        if first == "replay":
            worker.start()
        reader = Reader(fresh_kafka)
        assert reader.until(lambda: len(reader.values) > 20, quiet_s=6), worker.told()
        ever, lost = withdrawn_absences(reader)
        assert worker.stop() == 0
    assert ever > 20
    assert lost == []


def test_the_broker_tells_where_topics_end(fresh_kafka: str) -> None:
    publish = Publisher(fresh_kafka)
    publish.raw(topics.SCANS, b"k", b"v")
    publish.flush()
    topic, partition, offset = publish.last
    places = [(name, number) for name in INPUT_TOPICS for number in range(4)]
    wanted = {**dict.fromkeys(places, 0), (topic, partition): offset + 1}
    broker = Broker({"bootstrap.servers": fresh_kafka})
    until(lambda: asyncio.run(broker.ends(places)) == wanted)  # one that is busy may not answer in time
    until(lambda: asyncio.run(broker.ends([*places, ("no.such.topic", 0)])) == wanted)


def test_a_broker_that_is_away_tells_no_ends() -> None:
    assert asyncio.run(Broker({"bootstrap.servers": "127.0.0.1:1"}).ends([(topics.SCANS, 0)])) == {}
