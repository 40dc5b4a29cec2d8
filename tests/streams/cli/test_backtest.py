"""`waybill backtest`: what it prints and writes, exit codes, limits for CI, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules.engine.folder import SHIPPED
from schemas.records import Alert
from streams.cli import run
from streams.files.backtest import page
from streams.files.backtest.difference import CHANGES, Difference, written
from tests.backtests import changed_rules, compared, compared_once, put, traffic
from tests.schemas.samples import ALERT
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(80)]

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traffic(tmp_path_factory.mktemp("traffic"))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_rules(tmp_path_factory.mktemp("changed"))


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["backtest", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_limits_decide_the_exit_code(folder: Path, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = compared_once(folder, changed)[0].changes
    counts: dict[str, int] = {name: changes[name] for name in CHANGES}
    counts["changed"] = changes["raised"] + changes["lowered"]
    names = ("gained", "lost", "changed")
    assert all(counts[name] > 1 for name in names)
    for spare in (0, 1):
        limits = [each for name in names for each in (f"--max-{name}", counts[name] - spare)]
        code, out, error = command(capsys, folder, "--rules", changed, *limits)
        over = [f"waybill: {counts[name]} {name}, at most {counts[name] - 1} allowed (--max-{name})" for name in names]
        assert (code, error.splitlines()) == ((3, over) if spare else (0, []))
        assert "Rules that differ" in out  # the report is there all the same
    assert (
        command(capsys, folder, "--rules", SHIPPED, *("--max-gained", 0, "--max-lost", 0, "--max-changed", 0))[0] == 0
    )


def test_terminal_json_page_and_list_say_the_same(
    folder: Path, changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("--html", "r.html", "--out", "d.ndjson")
    code, out, _ = command(capsys, folder, "--rules", changed, "--json", *files)
    assert code == 0
    difference = msgspec.json.decode(out, type=Difference)
    assert difference == compared_once(folder, changed)[0]
    assert (tmp_path / "d.ndjson").read_bytes().count(b"\n") == sum(difference.changes.values())
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    _, out, _ = command(capsys, folder, "--rules", changed, "--html", "again.html", "--progress")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html
    _needs_nothing_else(html)
    assert out.endswith("again.html: written\n")
    assert max(map(len, out.splitlines()[1:])) <= 80
    for name, count in difference.changes.items():
        assert re.search(rf"^{name} +{count:,}  ", out, re.MULTILINE)
        assert f"<b>{count:,}</b>" in html
    for line in difference.rules:
        assert (f"<code>{line.rule}</code> " in html and line.rule in out) or not line.differs
    for cause in difference.causes:
        assert all(f"<code>{example.parcel}</code>" in html for example in cause.examples)
    gained = next(cause for cause in difference.causes if cause.change == "gained")
    assert all(example.parcel in out for example in gained.examples)
    assert "limits.names_90d_min: 3 → 2" in out
    assert "limits.names_90d_min: <del>3</del> → <ins>2</ins>" in html
    assert "would refuse the new rules\n  identity.many_names: the case `" in out
    assert "A push would be refused" in html
    assert '同一证件多个姓名 · <span lang="en">One ID number, several names</span>' in html


def _needs_nothing_else(html: str) -> None:
    assert html.startswith("<!doctype html>")
    assert not re.search(r"https?:|//|src=|@import|url\(|<link|<script", html)
    inside = set(re.findall(r'href="#([^"]*)"', html))
    assert inside
    assert inside <= set(re.findall(r'id="([^"]*)"', html))


def test_the_page_has_words_for_evidence_in_both_languages() -> None:
    (reason,) = msgspec.convert(ALERT, Alert).reasons
    evidence = {"goods_trick": "sound", "goods_term": "氯胺酮", "sender_names_90d": 3}
    said = str(page._reason(msgspec.structs.replace(reason, evidence=evidence), False))
    assert "规避写法 how it was written: 谐音 by its sound" in said
    assert ": 氯胺酮, " in said
    assert said.endswith(": 3</small></li>")


def test_no_person_is_named(folder: Path, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(
        capsys, folder, "--rules", changed, "--json", "--html", "r.html", "--out", "d.ndjson", "--examples", 100,
        "--set", "emit_from=low",
    )  # fmt: skip
    assert code == 0
    said = out + Path("r.html").read_text(encoding="utf-8") + Path("d.ndjson").read_text(encoding="utf-8")
    assert said.count("sender.unseen") > 100
    personal = ("sender_name", "sender_phone", "sender_id_no", "agent_id_no", "recipient_name", "recipient_phone")
    for line in (folder / "shipments.ndjson").read_bytes().splitlines():
        shipment = json.loads(line)
        for name in personal:
            held = shipment.get(name)
            assert not held or len(held) < 4 or held not in said, name


def test_overrides_hold_for_both_and_must_fit_one(
    folder: Path, changed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"rule_overrides": {"sender.unseen": {"points": 1}, "route.priority_lane": {"points": 50}}}
    difference, _ = compared(folder, changed, **given)
    shifts = {(shift.rule, shift.old, shift.new) for cause in difference.causes for shift in cause.shifts}
    assert ("route.priority_lane", 50, 0) in shifts
    assert {shift for shift in shifts if shift[0] == "sender.unseen"} <= {("sender.unseen", 0, 1)}
    for override, code, message in (
        ('{"no.rule": {"points": 1}}', 2, "no.rule: no such rule, neither in as shipped nor "),
        ('{"sender.unseen": {"no_limit": 1}}', 1, "no such limit"),
    ):
        done, out, error = command(capsys, folder, "--rules", changed, "--set", f"rule_overrides={override}")
        assert (done, out, error.count("\n")) == (code, "", 1)
        assert message in error


def test_against_is_what_is_in_force(folder: Path, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--against", changed], ["--set", f"rules_dir={changed}"]):
        code, out, _ = command(capsys, folder, "--rules", SHIPPED, "--json", *arguments)
        assert code == 0
        assert msgspec.json.decode(out, type=Difference).old.folder == str(changed)
    mirrored = msgspec.json.decode(out, type=Difference).changes
    straight = compared_once(folder, changed)[0].changes
    assert (mirrored["gained"], mirrored["raised"]) == (straight["lost"], straight["lowered"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["full"], 2, "Missing option '--rules'"),
        (["gone", "--rules", "RULES"], 1, "gone: no such folder"),
        (["full", "--rules", "gone"], 1, "gone: not a folder"),
        (["full", "--rules", "RULES", "--against", "full"], 1, "full: no rules here"),
        (["full/truth.txt", "--rules", "RULES"], 1, "full/truth.txt: cannot be read; what can be is .ndjson"),
        (["full", "--rules", "RULES", "--out", "full/scans.ndjson"], 1, "full/scans.ndjson: holds events"),
        (["full", "--rules", "RULES", "--html", "full/scans.ndjson"], 1, "full/scans.ndjson: holds events"),
        (["full", "--rules", "RULES", "--html", "a", "--out", "a"], 2, "--html and --out"),
        (["full", "--rules", "RULES", "--html", "gone/a.html"], 1, "gone: no such folder"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_file(
    arguments: list[str], code: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "full", {"scans": [b"{}"]})
    (tmp_path / "full" / "truth.txt").touch()
    done, out, error = command(capsys, *(str(SHIPPED) if part == "RULES" else part for part in arguments))
    assert (done, out, error.count("\n")) == (code, "", 1)
    assert message in error
    assert {path.name for path in tmp_path.rglob("*")} == {"full", "scans.ndjson", "truth.txt"}
    assert (tmp_path / "full" / "scans.ndjson").read_bytes() == b"{}\n"


def test_what_cannot_be_read_is_told(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipments = (folder / "shipments.ndjson").read_bytes().splitlines()
    known = {json.loads(line)["waybill_no"] for line in shipments}
    put(tmp_path / "bad", {"shipments": [b"{", *shipments, b""]})
    code, out, _ = command(capsys, "bad", "--rules", SHIPPED)
    assert code == 0
    assert "rejected: 1 of waybill.shipments: invalid_json\n" in out
    assert "rejected: 1 of waybill.shipments: empty\n" in out
    assert f"bad: {len(shipments) + 2:,} events, 2 rejects, {len(known):,} parcels in " in out


def test_a_rule_that_does_not_answer_has_dashes_for_figures(folder: Path, changed: Path) -> None:
    by_id = {line.rule: line for line in compared_once(folder, changed)[0].rules}
    removed, added, same = by_id["route.priority_lane"], by_id["sender.unseen"], by_id["courier.burst"]
    assert removed.old is not None
    assert removed.figures() == [
        f"{removed.old.yes:,}",
        "–",
        "0",
        f"{removed.yes_removed:,}",
        f"{removed.old.unknown:,} → –",
    ]
    assert added.new is not None
    assert added.figures() == ["–", f"{added.new.yes:,}", f"{added.yes_added:,}", "0", f"– → {added.new.unknown:,}"]
    assert same.new is not None
    assert same.figures() == [*[f"{same.new.yes:,}"] * 2, "0", "0", f"{same.new.unknown:,}"]


def test_what_was_changed_is_written_on_one_line() -> None:
    texts = {None: "–", 3: "3", "a AND\n  b\n": "a AND b", ("hold", "open_box"): '["hold", "open_box"]', "": ""}
    assert {item: written(item) for item in texts} == texts


CODE = """
import streams.files.bulk as bulk
import streams.files.lines as lines
import streams.files.reading as reading
bulk.PROCESS_BYTES_MIN = bulk.HELD_BYTES_MAX = 1
lines.SHARE_BYTES = reading.BLOCK_BYTES = 100_000
from streams.cli import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGHUP])
def test_an_interrupt_leaves_nothing(number: signal.Signals, folder: Path, changed: Path, tmp_path: Path) -> None:
    """As a terminal does it, every process of the group gets the signal; SIGHUP twice, also from the shell."""
    (tmp_path / "spill").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "spill"), "PYTHONPATH": str(ROOT)}
    arguments = ["backtest", str(folder), "--rules", str(changed), "--processes", "2", "--out", "d.ndjson"]
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        cwd=tmp_path, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        until = time.monotonic() + PATIENCE_S
        while not list((tmp_path / "spill").rglob("*.rows")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        if number == signal.SIGTERM:
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)
        if number == signal.SIGHUP:
            time.sleep(0.01)
            os.killpg(process.pid, number)
        out, error = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130 if number == signal.SIGINT else 128 + number, "")
    # multiprocessing's own words, of a process that was cut off while it started
    assert not error or error.endswith("UnpicklingError: pickle data was truncated\n")
    assert not list((tmp_path / "spill").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"spill"}
