"""`waybill dispatcher`, `clues` and `measures` as processes, as somebody at a station uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.broker.test_desk import STATIONS, alert_on, publish

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]


class Station:
    """Somebody at a station, at a command line."""

    def __init__(self, servers: str) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "DESK_"))}
        self._env = {
            **plain, "KAFKA_BOOTSTRAP_SERVERS": servers, "DESK_USER": "u1", "DESK_STATION": "ST-1", "LANG": "C.UTF-8",
            "COLUMNS": "120",
        }  # fmt: skip

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "streams.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self._env, cwd=ROOT, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments: str) -> Any:
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]


def test_a_walk_from_alert_to_the_rule_s_figure(fresh_kafka: str, tmp_path: Path) -> None:
    waybill = Station(fresh_kafka)
    publish(fresh_kafka, *STATIONS, alert_on(1), alert_on(2))
    code, _, said = waybill("dispatcher", "--once")
    assert (code, said) == (0, "2 open clues\n")

    first, second = (clue["clue_id"] for clue in waybill.json("clues", "list"))
    code, out, _ = waybill("clues", "list", "--lang", "zh")
    assert code == 0
    assert "已派 ST-1" in out
    assert "同一证件多个姓名" in out

    code, out, _ = waybill("clues", "accept", first)
    assert code == 0
    assert out.startswith(f"{first}: accepted; the clue is accepted; check within ")
    code, _, said = waybill("clues", "accept", first, "--as", "u2")
    assert (code, said) == (1, "waybill: error: accepted: the clue is accepted, after acceptance by ST-1\n")
    assert waybill("clues", "accept", second, "--station", "ST-2")[0] == 1
    assert waybill("clues", "answer", first, "seizure", "--right", "goods.none")[0] == 1
    assert waybill("clues", "answer", first, "seizure", "--right", "identity.many_names", "--grams", "3")[0] == 0
    code, _, said = waybill("clues", "confirm", first, "--as", "u2")
    assert (code, "under this account too" in said, said.count("\n")) == (1, True, 1)
    (done,) = waybill.json("clues", "confirm", first, "--as", "u2", "--same-account")
    assert (done["counts"], done["clue"]["state"], done["clue"]["answer"]["found_g"]) == (True, "closed", 3)

    (shown,) = waybill.json("clues", "show", first)
    kinds = [each["event"]["kind"] for each in shown["log"]]
    assert kinds == ["opened", "dispatched", "accepted", "answered", "confirmed"]
    assert waybill("clues", "overdue")[0] == 0
    page = tmp_path / "measures.html"
    (measures,) = waybill.json("measures", "--since", "30d", "--html", str(page))
    (rule,) = measures["suspicion"]["rules"]
    assert (rule["rule"], rule["credited"], rule["precision"]["of"], rule["precision"]["share"]) == (
        "identity.many_names", 1, 1, None,
    )  # fmt: skip
    assert "identity.many_names" in page.read_text()


def test_wrong_use_is_said_in_one_line(fresh_kafka: str) -> None:
    waybill = Station(fresh_kafka)
    for arguments, code, why in (
        (("clues", "accept", "nothing"), 1, "no clue is called nothing"),
        (("clues", "list", "--state", "asleep"), 2, "'asleep' is none of new"),
        (("clues", "check", "x", "--at", "noon"), 2, "'noon' is no time"),
        (("measures", "--since", "soon"), 2, "'soon' is no time"),
    ):
        got, _, said = waybill(*arguments)
        assert (got, said.count("\n")) == (code, 1), said
        assert why in said
