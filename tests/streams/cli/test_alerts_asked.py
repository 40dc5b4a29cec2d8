"""`waybill alerts` to ask: which alerts, in which order, and what people and tools get of them."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import typer
from rich.cells import cell_len
from rich.console import Console

from rules.pages.titles import column_title, value_title
from schemas.columns import COLUMNS
from schemas.records import Alert, Reason, Title
from schemas.rulefile import Language
from schemas.terms import (
    CustomerType,
    Direction,
    GoodsForm,
    PickupPlace,
    RealnameCheck,
    RealnameMethod,
    SenderIdType,
)
from streams.cli.alerts import _prefix, _since
from streams.cli.views import alert as view
from streams.cli.views.alerts import CSV_COLUMNS, Rows, Tables, opened
from streams.flow import layout
from streams.flow.describe import terms
from streams.kafka.alerts import Asked, Change, Newest, evidence, linked
from streams.values import shown

AT = 1_764_000_000_000  # 2025-11-25 00:00:00 in China
EVIDENCE: dict[str, Any] = {
    "declared_value_fen": 123_456, "weight_g": 2_500, "picked_up_at": AT, "pickup_adcode": "440111",
    "direction": "export", "retail": True, "sender_previous_km": 1_234.5, "freight_fen": None,
}  # fmt: skip


def alert(number: str = "1", **fields: Any) -> Alert:
    def reason(rule: str, points: int, found: dict[str, Any]) -> Reason:
        title = Title(zh="某条规则", en="Some rule")
        return Reason(rule=rule, version=1, category="suspicion", points=points, title=title, evidence=found)

    plain: dict[str, Any] = {
        "alert_id": f"wa-{number}", "revision": 1, "status": "open", "tier": "high", "score": 65,
        "reasons": (reason("goods.controlled_term", 60, EVIDENCE), reason("sender.first_seen", 5, {})),
        "unknown": ("journey.ghost",), "actions": ("hold", "open_box"), "jurisdiction_adcode": "430424",
        "carrier_code": "QN", "waybill_no": number, "outlet_id": "O", "courier_id": "C", "happened_at": AT,
        "detected_at": AT + 90_000, "catalogue": "f", "sources": (),
    }  # fmt: skip
    return Alert(**{**plain, **fields})


def change(what: Alert) -> Change:
    return Change(f"{what.carrier_code}:{what.waybill_no}", what, msgspec.json.encode(what), what.detected_at)


def found(asked: Asked, *alerts: Alert) -> list[str]:
    newest = Newest(asked)
    for each in alerts:
        newest.take(change(each))
    return sorted(newest.open)


# --- which ------------------------------------------------------------------------------------------------------------


def test_alerts_are_asked_for_by_parcel_place_rule_and_time() -> None:
    here, there = alert("1"), alert("2", jurisdiction_adcode="440111", detected_at=AT - 1, tier="medium", score=40)
    gone = alert("3", status="withdrawn")
    other = msgspec.structs.replace(alert("4"), reasons=alert().reasons[1:])
    every = (here, there, gone, other)
    assert found(Asked(), *every) == ["QN:1", "QN:2", "QN:4"]
    assert found(Asked(parcels=frozenset({"QN:1", "3"})), *every) == ["QN:1", "QN:3"]
    assert found(Asked(parcels=frozenset({"SF:1"})), *every) == []
    assert found(Asked(places=("4401", "11")), *every) == ["QN:2"]
    assert found(Asked(rules=("goods.controlled_term",)), *every) == ["QN:1", "QN:2"]
    assert found(Asked(rules=("sender",)), *every) == ["QN:1", "QN:2", "QN:4"]
    assert found(Asked(since_ms=AT), *every) == ["QN:1", "QN:4"]
    assert found(Asked(tier="high", rules=("goods",), places=("43",), since_ms=AT), *every) == ["QN:1"]


def test_tokens_of_one_sender_are_linked_through_the_alerts_that_carry_more_than_one() -> None:
    def sent(number: str, *tokens: str) -> Change:
        return change(alert(number, sender_token=tokens[0], earlier_sender_tokens=tokens[1:]))

    changes = [
        sent("1", "a:1"), sent("2", "b:1", "a:1"), sent("3", "c:1", "b:1"), sent("4", "c:2", "b:2"), sent("5", "b:1"),
        change(alert("6")), Change("QN:7", None, b"", AT),
    ]  # fmt: skip
    for token in ("a:1", "b:1", "c:1"):
        assert linked(token, iter(changes)) == {"a:1", "b:1", "c:1"}
    assert linked("x:9", changes) == {"x:9"}
    newest = Newest(Asked(sender=linked("c:1", changes)))
    for each in [*changes, change(alert("3", sender_token="c:1", status="withdrawn"))]:
        newest.take(each)
    assert sorted(newest.open) == ["QN:1", "QN:2", "QN:3", "QN:5"]


def test_the_most_urgent_first() -> None:
    newest = Newest()
    for number, tier, score, at in (("1", "high", 79, 3), ("2", "extreme", 80, 1), ("3", "high", 79, 4)):
        newest.take(change(alert(number, tier=tier, score=score, detected_at=AT + at)))
    assert [each.parcel for each in newest.sorted()] == ["QN:3", "QN:1", "QN:2"]
    assert [each.parcel for each in newest.sorted("urgency")] == ["QN:2", "QN:3", "QN:1"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2025-11-25", AT),
        ("2025-11-25T08:30", AT + 8 * 3_600_000 + 1_800_000),
        ("2025-11-24T16:00:00Z", AT),
        ("2025-11-25 00:00:00+08:00", AT),
    ],
)
def test_a_time_is_china_time_unless_it_names_a_zone(text: str, wanted: int) -> None:
    assert _since(text) == wanted


def test_so_long_ago() -> None:
    assert _since("1h") - _since("1d") == pytest.approx(23 * 3_600_000, abs=5_000)
    assert _since("90 s ago".replace(" s", "s")) > _since("2m")


@pytest.mark.parametrize("text", ["yesterday", "", "25:00", "2025-13-01", "3w", "-1h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time: write 2026-11-29"):
        _since(text)


@pytest.mark.parametrize("text", ["44O1", "0401", "4401110", "", "广州"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="GB/T 2260"):
        _prefix(text)


# --- for people -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "zh", "en"),
    [
        ("declared_value_fen", 123_456, "1,234.56 元", "1,234.56 yuan"),
        ("weight_g", 999, "999 g", "999 g"),
        ("weight_g", 2_500, "2.500 kg", "2.500 kg"),
        ("weight_change_g", -1_000, "-1.000 kg", "-1.000 kg"),
        ("picked_up_at", AT, "2025-11-25 00:00:00 UTC+8", "2025-11-25 00:00:00 UTC+8"),
        ("sender_previous_km", 1_234.5, "1,234 公里", "1,234 km"),
        ("sender_previous_h", 1.25, "1.2 小时", "1.2 h"),
        ("open_box_s", 2.0, "2.0 秒", "2.0 s"),
        ("pickup_adcode", "440111", "440111 广州市白云区", "440111 广州市白云区"),
        ("pickup_place", "door", "上门", "at the door"),
        ("retail", True, "是", "yes"),
        ("freight_fen", None, "未知", "not known"),
        ("outlet_id", "GZ1", "GZ1", "GZ1"),
        ("pieces", 1_200, "1,200", "1,200"),
    ],
)
def test_values_have_units_that_people_use(column: str, value: object, zh: str, en: str) -> None:
    assert (shown(column, value, "zh"), shown(column, value, "en")) == (zh, en)


def test_every_column_has_a_title_in_both_languages() -> None:
    assert [name for name in COLUMNS if column_title(name, "zh").isascii()] == []
    plain = [name for name in COLUMNS if column_title(name, "en") == name]
    assert set(plain) <= {"direction", "pieces", "scans", "inspections"}, plain


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("goods_term_kind", terms.KINDS),
        ("goods_trick", layout.GOODS_TRICKS),
        ("sender_id_fault", layout.ID_FAULTS),
        ("goods_class", get_args(GoodsForm)),
        ("direction", get_args(Direction)),
        ("pickup_place", get_args(PickupPlace)),
        ("customer_type", get_args(CustomerType)),
        ("realname_method", get_args(RealnameMethod)),
        ("realname_check", get_args(RealnameCheck)),
        ("sender_id_type", get_args(SenderIdType)),
    ],
)
def test_every_value_of_a_list_has_a_chinese_title(column: str, values: tuple[str, ...]) -> None:
    assert [value for value in values if value_title(column, value, "zh").isascii()] == []


def printed(capsys: pytest.CaptureFixture[str], lang: Language, width: int, **asked: Any) -> str:
    tables = Tables(Asked(**asked), lang, evidence=True, rules_dir=None)
    tables._console = Console(highlight=False, markup=False, width=width)
    tables.all([change(alert())], 1)
    tables.change(change(alert()), change(alert(score=70)), change(alert()))
    tables.change(Change("QN:1", None, b"", AT), change(alert()), None)
    tables.warn(2)
    out, err = capsys.readouterr()
    assert all(cell_len(line) <= width for line in out.splitlines())
    return out + err


@pytest.mark.parametrize("width", [80, 160])
def test_in_chinese_nothing_is_left_in_english(capsys: pytest.CaptureFixture[str], width: int) -> None:
    said = printed(capsys, "zh", width, parcels=frozenset({"QN:2"}), rules=("goods.controled_term",))
    # What is a code, a unit or a name in the files stays.
    rest = re.sub(r"QN:\d+|UTC\+8|\d kg|waybill|goods\.\w+", "", said)
    assert re.findall("[A-Za-z]+", rest) == []
    assert all(part in said for part in ("发生", "发现", "是否指 goods.controlled_term", "没有预警：QN:2"))
    flat = re.sub(r"\s", "", said)
    assert "处置:扣留、开箱验视" in flat
    assert "无法判定:" in flat


@pytest.mark.parametrize("width", [80, 160])
def test_times_are_dated_and_actions_and_unknown_are_named(capsys: pytest.CaptureFixture[str], width: int) -> None:
    said = printed(capsys, "en", width)
    clock = ":00" if width > view.WIDE else ""
    assert f"event 2025-11-25 00:00{clock} UTC+8" in said
    assert f"found 2025-11-25 00:01{':30' if clock else ''} UTC+8" in said
    flat = " ".join(said.split())
    assert "do: hold, open the box" in flat
    assert "cannot tell:" in flat
    assert "journey.ghost" not in flat, "its title stands for it"
    assert "declared value: 1,234.56 yuan" in flat
    assert "was high 70" in flat
    assert "expired" in flat


def test_from_where_to_where_is_shown_where_an_alert_says_so() -> None:
    assert view.way(alert(pickup_adcode="440111", dest_adcode="430424")) == "440111 广州市白云区 → 430424 衡阳市衡东县"
    assert view.way(alert(pickup_adcode="440111", dest_country="AU")) == "440111 广州市白云区 → AU"
    assert view.way(alert()) == ""


def test_goods_and_direction_are_shown_where_an_alert_says_so() -> None:
    sheet = view.Sheet("zh", 160)
    sheet.add(alert(goods_class="liquid", direction="export"))
    console = Console(file=io.StringIO(), width=160)
    console.print(sheet.table)
    assert isinstance(console.file, io.StringIO)
    assert "液体、出口" in console.file.getvalue()


# --- for tools --------------------------------------------------------------------------------------------------------


def test_evidence_is_one_list_of_three_fields() -> None:
    rows = evidence(alert())
    assert len(rows) == len(EVIDENCE)
    assert all(list(row) == ["rule", "column", "value"] for row in rows)
    values = {row["column"]: row["value"] for row in rows}
    assert values["declared_value_fen"] == "123456"
    assert (values["retail"], values["freight_fen"], values["direction"]) == ("true", None, "export")


def test_json_is_as_on_the_topic_or_with_that_list(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with opened(Asked(), "en", as_json=True, csv=None, evidence=False, rules_dir=None) as output:
        output.all([change(alert())], 1)
    assert capfdbinary.readouterr().out == msgspec.json.encode(alert()) + b"\n"
    with opened(Asked(), "en", as_json=True, csv=None, evidence=True, rules_dir=None) as output:
        output.change(change(alert()), None, change(alert()))
    said = json.loads(capfdbinary.readouterr().out)
    assert said["evidence"] == evidence(alert())
    assert "evidence" not in said["reasons"][0]
    assert said["detected_at"] == alert().detected_at


def test_csv_has_a_row_for_each_value(tmp_path: Path) -> None:
    with opened(Asked(), "en", as_json=False, csv=str(tmp_path / "a.csv"), evidence=False, rules_dir=None) as output:
        output.all([change(alert())], 1)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["rule"] for row in rows] == ["goods.controlled_term"] * len(EVIDENCE) + ["sender.first_seen"]
    assert {row["column"]: row["value"] for row in rows}["weight_g"] == "2500"
    assert (rows[-1]["column"], rows[-1]["value"], rows[-1]["points"]) == ("", "", "5")
    assert rows[0]["parcel"] == "QN:1"


@pytest.mark.parametrize(
    ("value", "wanted"), [("=1+1", "'=1+1"), ("@x", "'@x"), ("-12.5", "-12.5"), ("+8613", "+8613"), ("a=b", "a=b")]
)
def test_no_spreadsheet_takes_a_value_for_a_formula(value: str, wanted: str) -> None:
    file = io.StringIO()
    rows = Rows("en", file, "")
    rows.change(change(alert(carrier_code="QN", waybill_no="1", alert_id=value)), None, change(alert()))
    file.seek(0)
    assert next(csv.DictReader(file))["alert_id"] == wanted
