"""`waybill rules`: what each command prints, its JSON, exit codes, and whose folder is worked on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from rules import load_catalogue
from rules.engine.cases import timelines
from schemas.columns import COLUMNS
from schemas.rulefile import LANGUAGES, PROSE, SCHEMA_FILE, in_language
from streams.cli import run
from streams.files.cases import count, play

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(80)]

CATALOGUE = load_catalogue()
SHADOW = len(CATALOGUE.shadow)
OVERRIDES = {"sender.velocity": {"parcels_24h_min": 30, "points": 25}, "route.priority_lane": {"mode": "off"}}
CHANGED = ("--set", f"rule_overrides={json.dumps(OVERRIDES)}")


Captured = pytest.CaptureFixture[str]


def rules(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output without trailing spaces, and errors of `waybill rules ...`."""
    code = run(["rules", *arguments])
    captured = capsys.readouterr()
    return code, re.sub(r" +$", "", captured.out, flags=re.MULTILINE), captured.err


def records(capsys: Captured, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    given, out, _ = rules(capsys, *arguments, "--json")
    assert given == code
    return [json.loads(line) for line in out.splitlines()]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_list_has_every_rule_in_80_columns(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "list")
    assert code == 0
    assert max(map(cell_len, out.splitlines())) <= 80
    for rule in CATALOGUE.rules:
        line = next(line for line in out.splitlines() if line.startswith(f"{rule.id} "))
        assert line.split()[1:] == [rule.mode, rule.category, str(rule.points), f"v{rule.version}"]
        assert f"{rule.title['zh']} {rule.title['en']}" in squeezed(out)
    assert out.endswith(f"{len(CATALOGUE.rules)} rules: {len(CATALOGUE.rules) - SHADOW} live, {SHADOW} shadow\n")


def test_list_shows_what_overrides_change(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "list", *CHANGED)
    assert code == 0
    assert "parcels_24h_min: 30 by rule_overrides, 20 in the file" in out
    assert "points: 25 by rule_overrides, 20 in the file" in out
    assert "mode: off by rule_overrides, live in the file" in out
    assert out.endswith(f"{len(CATALOGUE.rules) - 1 - SHADOW} live, {SHADOW} shadow, 1 off\n")
    (record,) = records(capsys, "list", "sender.velocity", *CHANGED)
    assert record == {
        "id": "sender.velocity",
        "mode": "live",
        "category": "suspicion",
        "points": 25,
        "version": CATALOGUE.by_id["sender.velocity"].version,
        "title": CATALOGUE.by_id["sender.velocity"].title,
        "overridden": {
            "parcels_24h_min": {"written": 20, "in_force": 30},
            "points": {"written": 20, "in_force": 25},
        },
    }


def test_list_of_some(capsys: Captured) -> None:
    chosen = {record["id"] for record in records(capsys, "list", "route", "sender.velocity")}
    assert chosen == {rule.id for rule in CATALOGUE.rules if rule.id.startswith("route.")} | {"sender.velocity"}


@pytest.mark.parametrize("command", ["list", "show", "lint", "test"])
def test_a_rule_that_is_not_there_is_asked_back(capsys: Captured, command: str) -> None:
    code, out, error = rules(capsys, command, "sender.velocty")
    assert (code, out) == (2, "")
    assert "no rule sender.velocty, perhaps sender.velocity" in error


def test_show_has_all_of_a_rule(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "show", "identity.impossible_travel", "--set",
                         'rule_overrides={"identity.impossible_travel": {"speed_kmh_max": 800}}')  # fmt: skip
    assert code == 0
    assert max(map(cell_len, out.splitlines())) <= 80
    rule = CATALOGUE.by_id["identity.impossible_travel"]
    text = squeezed(out)
    prose = [in_language(getattr(rule, name), language) for name in PROSE for language in LANGUAGES]
    assert [part for part in prose if "".join(part.split()) not in "".join(out.split())] == []  # wrapped
    for part in (*rule.title.values(), *(case.name for case in rule.cases)):
        assert squeezed(part) in text
    for name in rule.evidence:
        assert COLUMNS[name].doc in text
    assert "sender_previous_km >= 200 AND sender_previous_km > 800 * sender_previous_h" in text
    assert "speed_kmh_max 800 by rule_overrides; the file has 900" in text
    assert "1 h shipment sender_id: A, pickup_adcode: 650102" in text
    assert "expect last yes, others no" in text


def test_show_as_json(capsys: Captured) -> None:
    (record,) = records(capsys, "show", "sender.velocity", *CHANGED)
    assert record["sql"] == "retail AND sender_parcels_24h >= 30"
    assert record["when"] == "retail AND sender_parcels_24h >= :parcels_24h_min"
    assert record["columns"]["retail"]["read"] is True
    assert record["columns"]["retail"]["evidence"] is False
    assert record["columns"]["sender_parcels_24h"]["doc"] == COLUMNS["sender_parcels_24h"].doc
    assert record["overridden"]["parcels_24h_min"] == {"written": 20, "in_force": 30}
    assert len(record["cases"]) == len(CATALOGUE.by_id["sender.velocity"].cases)
    assert Path(record["file"]).read_bytes()


def test_a_rule_of_ones_own_from_new_to_green(capsys: Captured, tmp_path: Path) -> None:
    code, out, _ = rules(capsys, "new", "goods.dear", "--rules", "mine")
    assert code == 0
    assert "waybill rules lint goods.dear --rules mine" in out
    path = Path("mine/goods/dear.yaml")
    code, out, _ = rules(capsys, "lint", "--rules", "mine")
    assert code == 1
    assert out.startswith("mine/goods/dear.yaml\n")
    assert "limits.todo_min" in out
    assert out.endswith("1 rule: 12 errors, 0 warnings\n")
    assert rules(capsys, "test", "--rules", "mine")[0] == 0
    text = path.read_text(encoding="utf-8")
    filled = re.sub("TODO(?= *[a-zA-Z])", "Dear", text.replace("todo_min", "value_fen_min")).replace("TODO", "贵重")
    path.write_text(filled, encoding="utf-8")
    code, out, _ = rules(capsys, "lint", "--rules", "mine")
    assert (code, out) == (0, "1 rule: nothing found\n")
    assert records(capsys, "list", "--rules", "mine")[0]["mode"] == "shadow"
    code, _, error = rules(capsys, "new", "goods.dear", "--rules", "mine")
    assert code == 1
    assert "mine/goods/dear.yaml: File exists" in error
    assert path.read_text(encoding="utf-8") == filled


def test_new_writes_where_it_is_told_and_nowhere_else(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, _, error = rules(capsys, "new", "goods.dear")
    assert code == 2
    assert "no folder; `waybill rules copy DIR` makes one" in error
    monkeypatch.setenv("WAYBILL_RULES_DIR", "set")
    assert rules(capsys, "new", "goods.dear")[0] == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"set/goods/dear.yaml", f"set/{SCHEMA_FILE}"}
    assert rules(capsys, "new", "dear")[0] == 1


def test_copy_makes_a_catalogue_of_ones_own(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "copy", "mine")
    assert code == 0
    assert out.startswith(f"mine: {len(CATALOGUE.rules)} rules; ")
    assert load_catalogue(Path("mine")).fingerprint == CATALOGUE.fingerprint
    Path("mine/goods/vague_name.yaml").unlink()
    code, _, error = rules(capsys, "copy", "mine")
    assert code == 2
    assert "is there already" in error
    assert not Path("mine/goods/vague_name.yaml").exists()


def test_lint_finds_nothing_in_what_is_shipped(capsys: Captured) -> None:
    assert rules(capsys, "lint") == (0, f"{len(CATALOGUE.rules)} rules: nothing found\n", "")
    assert records(capsys, "lint") == []


def test_lint_names_file_and_field_and_fails_on_errors_alone(capsys: Captured) -> None:
    rules(capsys, "copy", "mine")
    path = Path("mine/sender/velocity.yaml")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("retail AND", "retail AND pickup_place = 'kiosk' AND"), encoding="utf-8")
    code, out, _ = rules(capsys, "lint", "--rules", "mine")
    assert code == 0
    assert "never says yes" in out
    assert out.endswith("0 errors, 2 warnings\n")
    path.write_text(text.replace("points: 20", "points: 0").replace("misses:", "missed:"), encoding="utf-8")
    found = records(capsys, "lint", "sender", "--rules", "mine", code=1)
    assert {(record["file"], record["rule"], record["field"], record["severity"]) for record in found} == {
        ("mine/sender/velocity.yaml", "sender.velocity", field, "error") for field in ("points", "misses", "missed")
    }
    assert rules(capsys, "lint", "route", "--rules", "mine")[0] == 0


