"""The tracer on a real broker: every alert is traced, once, whenever a tracer is killed; nobody is named."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from desk.traces.tracer import Tracer
from schemas import topics
from schemas.desk import Order, Trace
from schemas.records import Alert, Source, encode
from streams.flow.decode import Limits
from streams.flow.describe.tokens import Tokeniser
from streams.flow.emit import alert_id
from streams.kafka.log_reader import LogReader
from streams.kafka.transactions import Outgoing, TransactionalWriter
from tests import forked
from tests.desk.logs import ALERTED, T0
from tests.forked import Forked
from tests.repetition import LONG
from tests.schemas.samples import SCAN, SHIPMENT, wire
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
PARCELS, KILLS = 1_500, 10 if LONG else 2


def published(servers: str) -> list[Alert]:
    """Shipments with two scans each, and an alert on each, which names them."""
    writer = TransactionalWriter(servers, "test-publisher", {})
    alerts = []
    for first in range(0, PARCELS, 500):
        records, numbers = [], [f"{n:013d}" for n in range(first, first + 500)]
        for number in numbers:
            key = f"SF:{number}"
            records.append(
                Outgoing(topics.SHIPMENTS, key, wire({**SHIPMENT, "event_id": number, "waybill_no": number}))
            )
            for kind in ("picked_up", "departed"):
                scan = {**SCAN, "event_id": f"{number}-{kind}", "waybill_no": number, "scan_type": kind}
                records.append(Outgoing(topics.SCANS, key, wire(scan)))
        places = writer.write(records)
        for row, number in enumerate(numbers):
            sources = tuple(
                Source(topic=topic, partition=partition, offset=offset)
                for topic, partition, offset in places[3 * row : 3 * row + 3]
            )
            alerts.append(replace(ALERTED, alert_id=alert_id(f"SF:{number}"), waybill_no=number, sources=sources))
        writer.write([Outgoing(topics.ALERTS, f"SF:{alert.waybill_no}", encode(alert)) for alert in alerts[first:]])
    return alerts


def traces(servers: str) -> list[tuple[Trace, bytes]]:
    with LogReader(servers, [topics.TRACES]) as reader:
        return [(msgspec.json.decode(e.value or b"", type=Trace), e.value or b"") for e in reader.to_end()]


def trace_once(servers: str, *options: str) -> str:
    """`waybill tracer` until all is traced; what it said."""
    done = forked.waybill("tracer", "--bootstrap-servers", servers, "--once", *options, env=os.environ, cwd=ROOT)
    return done.stderr.decode()


@pytest.mark.chaos
def test_every_alert_is_traced_once_whenever_a_tracer_is_killed(fresh_kafka: str, tmp_path: Path) -> None:
    alerts, chance = published(fresh_kafka), random.Random(3)
    command = (sys.executable, "-m", "streams.cli", "tracer", "--bootstrap-servers", fresh_kafka)
    for _ in range(KILLS):
        process = Forked(command, env=os.environ, cwd=ROOT, log=tmp_path / "log")
        time.sleep(0.5 + chance.random() * 3)
        process.kill()
        process.wait(PATIENCE_S)
    said = trace_once(fresh_kafka)
    found = traces(fresh_kafka)
    assert Counter(trace.alert_id for trace, _ in found) == Counter(alert.alert_id for alert in alerts), said
    for trace, raw in found:
        assert (len(trace.movements), trace.gaps, trace.goods_class) == (2, (), "solid")
        for field in ("sender_name", "sender_phone", "sender_id_no"):
            assert str(SHIPMENT[field]).encode() not in raw
        assert trace.recipient_tokens == ()


def test_what_has_expired_is_named_and_a_new_group_traces_all_again(fresh_topics: Any) -> None:
    servers = fresh_topics(1)
    alerts = published(servers)[:3]
    place = TopicPartition(topics.SCANS, 0, 3)
    client = AdminClient({"bootstrap.servers": servers})  # which must outlive its answer
    client.delete_records([place])[place].result(PATIENCE_S)
    said = trace_once(servers)
    found = {trace.alert_id: trace for trace, _ in traces(servers)}
    assert len(found) == PARCELS, said
    of_first = found[alerts[0].alert_id]
    assert (of_first.movements, [gap.topic for gap in of_first.gaps]) == ((), [topics.SCANS] * 2)
    assert of_first.pickup_adcode == "440111"
    assert [gap.offset for gap in found[alerts[1].alert_id].gaps] == [2]
    before = {trace.alert_id: raw for trace, raw in traces(servers)}
    trace_once(servers, "--group", "waybill-sentinel.tracer-again")
    again = traces(servers)
    assert len(again) == 2 * PARCELS
    assert {trace.alert_id: raw for trace, raw in again} == before


def test_a_parcel_of_the_random_arm_is_traced_as_its_order_moves_whatever_its_alert_says_late(fresh_kafka: str) -> None:
    """Alerts and orders are read at their own pace: a trace never falls back to what an older alert knew."""
    writer = TransactionalWriter(fresh_kafka, "test-publisher", {})
    parcels = [f"SF:{n:013d}" for n in range(4)]
    drawn, both, gone, later = parcels
    places: dict[str, list[Source]] = {}
    for parcel in parcels:
        number = parcel.partition(":")[2]
        records = [Outgoing(topics.SHIPMENTS, parcel, wire({**SHIPMENT, "event_id": number, "waybill_no": number}))]
        for kind in ("picked_up", "departed", "delivered"):
            scan = {**SCAN, "event_id": f"{number}-{kind}", "waybill_no": number, "scan_type": kind}
            records.append(Outgoing(topics.SCANS, parcel, wire(scan)))
        written = writer.write(records)
        places[parcel] = [Source(topic=t, partition=p, offset=o) for t, p, o in written]

    def said(parcel: str, events: int, kind: type[Alert] | type[Order]) -> Outgoing:
        sources, number = tuple(places[parcel][:events]), parcel.partition(":")[2]
        if kind is Alert:
            alert = replace(ALERTED, alert_id=alert_id(parcel), waybill_no=number, revision=events, sources=sources)
            return Outgoing(topics.ALERTS, parcel, encode(alert))
        order = Order(
            order_id=alert_id(parcel), revision=events, arm="random", p=0.5, day="2026-11-30", carrier_code="SF",
            waybill_no=number, adcode="440111", at=T0, sources=sources,
        )  # fmt: skip
        return Outgoing(topics.ORDERS, parcel, encode(order))

    def movements() -> dict[str, int]:
        return {trace.alert_id: len(trace.movements) for trace, _ in traces(fresh_kafka)}

    writer.write([said(drawn, 2, Order), said(both, 4, Order), said(gone, 2, Order)])
    writer.write([Outgoing(topics.ORDERS, gone, None), said(gone, 4, Alert)])
    tokens, limits = Tokeniser(bytes(32), {"k1": bytes(32)}, "k1"), Limits()
    with Tracer(fresh_kafka, {}, tokens, limits) as tracer:
        until(lambda: tracer.step() >= 0 and tracer.exhausted)
        assert movements() == {alert_id(drawn): 1, alert_id(both): 3, alert_id(gone): 3}
        writer.write([said(drawn, 4, Order), said(both, 2, Alert)])  # as if alerts had been read far behind
        writer.write([said(later, 4, Order), said(later, 2, Alert)])
        until(
            lambda: tracer.step() >= 0 and movements().keys() >= {alert_id(later)} and movements()[alert_id(drawn)] == 3
        )
        until(lambda: tracer.step() >= 0 and tracer.exhausted)
        assert set(movements().values()) == {3}
