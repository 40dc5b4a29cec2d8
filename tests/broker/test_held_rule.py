"""A rule that floods on a real broker: whoever asks is told, and a push for another's sake changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules.engine.folder import SHIPPED
from schemas import topics
from schemas.apart import Notice
from schemas.records import Shipment
from streams.cli import run
from tests.schemas.samples import SHIPMENT
from tests.waiting import PATIENCE_S, until
from tests.workers import Publisher, Reader, Worker
from tests.worlds import START

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("clean"), pytest.mark.columns(200)]

Captured = pytest.CaptureFixture[str]
SLIP = "goods.controlled_term"
GROUP = "waybill-flood"


def shipments(first: int, count: int, **fields: Any) -> list[Shipment]:
    plain = {**SHIPMENT, "goods_name": "图书", "customer_type": "agreement", "picked_up_at": START, **fields}
    return [
        msgspec.convert({**plain, "waybill_no": f"W{number}", "event_id": f"e{number}"}, Shipment)
        for number in range(first, first + count)
    ]


def said(capsys: Captured, servers: str, *arguments: str) -> tuple[int, str]:
    """Exit code of a command, and what it prints."""
    capsys.readouterr()
    code = run([*arguments, "--bootstrap-servers", servers, "--set", f"group={GROUP}"])
    shown = capsys.readouterr()
    return code, shown.out + shown.err


def test_push_status_and_doctor_name_a_rule_that_is_held_back(
    fresh_kafka: str, tmp_path: Path, capsys: Captured
) -> None:
    state = tmp_path / "worker" / "state"
    settings: dict[str, Any] = {"group": GROUP, "flood_share_max": 0.02, "flood_window_rows": 200}
    with Worker(fresh_kafka, state, **settings) as worker:
        worker.ready()
        Publisher(fresh_kafka)(shipments(0, 100, goods_name="海洛因"))
        until(lambda: bool(worker.says(f"rule {SLIP} is held back")), worker.told)
        wanted = f"{SLIP} opens too many alerts: "

        def told(*command: str) -> bool:
            return wanted in said(capsys, fresh_kafka, *command)[1]

        until(lambda: told("rules", "status"), worker.told)
        assert told("doctor", "--state-dir", str(state), "--set", "web_port=0")
        records = map(json.loads, said(capsys, fresh_kafka, "rules", "status", "--json")[1].splitlines())
        (held,) = [each for record in records if "worker" in record for each in record["held"]]
        assert (held["rule"], held["budget"]) == (SLIP, 0.02)
        # A push for another rule's sake neither releases it nor keeps quiet about it.
        shutil.copytree(SHIPPED / "goods", tmp_path / "rules" / "goods")
        code, shown = said(capsys, fresh_kafka, "rules", "push", str(tmp_path / "rules"), "--note", "fewer")
        assert code == 0, shown
        assert wanted in shown
        notices = Reader(fresh_kafka, topic=topics.NOTICES)
        assert notices.until(lambda: bool(notices.values), PATIENCE_S)
        assert all(msgspec.json.decode(value, type=Notice).held for value in notices.values)
        assert not worker.says(f"rule {SLIP} is released")
        assert worker.stop() == 0
