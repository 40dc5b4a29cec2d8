"""`waybill backtest`: the difference is that of two judges, whatever the order, the processes and the size."""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rules import THRESHOLDS, TIERS, load_catalogue
from rules.engine.folder import SHIPPED, rule_files
from schemas.records import Alert, encode
from streams.files import bulk, reading, shuffle
from streams.files.backtest.compare import Tally
from streams.files.backtest.difference import CHANGES
from streams.files.bulk import judge_folder
from streams.files.driver import TOPIC_OF, settled
from streams.files.reading import EVENTS, NAMES
from streams.generate import generate, write
from streams.settings import Settings
from tests.backtests import changed_rules, compared, compared_once, edit, put, traffic
from tests.worlds import world

pytestmark = [pytest.mark.usefixtures("clean"), pytest.mark.columns(80)]

LOW: dict[str, Any] = {"emit_from": "low"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traffic(tmp_path_factory.mktemp("traffic"))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return changed_rules(tmp_path_factory.mktemp("changed"))


def judged(folder: Path, rules: Path | None, **given: Any) -> dict[str, Alert]:
    """The open alerts of `judge`, by parcel."""
    out = Path("alerts.ndjson").resolve()
    judge_folder(folder, out, Settings(**given), load_catalogue(rules))
    alerts = [msgspec.json.decode(line, type=Alert) for line in out.read_bytes().splitlines()]
    return {f"{alert.carrier_code}:{alert.waybill_no}": alert for alert in alerts}


def as_alert(alert: Alert) -> tuple[str, int, tuple[object, ...]]:
    return alert.tier, alert.score, alert.reasons


def test_the_difference_is_that_of_two_judges(folder: Path, changed: Path) -> None:
    old, new = judged(folder, None, **LOW), judged(folder, changed, **LOW)
    difference, parcels = compared_once(folder, changed, **LOW)
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
        assert side.alerts == {tier: Counter[str](a.tier for a in alerts.values())[tier] for tier in TIERS[1:]}


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
    old, new = (settled(records, rules, Settings()).answers for rules in (load_catalogue(), load_catalogue(changed)))
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
        assert line.yes_added == sum(now is True and was is not True for was, now in both)
        assert line.yes_removed == sum(was is True and now is not True for was, now in both)
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
    difference, parcels = compared_once(folder, changed, **LOW)
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
    lines = [line for name in EVENTS.values() for line in (folder / f"{name}.ndjson").read_bytes().splitlines()]
    known = {json.loads(line)["waybill_no"] for line in lines}  # one of them has no shipment record
    assert sum(sum(row.values()) for row in difference.tiers.values()) == len(known)


def _shuffled(lines: list[bytes]) -> list[bytes]:
    return random.Random(1).sample(lines, len(lines))


def _doubled(lines: list[bytes]) -> list[bytes]:
    return random.Random(2).sample(lines * 2, len(lines) * 2)


@pytest.mark.parametrize(("arranged", "processes"), [(_shuffled, 1), (_doubled, 2)])
def test_neither_order_nor_size_nor_processes_change_the_report(
    arranged: Callable[[list[bytes]], list[bytes]],
    processes: int,
    folder: Path,
    changed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, parcels = compared_once(folder, changed, **LOW)
    lines = {name: (folder / f"{name}.ndjson").read_bytes().splitlines() for name in NAMES.values()}
    again = put(tmp_path / "again", {name: arranged(each) for name, each in lines.items()})
    (tmp_path / "spill").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spill"))
    monkeypatch.setattr(reading, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr("streams.files.lines.SHARE_BYTES", 400_000)
    monkeypatch.setattr(bulk, "PROCESS_BYTES_MIN", 1)
    monkeypatch.setattr(bulk, "HELD_BYTES_MAX", 1)
    monkeypatch.setattr(shuffle, "ROWS_MIN", 900)
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


def test_tallies_add_up_to_the_same_in_any_order(folder: Path, changed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Tally] = []
    add = Tally.add

    def kept(self: Tally, other: Tally, most: int) -> None:
        parts.append(other)
        add(self, other, most)

    monkeypatch.setattr(Tally, "add", kept)
    monkeypatch.setattr(shuffle, "ROWS_MIN", 500)
    difference, _ = compared(folder, changed)
    assert len(parts) > 5
    for seed in range(3):
        whole = Tally()
        for part in random.Random(seed).sample(parts, len(parts)):
            add(whole, part, 3)
        assert list(whole.causes()) == difference.causes
        assert whole.changes() == difference.changes


def test_it_says_what_a_push_would_refuse(folder: Path, changed: Path, tmp_path: Path) -> None:
    """The case of a limit that was changed, and what lint alone finds; nothing of rules that may be pushed."""
    assert compared(folder, SHIPPED)[0].push_refuses == []
    refuses = compared_once(folder, changed, **LOW)[0].push_refuses
    assert any(why.startswith("identity.many_names: the case ") for why in refuses)
    mine = changed_rules(tmp_path / "mine")
    edit(mine / "goods/vague_name.yaml", "misses:\n  zh: ", "misses:\n  zh: TODO ")
    (why,) = compared(folder, mine)[0].push_refuses
    assert why.endswith("goods/vague_name.yaml: misses.zh: still to fill in (TODO)")
