"""How alerts look: on 80 columns, newest first, and what counts as a change."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from schemas.apart import Shadow
from schemas.records import Alert, Reason, Title
from schemas.rulefile import Language
from schemas.terms import Level, Status, Tier
from streams.cli.views import alert as view
from streams.kafka.alerts import Asked, Change, Newest, NewestShadows, same_verdict
from streams.values import place_name

TITLES = {
    "route.priority_origin": ("重点地区始发", "Posted in a priority origin", 15),
    "goods.controlled_term": ("品名含管制物质或伪装名", "Name of a controlled substance or a known disguise", 60),
    "sender.first_seen": ("首次寄件", "First parcel of this sender", 5),
}
RULES = {rule: Title(zh=zh, en=en) for rule, (zh, en, _) in TITLES.items()}


def alert(number: str = "1004173697253", tier: Tier = "extreme", status: Status = "open", at: int = 0) -> Alert:
    reasons = tuple(
        Reason(rule=rule, version=1, category="suspicion", points=points, title=Title(zh=zh, en=en), evidence={})
        for rule, (zh, en, points) in TITLES.items()
    )
    return Alert(
        alert_id=f"wa-{number}", revision=1, status=status, tier=tier, score=80, reasons=reasons, unknown=(),
        actions=("open_box",), jurisdiction_adcode="430424", carrier_code="QN", waybill_no=number, outlet_id="O",
        courier_id="C", happened_at=1_764_000_000_000, detected_at=1_764_000_000_000 + at, catalogue="f", sources=(),
    )  # fmt: skip


def change(what: Alert) -> Change:
    return Change(f"{what.carrier_code}:{what.waybill_no}", what, msgspec.json.encode(what), what.detected_at)


def printed(lang: Language, width: int = 80) -> list[str]:
    return drawn(alert(), lang, width)


def drawn(what: Alert, lang: Language, width: int = 80, **options: Any) -> list[str]:
    sheet = view.Sheet(lang, width, titles=RULES, **options)
    sheet.add(what)
    console = Console(file=io.StringIO(), width=width)
    console.print(sheet.table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_row_fits_80_columns_and_loses_nothing(lang: Language) -> None:
    lines = printed(lang)
    assert max(cell_len(line) for line in lines) <= 80
    text = " ".join(" ".join(lines).split())
    for part in ("QN:1004173697253", "430424 衡阳市衡东县", "2025-11-25 00:00 UTC+8", "80", "+60", "+15", "+5"):
        assert part in text
    assert ("品名含管制物质或伪装名" in text) == (lang == "zh")
    whys = [line for line in lines if "+60" in line or "+15" in line or "+5 " in line]
    assert [("+60" in line, "+15" in line, "+5 " in line) for line in whys] == [
        (True, False, False), (False, True, False), (False, False, True)
    ]  # fmt: skip


def test_too_many_reasons_are_counted() -> None:
    text = view.why(alert().reasons, "en", lines_max=2).plain
    assert text.splitlines()[0].startswith("+60")
    assert text.endswith("… 2 more")
    assert len(view.why(alert().reasons, "en", lines_max=3).plain.splitlines()) == 3


def test_places_are_named_as_far_as_they_are_known() -> None:
    names = {code: place_name(code) for code in ("430424", "430401", "110105", "500113", "709999", "")}
    assert names == {
        "430424": "衡阳市衡东县", "430401": "衡阳市", "110105": "北京市朝阳区", "500113": "重庆市巴南区",
        "709999": "", "": "",
    }  # fmt: skip


def test_the_newest_message_of_a_parcel_holds() -> None:
    newest = Newest(Asked(tier="high"))
    first, second = change(alert("1", at=1)), change(alert("2", at=2))
    assert newest.take(first) == (None, first)
    assert newest.take(second) == (None, second)
    assert newest.sorted() == [second, first]
    lower = change(alert("1", tier="medium", at=3))
    assert newest.take(lower) == (first, None)
    assert newest.take(change(alert("2", status="withdrawn", at=4))) == (second, None)
    assert newest.sorted() == []
    assert newest.take(Change("QN:2", None, b"", 5)) == (None, None)


def test_a_parcel_that_only_moved_is_no_news() -> None:
    before = alert()
    moved = msgspec.structs.replace(before, jurisdiction_adcode="110105", detected_at=before.detected_at + 9)
    worse = msgspec.structs.replace(before, score=95)
    assert same_verdict(change(before), change(moved))
    assert not same_verdict(change(before), change(worse))
    assert not same_verdict(None, change(before))


# --- the shadow topic -------------------------------------------------------------------------------------------------


def shadow(
    number: str, tier: Level = "high", status: Status = "open", at: int = 0, held: tuple[str, ...] = ()
) -> Change:
    said = Shadow(
        alert_id=f"wa-{number}", revision=2, status=status, opens=True, rises=True, tier="none", score=5,
        tier_with=tier, score_with=65, reasons=alert().reasons[1:2], held=held, carrier_code="QN", waybill_no=number,
        detected_at=1_764_000_000_000, catalogue="f",
    )  # fmt: skip
    return Change(f"QN:{number}", None, msgspec.json.encode(said), at, said)


def test_the_newest_of_the_shadow_topic_holds() -> None:
    newest = NewestShadows(Asked(tier="medium"))
    first, second = shadow("1", at=1), shadow("2", at=2)
    assert newest.take(first)
    assert newest.take(second)
    assert newest.sorted() == [second, first]
    assert newest.take(shadow("1", tier="low", at=3)), "it is shown no more, and that is news"
    assert not newest.take(shadow("3", tier="none", at=3))
    assert newest.take(shadow("2", status="withdrawn", at=4))
    assert newest.sorted() == []
    assert not newest.take(Change("QN:2", None, b"", 5))


@pytest.mark.parametrize(
    ("lang", "shown"),
    [
        ("en", ["high 65", "now none 5", "QN:7", "+60 Name of a controlled", "held back: Name of a controlled"]),
        ("zh", ["高危 65", "现 无 5", "QN:7", "+60 品名含管制物质", "扣留: 品名含管制物质"]),
    ],
)
def test_what_is_in_shadow_on_80_columns(lang: Language, shown: list[str]) -> None:
    sheet = view.Sheet(lang, 80, titles=RULES)
    said = shadow("7", held=("goods.controlled_term",)).shadow
    assert said is not None
    sheet.add_shadow(said)
    console = Console(file=io.StringIO(), width=80)
    console.print(sheet.table)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert all(part in text for part in shown), text
    assert all(cell_len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(("locale", "lang"), [("zh_CN.UTF-8", "zh"), ("C.UTF-8", "en"), ("", "en")])
def test_language_follows_the_locale(monkeypatch: pytest.MonkeyPatch, locale: str, lang: str) -> None:
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", locale)
    assert view.language() == lang
