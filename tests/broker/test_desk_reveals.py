"""Reveals through pages, the tracer's door and a real broker; afterwards the person is where carriers wrote, only."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec.structs import replace

from desk.access import Reads
from desk.pen import Pen
from desk.reveals import SHOWN_MS, Reveals
from desk.traces.door import DoorError, opened
from desk.traces.records import ShipmentRecords
from schemas import topics
from schemas.desk import Access
from schemas.records import Source, encode
from streams.flow.decode import Limits
from streams.kafka.transactions import Outgoing, TransactionalWriter
from tests.broker.test_desk import alert_on, now_ms, on_topic
from tests.broker.test_desk_pages import Browser
from tests.broker.test_nobody_named import records_of
from tests.desk_site import served
from tests.persons import PERSONS, SENDER_ID, found_in
from tests.schemas.samples import SHIPMENT, wire
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker

CLUE = alert_on(1).alert_id
ASKED = {"clue": CLUE, "field": "sender_id_no", "why": "to compare with the file"}


class Clock:
    """The wall clock, and what it is turned by."""

    def __init__(self) -> None:
        self.turned = 0

    def __call__(self) -> int:
        return now_ms() + self.turned


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(fresh_kafka: str, tmp_path: Path, clock: Clock) -> Iterator[Path]:
    """A door to the records of the first of three clues; its alert names the record behind it."""
    path, records = tmp_path / "door" / "tracer", ShipmentRecords(fresh_kafka, {}, Limits())
    pen = Pen(fresh_kafka, {}, "waybill-sentinel.door-test")
    with opened(path, Reveals(Reads(pen), records, clock)):
        yield path
    records.close()


def alerted(servers: str) -> None:
    """The alert names its record; a parcel of the same partition has one, too."""
    alert, writer = alert_on(1), TransactionalWriter(servers, "test-carrier", {})
    shipment = wire({**SHIPMENT, **PERSONS, "waybill_no": alert.waybill_no})
    ((topic, partition, offset),) = writer.write([Outgoing(topics.SHIPMENTS, f"SF:{alert.waybill_no}", shipment)])
    sources = (Source(topic=topic, partition=partition, offset=offset),)
    writer.write(
        [Outgoing(topics.ALERTS, f"SF:{alert.waybill_no}", encode(replace(alert, sources=sources, revision=9)))]
    )


def forget(servers: str) -> None:
    """All shipments are past retention."""
    client = AdminClient({"bootstrap.servers": servers})
    there = client.list_topics(topics.SHIPMENTS).topics[topics.SHIPMENTS].partitions
    for deleted in client.delete_records([TopicPartition(topics.SHIPMENTS, number, -1) for number in there]).values():
        deleted.result(PATIENCE_S)


def steps(servers: str) -> list[tuple[str, str, bool]]:
    """What is on record about reveals: who, which step, and whether it was possible."""
    entries = [msgspec.json.decode(value or b"", type=Access) for _, value in on_topic(servers, topics.ACCESS)]
    return [(each.user, each.fields[0][7:], each.ok) for each in entries if each.fields[0].startswith("reveal_")]


def action(page: str, step: str) -> str:
    found = re.search(f'action="(/desk/reveals/[^"]+/{step})"', page)
    assert found is not None, step
    return found[1]


def test_two_persons_see_one_field_for_ten_minutes_and_it_is_kept_nowhere(
    fresh_kafka: str, door: Path, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        served(fresh_kafka, door=door) as site, Browser(site, "analyst") as asker,
        Browser(site, "supervisor") as second, Browser(site, "u1") as station,
        Browser(site, "analyst of 44", "zh") as other, Browser(site, "viewer") as viewer,
    ):  # fmt: skip
        assert asker.post("/desk/reveals", ASKED).status_code == 410  # its alert names no record of it
        alerted(fresh_kafka)
        assert viewer.post("/desk/reveals", ASKED).status_code == 403
        assert station.post("/desk/reveals", ASKED).status_code == 403  # it does not see the reasons yet
        assert other.post("/desk/reveals", {**ASKED, "clue": alert_on(3).alert_id}).status_code == 404
        assert asker.post("/desk/reveals", {**ASKED, "why": " "}).status_code == 422
        assert asker.post("/desk/reveals", {**ASKED, "field": "goods_name"}).status_code == 422
        assert f'href="/desk/reveals?clue={CLUE}"' in asker.get(f"/desk/clues/{CLUE}")
        assert asker.post("/desk/reveals", ASKED).status_code == 200
        page = second.get("/desk/reveals")
        assert (ASKED["why"] in page, SENDER_ID in page) == (True, False)
        assert "/grant" not in asker.get("/desk/reveals")
        grant = action(page, "grant")
        show = grant.replace("grant", "show")
        assert asker.post(show, {}).status_code == 403
        assert asker.post(grant, {}).status_code == 403  # nor may an analyst agree
        assert other.post(grant, {}).status_code == 403
        assert second.post(grant, {}).status_code == 200
        assert second.post(show, {}).status_code == 403
        shown = asker.post(action(asker.get("/desk/reveals"), "show"), {})
        assert (shown.status_code, shown.text.count(SENDER_ID)) == (200, 1)
        assert found_in(shown.text.replace(SENDER_ID, "").encode()) == []
        assert int(shown.headers["refresh"].partition(";")[0]) <= SHOWN_MS // 1_000
        clock.turned = SHOWN_MS
        over = asker.post(show, {})
        assert (over.status_code, SENDER_ID in over.text) == (410, False)
        assert second.post("/desk/reveals", ASKED).status_code == 200  # a second person of one's own is nobody
        own = second.get("/desk/reveals")
        assert "/grant" not in own
        (reveal,) = re.findall('aria-labelledby="reveal-([^"]+)"', own)
        assert second.post(f"/desk/reveals/{reveal}/grant", {}).status_code == 403
        forget(fresh_kafka)
        gone = other.post("/desk/reveals", ASKED)
        assert (gone.status_code, "记录已过保存期" in gone.text) == (410, True)
    said = steps(fresh_kafka)
    assert said == [
        ("analyst", "asked", False), ("u1", "asked", False), ("analyst", "asked", True), ("analyst", "shown", False),
        ("analyst", "grant", False), ("analyst-of-44", "grant", False), ("supervisor", "granted", True),
        ("supervisor", "shown", False), ("analyst", "shown", True), ("supervisor", "asked", True),
        ("supervisor", "granted", False), ("analyst-of-44", "asked", False),
    ]  # fmt: skip
    for topic, data in records_of(fresh_kafka).items():
        assert not found_in(data), topic
    assert not found_in(caplog.text.encode())
    for path in (each for each in tmp_path.rglob("*") if each.is_file()):
        assert not found_in(path.read_bytes()), path


def test_a_door_is_for_one_tracer_in_a_folder_that_others_cannot_enter(tmp_path: Path, door: Path) -> None:
    assert door.stat().st_mode & 0o777 == 0o660
    assert door.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(DoorError, match="another tracer"), opened(door, None):  # type: ignore[arg-type]
        pass
    (tmp_path / "open").mkdir(0o755)
    with pytest.raises(DoorError, match="everybody can enter"), opened(tmp_path / "open" / "t", None):  # type: ignore[arg-type]
        pass
