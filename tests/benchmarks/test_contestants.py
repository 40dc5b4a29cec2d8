"""Each contestant, on a tiny stream and a real broker, gives the alerts that are expected. How fast is not tested."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from benchmarks import latency, traffic
from benchmarks.contestants import contestants
from benchmarks.contract import BenchmarkError, Context, Loaded, Pace, Result
from benchmarks.watch import watch
from rules import load_catalogue
from schemas import topics
from streams.files.driver import Offline, raw
from streams.generate import generate
from streams.settings import Settings
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker
EVENTS = 3 * traffic.BLOCK


@pytest.fixture
def clean_kafka(fresh_kafka: str) -> Iterator[str]:
    """A broker from which the benchmark's own topics vanish, too."""
    yield fresh_kafka
    admin = AdminClient({"bootstrap.servers": fresh_kafka, "log_level": 0})
    mine = [name for name in admin.list_topics(timeout=PATIENCE_S).topics if name.startswith("benchmark")]
    for deleted in (admin.delete_topics(mine) if mine else {}).values():
        deleted.result(PATIENCE_S)


def once(file: str, loaded: Loaded, folder: Path) -> Result:
    return contestants()[file].run(Context(f"benchmark-{uuid.uuid4().hex}", loaded, folder))


@pytest.mark.parametrize("file", ["hand_loop", "hand_loop_changelog", "shipments"])
def test_equal_alerts(file: str, clean_kafka: str, tmp_path: Path) -> None:
    loaded = traffic.load_shipments(clean_kafka, EVENTS)
    result = once(file, loaded, tmp_path)
    assert loaded.expected
    assert result.alerted == loaded.expected
    assert result.events == loaded.events > EVENTS  # some come twice
    assert result.measured.cpu_s > 0 < result.measured.wall_s


@pytest.mark.long
@pytest.mark.parametrize("file", ["quixstreams", "bytewax", "pathway", "flink", "kafka_streams"])
def test_peers_give_equal_alerts_in_environments_of_their_own(file: str, clean_kafka: str, tmp_path: Path) -> None:
    contestants()[file].ENVIRONMENT.prepare()
    loaded = traffic.load_shipments(clean_kafka, EVENTS)
    assert once(file, loaded, tmp_path).alerted == loaded.expected


def test_latencies_are_those_of_every_alert_that_falls_due(clean_kafka: str, tmp_path: Path) -> None:
    pace = Pace(2_000, warm_up_s=0, measured_s=2)
    loaded = traffic.load_nothing(clean_kafka)
    result = contestants()["hand_loop"].run(Context(f"benchmark-{uuid.uuid4().hex}", loaded, tmp_path, pace))
    due = traffic.Shipments.draw(8_000, latency.FREQUENT_SHARE).expected()
    assert 0 < len(result.measured.latencies_s) <= len(due)
    assert min(result.measured.latencies_s) > 0


def test_plain_faust_gives_the_same_on_its_prefix(clean_kafka: str, tmp_path: Path) -> None:
    loaded = traffic.load_prefix(clean_kafka, EVENTS)
    result = once("plain_faust", loaded, tmp_path)
    assert result.alerted == traffic.Shipments.draw(EVENTS).expected()
    assert result.events == loaded.events > EVENTS


def test_librdkafka_alone_reads_all(clean_kafka: str, tmp_path: Path) -> None:
    loaded = traffic.load_shipments(clean_kafka, EVENTS)
    result = once("raw", loaded, tmp_path)
    assert (result.events, result.alerted) == (loaded.events, None)


def test_all_topics_give_the_alerts_of_judging_without_a_broker(clean_kafka: str, tmp_path: Path) -> None:
    result = once("everything", traffic.load_everything(clean_kafka, 400), tmp_path)
    offline = Offline(Settings(), load_catalogue())
    names = {"shipment": topics.SHIPMENTS, "scan": topics.SCANS, "inspection": topics.INSPECTIONS}
    for chunk in generate(400, traffic.SEED):
        for kind, topic in names.items():
            lines = traffic.lines(chunk.frame(kind))
            offline.feed([raw(topic, 0, [value.encode() for _, value in lines])])
    # How far event time has come when the worker has read all differs by partition: some of what is missing is decided.
    least = _alerted(offline)
    offline.close()
    assert least
    assert result.alerted is not None
    assert least <= result.alerted <= _alerted(offline)


def _alerted(offline: Offline) -> frozenset[str]:
    return frozenset(f"{alert.carrier_code}:{alert.waybill_no}" for alert in offline.open_alerts())


def test_a_contestant_that_dies_is_an_error_with_its_log(clean_kafka: str, tmp_path: Path) -> None:
    traffic.make_topic(clean_kafka, "benchmark.none")
    context = Context("benchmark-dies", Loaded(clean_kafka, ("benchmark.none",), 0, 0.0, None), tmp_path)
    with pytest.raises(BenchmarkError, match=r"(?s)did not start.*no such luck"):
        watch(context, [sys.executable, "-c", "raise SystemExit('no such luck')"])