def test_test_plays_every_case(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "test", "sender", "courier.burst")
    assert code == 0
    chosen = load_catalogue(only=["sender", "courier.burst"])
    assert out.count("  ok    ") == count(chosen) == sum(len(rule.cases) for rule in chosen.rules)
    assert "FAIL" not in out
    assert "  ok    twentieth parcel in a day  yes 1, no 19\n        W0020 yes: sender_parcels_24h 20\n" in out
    assert out.endswith(f"{count(chosen)} cases of 5 rules: all well\n")
    assert max(map(cell_len, out.splitlines())) <= 80
    _, out, _ = rules(capsys, "test", "sender.velocity", "--evidence")
    assert "W0003 no: sender_parcels_24h 3, sender_outlets_90d 1" in out


def test_test_as_json(capsys: Captured) -> None:
    found = records(capsys, "test", "identity.many_names")
    (third,) = (record for record in found if record["case"] == "third name on one number")
    assert (third["rule"], third["passed"]) == ("identity.many_names", True)
    assert [(parcel["expected"], parcel["got"]) for parcel in third["parcels"]] == [
        ("no", "no"), ("no", "no"), ("yes", "yes"),
    ]  # fmt: skip
    assert third["parcels"][2]["parcel"] == "DEMO:W0003"
    assert third["parcels"][2]["evidence"]["sender_names_90d"] == 3


