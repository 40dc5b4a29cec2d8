"""One trace from an event to the answer of its clue: worker, tracer and dispatcher find it by the event's id alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from desk.dispatcher import Dispatcher
from desk.log import ClueLog
from desk.spans import ClueSpans
from desk.verbs import Accept, Answer
from schemas import topics
from streams.flow.sampling import Sampler
from streams.otel import Exporter
from tests.broker.test_desk import STATIONS, do, now_ms, publish
from tests.command import waybill
from tests.otel import Receiver
from tests.schemas.samples import SCAN, SHIPMENT, wire
from tests.waiting import until
from tests.workers import Publisher, Reader, Worker

pytestmark = pytest.mark.broker

SHIPPED = {**SHIPMENT, "event_id": "shipped", "goods_name": "白色粉末", "sender_id_no": None}
SCANNED = {**SCAN, "event_id": "scanned", "scan_type": "picked_up"}
KEY = f"{SHIPMENT['carrier_code']}:{SHIPMENT['waybill_no']}".encode()


def test_from_an_event_to_the_answer(fresh_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        env = {"KAFKA_BOOTSTRAP_SERVERS": fresh_kafka, "WAYBILL_OTEL_SHARE": "1"}
        publish(fresh_kafka, *STATIONS)
        send = Publisher(fresh_kafka)
        with Worker(fresh_kafka, tmp_path / "state", otel_share=1) as worker:
            send.raw(topics.SHIPMENTS, KEY, wire(SHIPPED))
            send.raw(topics.SCANS, KEY, wire(SCANNED))
            send.flush()
            alerts = Reader(fresh_kafka)
            assert alerts.until(lambda: any(each.revision for each in alerts.alerts().values()), quiet_s=2)
            assert worker.stop() == 0
        done = waybill("tracer", "--once", env=env)
        assert done.returncode == 0, done.stderr
        told = ClueSpans(Sampler(1), Exporter("dispatcher", "0", lambda *_: None).send, now_ms())
        with Dispatcher(fresh_kafka, {}, 30, spans=told) as dispatcher, ClueLog(fresh_kafka, {}) as station:
            dispatcher.start()
            (clue_id,) = dispatcher.log.open
            station.catch_up()
            for verb in (Accept(), Answer(outcome="no_finding")):
                do(station, clue_id, verb)
            while dispatcher.log.book.clues[clue_id].answer is None:
                dispatcher.step()
        until(
            lambda: all({"commit", "clue answered"} <= {*names(receiver, each)} for each in ("shipped", "scanned")),
            lambda: str([names(receiver, each) for each in ("shipped", "scanned")]),
        )
    for event_id, alert in (("shipped", ["alert"]), ("scanned", [])):  # the scan came before or after
        milestones = [each for each in names(receiver, event_id) if each.split()[0] in ("alert", "traced", "clue")]
        assert [each for each in dict.fromkeys(milestones) if alert or each != "alert"] == [
            *alert, "traced", "clue opened", "clue dispatched", "clue accepted", "clue answered"
        ]  # fmt: skip
    said = b"".join(receiver.bodies)
    assert not [
        each for each in (KEY, KEY.partition(b":")[2], b"shipped", b"ST-1", b"u1", clue_id.encode()) if each in said
    ]


def names(receiver: Receiver, event_id: str) -> list[str]:
    """Of the spans in the trace of an event."""
    return [each.name for each in receiver.trace(event_id)]
