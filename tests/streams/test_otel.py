"""Traces for OpenTelemetry: the way of sampled events, sent by the real exporter; nobody waits, and nobody is named."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from schemas import topics
from streams.flow.batches import Batch
from streams.flow.sampling import Sampler, Span, digest_of
from streams.metrics import Metrics
from streams.otel import SPANS_MAX, Exporter, OtelError
from tests.deploy import modules
from tests.otel import Receiver
from tests.persons import bad, found_in, good
from tests.prometheus import free_port
from tests.schemas.samples import SCAN, SHIPMENT, wire
from tests.waiting import until
from tests.workbench import Workbench, workbench
from tests.worlds import START

WAY = ["wait", "decode", "queue", "read", "fold", "histories", "judge", "emit", "save", "hold", "commit"]
ALERTED = "alerted-parcel-1"


def batches() -> list[Batch]:
    """A parcel with an alert and its scan, persons of all kinds, and records that cannot be read."""
    alerted = wire({**SHIPMENT, "event_id": ALERTED, "goods_name": "白色粉末", "sender_id_no": None})
    values = [alerted, *good(), *bad(), wire({**SHIPMENT, "event_id": "rejected", "weight_g": "x"}), b"{", b""]
    scans = [wire({**SCAN, "event_id": "scan-1"})]
    return [
        Batch(topics.SHIPMENTS, 1, range(7, 7 + len(values)), values, [START] * len(values)),
        Batch(topics.SCANS, 1, range(1), scans, [START]),
    ]


def play(bench: Workbench) -> None:
    """As the polling thread and the agents would."""
    asyncio.run(bench.settle([bench.worker.parcels.read_ahead(each) for each in batches()]))


def spans(metrics: Metrics, outcome: str) -> float:
    """How many were sent, or dropped."""
    return metrics.registry.get_sample_value("waybill_otel_spans_total", {"outcome": outcome}) or 0


def more(metrics: Metrics, dropped: float) -> bool:
    """More were dropped."""
    return spans(metrics, "dropped") > dropped


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    yield receiver
    receiver.close()


def test_the_way_of_an_event_is_found_by_its_id(receiver: Receiver, tmp_path: Path) -> None:
    with workbench(tmp_path / "off") as plain:
        play(plain)
    with receiver, workbench(tmp_path / "on", otel_share=1, instance="w1") as bench:
        play(bench)
        until(lambda: any(each.name == "commit" for each in receiver.trace("scan-1")))  # the last event
        until(lambda: spans(bench.worker.metrics, "sent") == len(receiver.spans))
    assert bench.effects.published == plain.effects.published, "to be traced changes nothing"

    root, *parts = sorted(receiver.trace(ALERTED), key=lambda each: each.name != "event")
    assert (root.name, root.span, root.parent) == ("event", digest_of(ALERTED).hex()[32:48], "")
    assert root.attributes == {
        "messaging.system": "kafka", "messaging.destination.name": topics.SHIPMENTS,
        "messaging.destination.partition.id": "1", "messaging.kafka.offset": 7,
    }  # fmt: skip
    assert {each.parent for each in parts} == {root.span}
    (alert,) = (each for each in parts if each.name == "alert")
    assert alert.attributes["waybill.alert.status"] == "open"
    way = [each for each in parts if each.name != "alert"]
    assert [each.name for each in way] == WAY
    assert [each.begun for each in way] == [root.begun, *(each.ended for each in way[:-1])]
    assert (way[0].begun, way[-1].ended) == (START * 1_000_000, root.ended)
    assert [each.name for each in receiver.trace("scan-1")][:1] == ["event"]
    assert receiver.trace("rejected")[0].attributes["waybill.rejected"] == "wrong_type"

    said = b"".join(receiver.bodies)
    assert not found_in(said)
    for number in (ALERTED, SHIPMENT["waybill_no"], SHIPMENT["courier_id"], SHIPMENT["outlet_id"]):
        assert number.encode() not in said


def test_the_sample_is_that_of_the_standard() -> None:
    ids, ours, theirs = [f"event-{n}" for n in range(2_000)], Sampler(0.1), TraceIdRatioBased(0.1)
    sampled = {each for each in ids if ours.digest(each) is not None}
    assert 100 < len(sampled) < 300
    assert sampled == {
        each
        for each in ids
        if theirs.should_sample(None, int.from_bytes(digest_of(each)[:16], "big"), "").decision
        is Decision.RECORD_AND_SAMPLE
    }
    assert [Sampler(share).digest("x") is not None for share in (0.0, 1.0)] == [False, True]


def test_a_receiver_that_is_away_is_said_once(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    receiver.close()
    with caplog.at_level(logging.INFO), workbench(tmp_path, otel_share=1) as bench:
        for _ in range(2):
            commits, dropped = len(bench.effects.epochs), spans(bench.worker.metrics, "dropped")
            play(bench)
            assert len(bench.effects.epochs) > commits
            until(partial(more, bench.worker.metrics, dropped))
    assert [
        each.getMessage() for each in caplog.records if each.name.startswith(("streams.otel", "opentelemetry"))
    ] == [f"otel: no spans are taken at {receiver.url}; they are dropped until they are"]
    assert spans(bench.worker.metrics, "sent") == 0


def test_nobody_waits_for_a_receiver_that_hangs(receiver: Receiver) -> None:
    metrics = Metrics(states=["running"])
    with receiver:
        receiver.open.clear()
        exporter = Exporter("worker", "0", metrics.spans)
        for _ in range(3 * SPANS_MAX):
            exporter.send(1, [Span(digest_of("x"), "part", 1, 2)])
        assert SPANS_MAX <= spans(metrics, "dropped") <= 2 * SPANS_MAX, "the rest waits, and is bounded"
        receiver.open.set()
        exporter.close()


def test_the_collector_takes_it(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's own, which hands on what it took."""
    if not modules.collector().exists():
        pytest.skip("no Collector here (`make collector` builds it where Go is)")
    port = free_port()
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"otlphttp": {"endpoint": receiver.url}},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    command = [str(modules.collector()), "--config", f"file:{tmp_path / 'config.yaml'}"]
    with receiver, (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        until(lambda: process.poll() is not None or b"Everything is ready" in (tmp_path / "log").read_bytes())
        assert process.poll() is None, (tmp_path / "log").read_text()
        exporter = Exporter("worker", "0", lambda *_: None)
        exporter.send(1, [Span(digest_of("x"), "event", 1, 3, {"messaging.kafka.offset": 7}, root=True)])
        exporter.send(1, [Span(digest_of("x"), "fold", 1, 2)])
        until(lambda: len(receiver.trace("x")) == 2)
        exporter.close()
        process.terminate()
    root, part = receiver.trace("x")
    assert (root.service, root.name, root.attributes) == ("waybill-worker", "event", {"messaging.kafka.offset": 7})
    assert (part.name, part.parent, part.begun, part.ended) == ("fold", root.span, 1, 2)


def test_off_it_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from streams.app import build; from streams.settings import Settings\n"
        "build(Settings(bootstrap_servers='127.0.0.1:1', state_dir=Path(sys.argv[1])))\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "streams.otel.sdk", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(OtelError) as refused:
        Exporter("worker", "0", lambda *_: None)
    assert (str(refused.value), refused.value.exit_code) == (
        "otel_share: events cannot be traced, as OpenTelemetry is not installed here: "
        "pip install 'waybill-sentinel[otel]', or set otel_share to 0",
        2,
    )