def test_test_fails_where_a_rule_says_something_else(capsys: Captured) -> None:
    rules(capsys, "copy", "mine")
    path = Path("mine/sender/velocity.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("_min: 20", "_min: 21"), encoding="utf-8")
    code, out, _ = rules(capsys, "test", "sender", "--rules", "mine")
    assert code == 1
    assert "  FAIL  twentieth parcel in a day" in out
    assert "W0020 no, expected yes: sender_parcels_24h 20" in squeezed(out)
    assert ":parcels_24h_min 21" in squeezed(out)
    assert out.endswith(": 1 failed\n")
    failed = [record for record in records(capsys, "test", "sender", "--rules", "mine", code=1) if not record["passed"]]
    assert [record["case"] for record in failed] == ["twentieth parcel in a day"]


def test_cases_are_played_as_written_unless_asked(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_PRIORITY_ORIGINS", "11")
    code, out, _ = rules(capsys, "test", "route", "sender.velocity", *CHANGED)
    assert code == 0
    assert out.endswith("rule_overrides were left aside; --in-force plays the cases with them\n")
    code, out, _ = rules(capsys, "test", "route.priority_origin", "sender.velocity", "--in-force", *CHANGED)
    assert code == 1
    assert re.findall(r"^(\w+\.\w+)$", out, re.MULTILINE) == ["route.priority_origin", "sender.velocity"]
    assert out.count("FAIL") >= 2


def test_a_rule_that_is_off_is_played_too(capsys: Captured) -> None:
    rules(capsys, "copy", "mine")
    path = Path("mine/goods/vague_name.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("version: 1", "version: 1\nmode: off"), encoding="utf-8")
    assert all(record["passed"] for record in records(capsys, "test", "goods.vague_name", "--rules", "mine"))
    assert records(capsys, "list", "goods.vague_name", "--rules", "mine")[0]["mode"] == "off"


def test_rules_that_are_named_are_shown_and_played_though_another_file_is_broken(capsys: Captured) -> None:
    rules(capsys, "copy", "mine")
    Path("mine/sender/velocity.yaml").write_text("title: x\n", encoding="utf-8")
    Path("mine/goods/stray.yml").write_text("", encoding="utf-8")
    Path("mine/route/nowhere.yaml").symlink_to("nowhere")
    overrides = ("--set", 'rule_overrides={"sender.velocity": {"points": 3}}')
    for command in (["list"], ["show"], ["test"], ["test", "--in-force"]):
        code, out, error = rules(capsys, *command, "sender.first_seen", "--rules", "mine", *overrides)
        assert (code, error) == (0, "")
        assert "sender.first_seen" in out
    code, out, _ = rules(capsys, "test", "identity", "goods.vague_name", "--rules", "mine")
    assert code == 0
    assert out.endswith("all well\n")
    for name, said in (("sender", "velocity.yaml: "), ("route", "nowhere.yaml: cannot be read: this link leads")):
        code, out, error = rules(capsys, "test", name, "--rules", "mine")
        assert (code, out) == (1, "")
        assert said in error


def test_a_faulty_folder_is_one_line(capsys: Captured) -> None:
    rules(capsys, "copy", "mine")
    Path("mine/sender/velocity.yaml").write_text("title: x\n", encoding="utf-8")
    for command in ("list", "test", "docs"):
        code, out, error = rules(capsys, command, *(["out"] if command == "docs" else []), "--rules", "mine")
        assert (code, out) == (1, "")
        assert error.startswith("waybill: error: mine/sender/velocity.yaml: ")
        assert error.count("\n") == 1
    assert not Path("out").exists()


def test_play_knows_a_parcel_that_was_not_judged() -> None:
    """An answer that is missing is no answer, and not an unknown."""
    from streams.files.cases import Answered

    assert not Answered("A:1", None, None, False, {}).passed
    assert Answered("A:1", None, None, True, {}).passed
    assert not Answered("A:1", False, None, True, {}).passed


def test_play_goes_through_every_case() -> None:
    chosen = load_catalogue(only=["route"])
    played = list(play(chosen))
    expected = [(rule.id, case.name) for rule in chosen.rules for case in rule.cases]
    assert [(outcome.rule, outcome.case) for outcome in played] == expected
    parcels = [set(timeline.expected) for rule in chosen.rules for timeline in timelines(rule)]
    assert [{parcel.parcel for parcel in outcome.parcels} for outcome in played] == parcels


def test_columns(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "columns")
    assert code == 0
    assert max(map(cell_len, out.splitlines())) <= 80
    for column in COLUMNS.values():
        assert f"  {column.name}  {column.type}\n" in out
    found = records(capsys, "columns")
    assert [record["name"] for record in found] == list(COLUMNS)
    assert all(record.keys() == {"name", "type", "doc", "null"} for record in found)


def test_docs(capsys: Captured) -> None:
    code, out, _ = rules(capsys, "docs", "a/b", *CHANGED)
    assert (code, out) == (0, "a/b/rules.zh.html\na/b/rules.en.html\n")
    page = Path("a/b/rules.en.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "set for this deployment; the file has 20" in page
    assert rules(capsys, "docs", "a/b")[0] == 0
    assert "set for this deployment" not in Path("a/b/rules.en.html").read_text(encoding="utf-8")
