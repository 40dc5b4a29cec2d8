"""`waybill dispatcher`, `clues` and `measures`, as somebody at a station uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.broker.test_desk import STATIONS, alert_on, order_of, publish
from tests.command import waybill

pytestmark = pytest.mark.broker

RULE = "identity.many_names"


class Station:
    """Somebody at a station, at a command line."""

    def __init__(self, servers: str, station: str = "ST-1") -> None:
        self._env = {
            "KAFKA_BOOTSTRAP_SERVERS": servers, "DESK_USER": "u1", "DESK_STATION": station, "LANG": "C.UTF-8",
            "COLUMNS": "120",
        }  # fmt: skip

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        done = waybill(*arguments, env=self._env)
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments: str) -> Any:
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]


def test_a_walk_from_alert_to_the_rule_s_figure(fresh_kafka: str, tmp_path: Path) -> None:
    waybill = Station(fresh_kafka)
    publish(fresh_kafka, *STATIONS, alert_on(1), alert_on(2), order_of(3))
    code, _, said = waybill("dispatcher", "--once")
    assert (code, said) == (0, "3 open clues\n")

    clues = waybill.json("clues", "list")
    assert len({tuple(clue) for clue in clues}) == 1, "of an alert and of an order, a station sees the same fields"
    assert not {"origin", "tier", "alert", "arm", "p"} & clues[0].keys()
    first, second = alert_on(1).alert_id, alert_on(2).alert_id
    code, out, _ = waybill("clues", "list", "--lang", "zh")
    assert (code, out.count("已派 ST-1"), out.count("按要求检查")) == (0, 3, 3)
    (told,) = waybill.json("clues", "show", first)
    assert RULE not in json.dumps(told)
    for arguments in (("clues", "list", "--lang", "en"), ("clues", "show", first, "--lang", "en")):
        assert "One ID number" not in waybill(*arguments)[1]
    analyst = Station(fresh_kafka, "")
    assert "同一证件多个姓名" in analyst("clues", "list", "--lang", "zh")[1]
    assert RULE in analyst("clues", "show", first)[1]

    code, out, _ = waybill("clues", "accept", first)
    assert code == 0
    assert out.startswith(f"{first}: accepted; the clue is accepted; check within ")
    code, _, said = waybill("clues", "accept", first, "--as", "u2")
    assert (code, said) == (1, "waybill: error: accepted: the clue is accepted, after acceptance by ST-1\n")
    assert waybill("clues", "accept", second, "--station", "ST-2")[0] == 1
    code, _, said = waybill("clues", "answer", first, "seizure", "--right", RULE)
    assert (code, said) == (1, "waybill: error: rules: are judged after the answer, by `judge`\n")
    assert waybill("clues", "answer", first, "seizure", "--grams", "3")[0] == 0
    assert RULE in waybill("clues", "show", first)[1]
    assert waybill("clues", "judge", first, "--right", "goods.none")[0] == 1
    assert waybill("clues", "judge", first, "--right", RULE)[0] == 0
    code, _, said = waybill("clues", "confirm", first, "--as", "u2")
    assert (code, "under this account too" in said, said.count("\n")) == (1, True, 1)
    (done,) = waybill.json("clues", "confirm", first, "--as", "u2", "--same-account")
    assert (done["counts"], done["clue"]["state"], done["clue"]["answer"]["found_g"]) == (True, "closed", 3)

    (shown,) = waybill.json("clues", "show", first)
    kinds = [each["event"]["kind"] for each in shown["log"]]
    assert kinds == ["opened", "dispatched", "accepted", "answered", "judged", "confirmed"]
    assert waybill("clues", "overdue")[0] == 0
    (reported,) = waybill.json("clues", "report", "SF:9", "--adcode", "440111", "--note", "气味异常")
    clue = reported["clue"]["clue_id"]
    assert waybill("clues", "claim", clue)[1] == f"{clue}: claimed; the clue is new\n"
    assert waybill("clues", "keep", clue, "--until", "2090-01-31", "--why", "court")[0] == 0
    assert "claimed u1" in analyst("clues", "list", "--lang", "en")[1]
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
