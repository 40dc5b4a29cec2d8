"""`waybill backtest`: the difference is that of two judges, whatever the order, the processes and the size."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules import THRESHOLDS, TIERS, load_catalogue
from rules.catalogue import SHIPPED, rule_files
from schemas.records import Alert, encode
from streams import bulk, dealt
from streams.backtest.compare import Tally
from streams.backtest.difference import CHANGES, Difference, Parcel, written
from streams.backtest.run import backtest, load_pair
from streams.bulk import judge_folder
from streams.cli import run
from streams.files import NAMES
from streams.generate import generate, write
from streams.offline import TOPIC_OF, answers
from streams.settings import Settings
from tests.worlds import world

ROOT = Path(__file__).parents[2]
HOME = "430421"
LOW: dict[str, Any] = {"emit_from": "low"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("WAYBILL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Traffic of which a tenth is planted."""
    folder = tmp_path_factory.mktemp("traffic")
    write(generate(2_000, 11, days=3, planted_share=0.1, home_adcodes=(HOME,)), folder, force=True)
    return folder


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped rules with every kind of change; together they make every kind of difference."""
    folder = tmp_path_factory.mktemp("changed")
    for path in rule_files(SHIPPED):
        target = folder / path.relative_to(SHIPPED)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    edit(folder / "goods/on_priority_route.yaml", "points: 25", "points: 5")
    edit(folder / "identity/phone_many_ids.yaml", "points: 25", "points: 5")
    edit(folder / "identity/many_names.yaml", "names_90d_min: 3", "names_90d_min: 2")
    edit(folder / "identity/missing.yaml", "version: 1", "version: 2\nmode: shadow")
    edit(folder / "sender/velocity.yaml", "version: 1", "version: 1\nmode: off")
    (folder / "route/priority_lane.yaml").unlink()
    added = (folder / "sender/first_seen.yaml").read_text(encoding="utf-8")
    added = re.sub(r"(?m)^(title: \{zh: ).*$", r"\1新规则, en: A new rule}", added).replace("points: 5", "points: 20")
    (folder / "sender/unseen.yaml").write_text(added, encoding="utf-8")
    return folder


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text, path
    path.write_text(text.replace(before, after), encoding="utf-8")


def judged(folder: Path, rules: Path | None, **given: Any) -> dict[str, Alert]:
    """The open alerts of `judge`, by parcel."""
    out = Path("alerts.ndjson").resolve()
    judge_folder(folder, out, Settings(**given), load_catalogue(rules))
    alerts = [msgspec.json.decode(line, type=Alert) for line in out.read_bytes().splitlines()]
    return {f"{alert.carrier_code}:{alert.waybill_no}": alert for alert in alerts}


def compared(
    source: Path, new: Path, old: Path | None = None, processes: int = 1, **given: Any
) -> tuple[Difference, dict[str, Parcel]]:
    """The report, and every parcel that differs, in their order."""
    settings, out = Settings(**given), Path("differing.ndjson").resolve()
    difference = backtest(source, *load_pair(old, new, settings), settings, out=out, processes=processes)
    parcels = [msgspec.json.decode(line, type=Parcel) for line in out.read_bytes().splitlines()]
    assert len({parcel.parcel for parcel in parcels}) == len(parcels)
    return difference, {parcel.parcel: parcel for parcel in parcels}


def as_alert(alert: Alert) -> tuple[str, int, tuple[object, ...]]:
    return alert.tier, alert.score, alert.reasons


def test_the_difference_is_that_of_two_judges(folder: Path, changed: Path) -> None:
    old, new = judged(folder, None, **LOW), judged(folder, changed, **LOW)
    difference, parcels = compared(folder, changed, **LOW)
    expected = {}
    for parcel in {*old, *new}:
        before, after = old.get(parcel), new.get(parcel)
        if before is None or after is None:
            expected[parcel] = "gained" if before is None else "lost"
        elif before.tier != after.tier:
            expected[parcel] = "raised" if TIERS.index(after.tier) > TIERS.index(before.tier) else "lowered"
        elif as_alert(before)[1] != as_alert(after)[1] or _points(before) != _points(after):
            expected[parcel] = "rescored"
    assert {parcel: found.change for parcel, found in parcels.items()} == expected
    assert difference.changes == {name: Counter(expected.values())[name] for name in CHANGES}
    assert all(difference.changes.values())  # the rules make every kind of difference
    for name, found in parcels.items():
        for verdict, alerts in ((found.old, old), (found.new, new)):
            if name in alerts:
                assert (verdict.tier, verdict.score, verdict.reasons) == as_alert(alerts[name])
            else:
                assert verdict.score < THRESHOLDS[0]
    for side, alerts in ((difference.old, old), (difference.new, new)):
        assert side.alerts == {tier: Counter(a.tier for a in alerts.values())[tier] for tier in TIERS[1:]}


def _points(alert: Alert) -> dict[str, int]:
    return {reason.rule: reason.points for reason in alert.reasons}


def test_against_rules_that_never_warn_everything_is_gained(folder: Path, changed: Path, tmp_path: Path) -> None:
    """So the new verdicts alone are those of a judge, though history is kept for rules that it does not have."""
    quiet = tmp_path / "quiet"
    shutil.copytree(changed / "courier", quiet / "courier")
    for path in rule_files(quiet):
        edit(path, "version: 1", "version: 1\nmode: shadow")
    alerts = judged(folder, changed)
    difference, parcels = compared(folder, changed, quiet)
    assert {name: (found.new.tier, found.new.score, found.new.reasons) for name, found in parcels.items()} == {
        name: as_alert(alert) for name, alert in alerts.items()
    }
    assert {name: count for name, count in difference.changes.items() if count} == {"gained": len(alerts)}
    assert len(alerts) > 50
    _, back = compared(folder, quiet, changed)
    assert {name: found.old for name, found in back.items()} == {name: found.new for name, found in parcels.items()}
    assert {found.change for found in back.values()} == {"lost"}


def test_each_rule_is_counted_as_it_answers(changed: Path, tmp_path: Path) -> None:
    records = world(7, 150)
    lines: dict[str, list[bytes]] = {name: [] for name in NAMES.values()}
    for record in records:
        lines[NAMES[TOPIC_OF[type(record)]]].append(encode(record))
    put(tmp_path / "world", lines)
    difference, _ = compared(tmp_path / "world", changed)
    old, new = answers(records, load_catalogue()), answers(records, load_catalogue(changed))
    assert old.keys() == new.keys()
    answered = 0
    for line in difference.rules:
        before, after = ([each.get(line.rule, "gone") for each in side.values()] for side in (old, new))
        for counts, told in ((line.old, before), (line.new, after)):
            if counts is None:
                assert set(told) == {"gone"}
            else:
                assert (counts.yes, counts.no, counts.unknown) == tuple(
                    sum(answer is what for answer in told) for what in (True, False, None)
                )
        both = list(zip(before, after, strict=True))
        assert line.gained == sum(now is True and was is not True for was, now in both)
        assert line.lost == sum(was is True and now is not True for was, now in both)
        answered += sum(answer is True for answer in before)
    assert answered > 100
    status = {line.rule: line.status for line in difference.rules if line.status != "same"}
    assert status == {
        "goods.on_priority_route": "changed",
        "identity.many_names": "changed",
        "identity.missing": "changed",
        "identity.phone_many_ids": "changed",
        "route.priority_lane": "removed",
        "sender.unseen": "added",
        "sender.velocity": "changed",
    }
    by_id = {line.rule: line for line in difference.rules}
    assert by_id["identity.many_names"].changes == {"limits.names_90d_min": (3, 2)}
    assert by_id["identity.missing"].changes == {"version": (1, 2), "mode": ("live", "shadow")}
    assert by_id["sender.velocity"].changes == {"mode": ("live", "off")}
    assert by_id["sender.velocity"].new is None


def test_causes_are_all_that_changed_and_examples_show_them(folder: Path, changed: Path) -> None:
    difference, parcels = compared(folder, changed, **LOW)
    counted: Counter[str] = Counter()
    for cause in difference.causes:
        counted[cause.change] += cause.parcels
        assert len(cause.examples) == min(3, cause.parcels)
        for example in cause.examples:
            assert example == parcels[example.parcel]
            assert example.change == cause.change
            before = {reason.rule: reason.points for reason in example.old.reasons}
            after = {reason.rule: reason.points for reason in example.new.reasons}
            moved = {
                (rule, before.get(rule, 0), after.get(rule, 0))
                for rule in {*before, *after}
                if before.get(rule, 0) != after.get(rule, 0)
            }
            assert {(shift.rule, shift.old, shift.new) for shift in cause.shifts} == moved
            assert moved
    assert difference.causes_left_out == 0
    assert counted == Counter({name: count for name, count in difference.changes.items() if count})
    known = {json.loads(line)["waybill_no"] for line in (folder / "shipments.ndjson").read_bytes().splitlines()}
    assert sum(sum(row.values()) for row in difference.tiers.values()) == len(known)


def put(folder: Path, lines: dict[str, list[bytes]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, each in lines.items():
        (folder / f"{name}.ndjson").write_bytes(b"".join(line + b"\n" for line in each))
    return folder


def _shuffled(lines: list[bytes]) -> list[bytes]:
    return random.Random(1).sample(lines, len(lines))


def _doubled(lines: list[bytes]) -> list[bytes]:
    return random.Random(2).sample(lines * 2, len(lines) * 2)


@pytest.mark.parametrize("arranged", [_shuffled, _doubled])
@pytest.mark.parametrize("processes", [1, 3])
def test_neither_order_nor_size_nor_processes_change_the_report(
    arranged: Callable[[list[bytes]], list[bytes]],
    processes: int,
    folder: Path,
    changed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, parcels = compared(folder, changed, **LOW)
    lines = {name: (folder / f"{name}.ndjson").read_bytes().splitlines() for name in NAMES.values()}
    again = put(tmp_path / "again", {name: arranged(each) for name, each in lines.items()})
    (tmp_path / "spill").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spill"))
    monkeypatch.setattr(bulk, "SHARE_BYTES", 400_000)
    monkeypatch.setattr(bulk, "PROCESS_BYTES_MIN", 1)
    monkeypatch.setattr(bulk, "HELD_BYTES_MAX", 1)
    monkeypatch.setattr(dealt, "ROWS_MIN", 900)
    difference, found = compared(again, changed, processes=processes, **LOW)
    assert msgspec.structs.replace(difference, events=0, source="") == msgspec.structs.replace(
        expected, events=0, source=""
    )
    assert list(found.items()) == list(parcels.items())  # in one order, too
    assert not list((tmp_path / "spill").iterdir())


def test_the_same_rules_make_no_difference(folder: Path) -> None:
    difference, parcels = compared(folder, SHIPPED, **LOW)
    assert not parcels
    assert not any(difference.changes.values())
    assert not any(line.differs for line in difference.rules)
    assert difference.old.alerts == difference.new.alerts
    assert difference.causes == []


def test_a_file_alone_holds_shipments_unless_its_name_says_otherwise(
    folder: Path, changed: Path, tmp_path: Path
) -> None:
    lines = (folder / "shipments.ndjson").read_bytes()
    expected = compared(put(tmp_path / "only", {"shipments": lines.splitlines()}), changed)[1]
    (tmp_path / "november.ndjson").write_bytes(lines)
    assert expected
    difference, found = compared(tmp_path / "november.ndjson", changed)
    assert found == expected
    assert difference.missing == ["scans", "inspections"]
    write(generate(300, 5, planted_share=0.2), tmp_path / "p", form="parquet")
    assert compared(tmp_path / "p" / "shipments.parquet", changed)[0].parcels == 300
    assert compared(tmp_path / "p" / "scans.parquet", changed)[0].missing == ["shipments", "inspections"]


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(["backtest", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_limits_decide_the_exit_code(folder: Path, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = compared(folder, changed)[0].changes
    counts: dict[str, int] = {name: changes[name] for name in CHANGES}
    counts["changed"] = changes["raised"] + changes["lowered"]
    for name in ("gained", "lost", "changed"):
        assert counts[name] > 1
        assert command(capsys, folder, "--rules", changed, f"--max-{name}", counts[name])[0] == 0
        code, out, error = command(capsys, folder, "--rules", changed, f"--max-{name}", counts[name] - 1)
        assert code == 3
        assert error == f"waybill: {counts[name]} {name}, at most {counts[name] - 1} allowed (--max-{name})\n"
        assert "Rules that differ" in out  # the report is there all the same
    assert command(capsys, folder, "--rules", changed)[0] == 0
    code, _, error = command(capsys, folder, "--rules", changed, "--max-gained", 0, "--max-lost", 0)
    assert (code, error.count("\n")) == (3, 2)
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
    assert difference == compared(folder, changed)[0]
    assert (tmp_path / "d.ndjson").read_bytes().count(b"\n") == sum(difference.changes.values())
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    _, out, _ = command(capsys, folder, "--rules", changed, "--html", "again.html", "--progress")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html
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
    assert '同一证件多个姓名 · <span lang="en">One ID number, several names</span>' in html


def test_the_page_needs_nothing_else(folder: Path, changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, folder, "--rules", changed, "--html", "r.html")[0] == 0
    html = Path("r.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert not re.search(r"https?:|//|src=|@import|url\(|<link|<script", html)
    inside = set(re.findall(r'href="#([^"]*)"', html))
    assert inside
    assert inside <= set(re.findall(r'id="([^"]*)"', html))


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
    straight = compared(folder, changed)[0].changes
    assert (mirrored["gained"], mirrored["raised"]) == (straight["lost"], straight["lowered"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["full"], 2, "Missing option '--rules'"),
        (["gone", "--rules", "RULES"], 1, "gone: no such folder"),
        (["full", "--rules", "gone"], 1, "gone: not a folder"),
        (["full", "--rules", "RULES", "--against", "full"], 1, "full: no rules here"),
        (["full/truth.txt", "--rules", "RULES"], 1, "full/truth.txt: neither .ndjson nor .parquet"),
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


def test_what_was_changed_is_written_on_one_line() -> None:
    texts = {None: "–", 3: "3", "a AND\n  b\n": "a AND b", ("hold", "open_box"): '["hold", "open_box"]', "": ""}
    assert {item: written(item) for item in texts} == texts


def test_tallies_add_up_to_the_same_in_any_order(folder: Path, changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Tally] = []
    add = Tally.add

    def kept(self: Tally, other: Tally, most: int) -> None:
        parts.append(other)
        add(self, other, most)

    monkeypatch.setattr(Tally, "add", kept)
    monkeypatch.setattr(dealt, "ROWS_MIN", 500)
    difference, _ = compared(folder, changed)
    assert len(parts) > 5
    for seed in range(3):
        whole = Tally()
        for part in random.Random(seed).sample(parts, len(parts)):
            add(whole, part, 3)
        assert list(whole.causes()) == difference.causes
        assert whole.changes() == difference.changes


CODE = """
import streams.bulk as bulk
bulk.PROCESS_BYTES_MIN = bulk.HELD_BYTES_MAX = 1
bulk.SHARE_BYTES = 100_000
from streams.cli import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(number: signal.Signals, folder: Path, changed: Path, tmp_path: Path) -> None:
    """As a terminal does it, every process of the group gets the signal."""
    (tmp_path / "spill").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "spill"), "PYTHONPATH": str(ROOT)}
    arguments = ["backtest", str(folder), "--rules", str(changed), "--processes", "2", "--out", "d.ndjson"]
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        cwd=tmp_path, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        until = time.monotonic() + 60
        while not list((tmp_path / "spill").rglob("*.rows")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, out, error) == (130 if number == signal.SIGINT else 128 + number, "", "")
    assert not list((tmp_path / "spill").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"spill"}
