"""A rotation of the publish key: who looks for a sender finds the alerts before it, and those after it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.records import Alert, Shipment
from streams.cli import run
from streams.ops import keys
from tests.schemas.samples import SHIPMENT
from tests.waiting import PATIENCE_S
from tests.workers import Publisher, Reader, Worker
from tests.worlds import START, resident_id

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("clean"), pytest.mark.columns(200)]


def shipments(number: int) -> list[Shipment]:
    """One parcel of each of two senders, each with an alert of its own."""
    bad: dict[str, Any] = {**SHIPMENT, "goods_name": "海洛因", "sender_id_type": "resident_id", "recorded_at": None}
    return [
        msgspec.convert(
            {
                **bad, "waybill_no": f"{name}{number}", "event_id": f"{name}{number}",
                "sender_id_no": resident_id(person), "picked_up_at": START + number,
            },
            Shipment,
        )
        for name, person in (("A", 1), ("B", 2))
    ]  # fmt: skip


def opened(reader: Reader, count: int) -> bool:
    return len(reader.open()) == count


def test_a_sender_is_found_across_a_rotation(
    fresh_kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "publish", tmp_path / "state"
    settings: dict[str, Any] = {"token_key_file": files[0], "token_state_key_file": files[1]}
    publish, reader = Publisher(fresh_kafka), Reader(fresh_kafka)
    keys.new(*files, "first")
    for number, key_id in enumerate(["first", "second", "third"]):
        if number:
            keys.rotate(*files, key_id)
        with Worker(fresh_kafka, tmp_path / "worker" / "state", **settings) as worker:
            worker.ready()
            publish(shipments(number))
            assert reader.until(partial(opened, reader, 2 * (number + 1)), PATIENCE_S), worker.told()
            assert worker.stop() == 0
    said = {alert.waybill_no: alert for alert in map(_decoded, reader.values)}
    assert said["A0"].sender_token == said["A1"].earlier_sender_tokens[0] == said["A2"].earlier_sender_tokens[1]
    assert [str(said[f"A{number}"].sender_token).partition(":")[0] for number in range(3)] == [
        "first", "second", "third",
    ]  # fmt: skip
    for number in range(3):
        capsys.readouterr()
        token = str(said[f"A{number}"].sender_token)
        assert run(["alerts", "--sender", token, "--json", "--bootstrap-servers", fresh_kafka]) == 0
        found = [json.loads(line)["waybill_no"] for line in capsys.readouterr().out.splitlines()]
        assert sorted(found) == ["A0", "A1", "A2"]
    # What was sent before and says nothing new is not sent anew for the sake of a key.
    assert len(reader.values) == len({(alert.waybill_no, alert.revision) for alert in map(_decoded, reader.values)})


def _decoded(value: bytes) -> Alert:
    return msgspec.json.decode(value, type=Alert)
