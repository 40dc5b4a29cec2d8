"""`waybill rules push`, `rollback` and `status`: what they print and exit with; Kafka is stood in for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules.engine.folder import SHIPPED
from schemas.rulesets import Ack, Held, RuleSet, set_key
from streams.cli import run
from streams.ops import preflight
from streams.rulesets import board
from streams.rulesets.reading import Sets

Captured = pytest.CaptureFixture[str]


class Topic:
    """What is on the topics, and who is in the group."""

    def __init__(self) -> None:
        self.sets = Sets()
        self.workers: set[str] = set()
        self.answer: Callable[[str, RuleSet], Ack | None] = applied
        self.acks: dict[str, Ack] = {}

    def publish(self, make: Callable[[Sets], RuleSet]) -> RuleSet:
        """Take a set, and have the workers answer."""
        made = make(self.sets)
        self.sets.add(set_key(made.number), msgspec.json.encode(made))
        found = {name: self.answer(name, made) for name in self.workers}
        self.acks = {name: ack for name, ack in found.items() if ack is not None}
        return made


def applied(name: str, made: RuleSet, **more: Any) -> Ack:
    given = {"newest": made.number, "in_force": made.number, "fingerprint": made.fingerprint or "own", "at": 0}
    return Ack(group="waybill-sentinel", instance=name, **{**given, **more})


@pytest.fixture(autouse=True)
def topic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topic:
    """No variable and no file of the machine that runs the test reaches it; the terminal has 80 columns."""
    for name in list(os.environ):
        if name.upper().startswith("WAYBILL_") or name == "KAFKA_BOOTSTRAP_SERVERS":
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    found = Topic()
    monkeypatch.setattr(preflight, "answers", lambda servers: True)
    monkeypatch.setattr(board.Board, "sets", lambda self: found.sets)
    monkeypatch.setattr(board.Board, "members", lambda self: found.workers)
    monkeypatch.setattr(board.Board, "acks", lambda self: found.acks)
    monkeypatch.setattr(board.Board, "publish", lambda self, make: found.publish(make))
    return found


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Two families."""
    for path in [*(SHIPPED / "route").glob("*.yaml"), *(SHIPPED / "goods").glob("*.yaml")]:
        target = tmp_path / "mine" / path.relative_to(SHIPPED)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path / "mine"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def waybill(capsys: Captured, *arguments: str) -> tuple[int, str]:
    code = run(["rules", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_set_is_pushed_changed_and_taken_back(capsys: Captured, topic: Topic, mine: Path) -> None:
    topic.workers = {"0", "1"}
    code, said = waybill(capsys, "push", "mine", "--note", "first")
    assert code == 0
    assert f"{len([*mine.rglob('*.yaml')])} rules, " in said
    assert "cases all well" in said
    assert "in force on all 2 workers" in said
    assert waybill(capsys, "push", "mine")[1].count("is the newest already") == 1

    edit(mine / "route" / "priority_lane.yaml", "points: 15", "points: 20")
    (mine / "goods" / "vague_name.yaml").unlink()
    code, said = waybill(capsys, "push", "mine")
    assert "  changed: route.priority_lane\n  removed: goods.vague_name\n" in said
    assert max(map(len, said.splitlines())) <= 80

    code, said = waybill(capsys, "rollback", "--note", "oops")
    assert code == 0
    assert "set 3" in said
    assert "brings back set 1" in said
    code, said = waybill(capsys, "status")
    assert code == 0
    lines = [line for line in said.splitlines() if line.startswith("set ")]
    assert [line.split()[1] for line in lines] == ["3", "2", "1"]
    assert lines[0].endswith("brings back set 1  oops")
    assert lines[1].endswith("1 changed, 1 removed")
    assert lines[2].endswith("first")


def test_what_is_not_well_is_not_pushed(capsys: Captured, topic: Topic, mine: Path) -> None:
    lane = mine / "route" / "priority_lane.yaml"
    edit(lane, "when: ", "when: not ")
    code, said = waybill(capsys, "push", "mine")
    assert code == 1
    assert "FAIL" in said
    assert "mine: not pushed; what is in force stays" in said
    edit(lane, "points: 15", "points: many")
    code, said = waybill(capsys, "push", "mine", "--json")
    record = json.loads(said.splitlines()[0])
    assert code == 1
    assert record["passed"] is False
    assert [finding["field"] for finding in record["findings"] if finding["severity"] == "error"] == ["points"]
    assert not topic.sets.kept


def test_a_dry_run_publishes_nothing(capsys: Captured, topic: Topic, mine: Path) -> None:
    assert waybill(capsys, "push", "mine", "--dry-run")[0] == 0
    assert not topic.sets.kept


def test_a_refusal_and_a_silence_are_shown_and_fail(capsys: Captured, topic: Topic, mine: Path) -> None:
    topic.workers = {"0", "1", "2"}
    why = "waybill.rules set 1/route/priority_lane.yaml: points: wrong"
    topic.answer = lambda name, made: {
        "0": applied(name, made, warnings=("history by sender begins now",)),
        "1": applied(name, made, in_force=0, fingerprint="own", reason=why),
    }.get(name)
    code, said = waybill(capsys, "push", "mine", "--timeout", "0.01")
    assert code == 1
    assert "because   " + why in said
    assert "warning   history by sender begins now" in said
    assert "2            missing" in said
    assert "in force on 1 of 3 workers; `waybill rules rollback`" in said
    code, said = waybill(capsys, "status", "--json")
    assert code == 1
    records = [json.loads(line) for line in said.splitlines()]
    assert {line["worker"]: line["state"] for line in records if "worker" in line} == {
        "0": "applied", "1": "refused", "2": "missing",
    }  # fmt: skip


def test_a_worker_with_rules_of_files_alone_counts_as_one_that_refuses(
    capsys: Captured, topic: Topic, mine: Path
) -> None:
    topic.workers = {"0"}
    topic.answer = lambda name, made: applied(name, made, newest=0, in_force=0, follows=False)
    code, said = waybill(capsys, "push", "mine")
    assert code == 1
    assert "because   its setting rules_from is files" in said


def test_a_set_that_another_push_overtook_is_in_force_nowhere(capsys: Captured, topic: Topic, mine: Path) -> None:
    topic.workers = {"0", "1"}
    topic.answer = lambda name, made: applied(name, made, newest=2, in_force=2, fingerprint="theirs")
    code, said = waybill(capsys, "push", "mine")
    assert code == 1
    assert "0            overtaken judges by set 2, catalogue theirs" in said
    assert "is no longer the newest" in said
    assert "in force on all" not in said
    assert "rollback" not in said  # that would take the other one back


def test_without_workers_the_set_waits_for_them(capsys: Captured, topic: Topic, mine: Path) -> None:
    code, said = waybill(capsys, "push", "mine")
    assert (code, "those that start take it" in said) == (0, True)


def test_there_is_nothing_to_go_back_to(capsys: Captured) -> None:
    assert waybill(capsys, "rollback") == (
        1,
        "waybill: error: no set was pushed yet, so there is none to go back to\n",
    )
    assert "no set was pushed: every worker" in waybill(capsys, "status")[1]


HELD = Held(rule="goods.vague_name", since=1_741_140_000_000, share=0.123, budget=0.05)


def test_a_rule_that_is_held_back_is_shown(capsys: Captured, topic: Topic, mine: Path) -> None:
    """By the push that finds it so, and whenever someone asks."""
    topic.workers = {"0", "1"}
    topic.answer = lambda name, made: applied(name, made, held=(HELD,) if name == "1" else ())
    code, said = waybill(capsys, "push", "mine")
    assert code == 0
    line = (
        "held back goods.vague_name opens too many alerts: 12.3% of verdicts, and its budget is 5.0%; held back since"
    )
    assert said.count(line) == 1
    code, said = waybill(capsys, "status")
    assert (code, said.count(line)) == (0, 1)
    records = [json.loads(line) for line in waybill(capsys, "status", "--json")[1].splitlines()]
    held = {record["worker"]: record["held"] for record in records if "worker" in record}
    assert held == {"0": [], "1": [msgspec.to_builtins(HELD)]}


def test_rules_of_files_are_counted_by_those_who_judge_by_them(capsys: Captured, topic: Topic, mine: Path) -> None:
    topic.workers = {"0", "1"}
    counts = {"0": 34, "1": 34}
    topic.answer = lambda name, made: applied(name, made, rules=len(made.files) or counts[name])
    waybill(capsys, "push", "mine")
    assert waybill(capsys, "rollback", "--to", "files")[0] == 0

    def newest() -> tuple[str, object]:
        _, said = waybill(capsys, "status")
        _, records = waybill(capsys, "status", "--json")
        sets = [json.loads(line) for line in records.splitlines() if "set" in json.loads(line) and "at" in line]
        return next(line for line in said.splitlines() if line.startswith("set 2")), next(
            record["rules"] for record in sets if record["set"] == 2 and "worker" not in record
        )

    line, count = newest()
    assert "  34 rules" in line
    assert "removed" not in line
    assert count == 34
    said = waybill(capsys, "status")[1]
    assert said.count("judges by set 2, 34 rules, catalogue own") == 2
    counts["1"] = 33  # other files there: no number is that of all
    waybill(capsys, "rollback", "--to", "files")
    line = next(line for line in waybill(capsys, "status")[1].splitlines() if line.startswith("set 3"))
    assert "the rule files of each worker" in line
