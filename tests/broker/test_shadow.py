"""The shadow topic and notices on a real broker: what a worker sends is what a run without a broker says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from rules import load_catalogue
from schemas import topics
from schemas.apart import Notice, Shadow
from schemas.records import Shipment
from streams.kafka.alerts import AlertReader, NewestShadows
from tests import forked
from tests.runs import open_alerts, run
from tests.schemas.samples import SHIPMENT
from tests.waiting import PATIENCE_S
from tests.workers import ROOT, Publisher, Reader, Worker, expect
from tests.worlds import START, world

pytestmark = pytest.mark.broker

SHADOWED = ("goods.controlled_term", "route.priority_origin", "journey.departed_uninspected")


def in_shadow(servers: str) -> dict[str, Shadow]:
    """What a reader finds in shadow now, of any tier from low, by parcel."""
    newest = NewestShadows()
    with AlertReader(servers, shadow=True) as reader:
        for change in reader.to_end():
            newest.take(change)
    found = {parcel: change.shadow for parcel, change in newest.open.items()}
    return {parcel: msgspec.structs.replace(said, detected_at=0) for parcel, said in found.items() if said is not None}


def shown(servers: str, *options: str) -> str:
    """What `waybill alerts --shadow` prints."""
    given = ("alerts", "--shadow", "--bootstrap-servers", servers, *options)
    done = forked.waybill(*given, env=os.environ, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_a_worker_sends_what_shadow_rules_say(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(9, 250)
    overrides = {rule: {"mode": "shadow"} for rule in SHADOWED}
    alone = run(records, rules=load_catalogue(overrides=overrides))
    wanted = {
        key.decode(): msgspec.structs.replace(said, detected_at=0)
        for key, said in alone.shadows.items()
        if said.status == "open" and said.tier_with != "none"
    }
    assert len(wanted) > 20
    Publisher(fresh_kafka)(records)
    with Worker(fresh_kafka, tmp_path / "state", rule_overrides=msgspec.json.encode(overrides).decode()) as worker:
        expect(fresh_kafka, open_alerts(alone), worker)
        deadline = time.monotonic() + PATIENCE_S
        while (found := in_shadow(fresh_kafka)) != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
        assert found == wanted
    lines = shown(fresh_kafka, "--json").splitlines()
    assert {msgspec.json.decode(line, type=Shadow).waybill_no for line in lines} == {
        said.waybill_no for said in wanted.values()
    }
    assert f"{len(wanted)} in shadow; the first 2 of them" in shown(fresh_kafka, "--limit", "2")


def test_a_worker_holds_a_flood_back(fresh_kafka: str, tmp_path: Path) -> None:
    fields = {"goods_name": "海洛因", "picked_up_at": START, "recorded_at": START}
    flood = [
        msgspec.convert({**SHIPMENT, **fields, "waybill_no": f"W{number}", "event_id": f"e{number}"}, Shipment)
        for number in range(200)
    ]
    Publisher(fresh_kafka)(flood)
    with Worker(fresh_kafka, tmp_path / "state", flood_share_max=0.02, flood_window_rows=100) as worker:
        notices = Reader(fresh_kafka, topic=topics.NOTICES)
        assert notices.until(lambda: len(notices.values) > 0)
        deadline = time.monotonic() + PATIENCE_S
        while len(found := in_shadow(fresh_kafka)) < len(flood) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(found) == len(flood)
        assert worker.says("ERROR")
    notice = msgspec.json.decode(notices.values[0], type=Notice)
    assert (notice.kind, notice.held, notice.instance) == ("rule_flood", True, "0")
    assert all(notice.rule in said.held for said in found.values())
    alerts = Reader(fresh_kafka)
    alerts.until(lambda: True, 3)
    assert alerts.values == []
    assert "held back: " in shown(fresh_kafka, "--limit", "1", "--lang", "en")
