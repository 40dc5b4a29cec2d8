"""How an alert looks on a terminal; for `waybill alerts` and the demo. Readable on 80 columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from typing import Literal

from rich.table import Table
from rich.text import Text

from schemas.apart import Shadow
from schemas.records import Alert, Reason

Language = Literal["zh", "en"]

CHINA = timezone(timedelta(hours=8))
TIER_STYLES = {"low": "cyan", "medium": "yellow", "high": "bold dark_orange", "extreme": "bold white on red"}
TIER_NAMES = {"low": "低危", "medium": "中危", "high": "高危", "extreme": "特危"}
PARCEL_WIDTH = 22
_TIER_WIDTH = 13


def language() -> Language:
    """The language of titles, from the locale."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if named.lower().startswith("zh") else "en"


def table(*, heading: bool = True, cut: bool = False) -> Table:
    """An empty table of alerts; fill it with `add`. `cut`: what is too long for its line is cut, else wrapped."""
    made = Table(box=None, show_header=heading, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    made.add_column("tier", width=_TIER_WIDTH, no_wrap=True)
    made.add_column("parcel", width=PARCEL_WIDTH, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    made.add_column("why", ratio=1, no_wrap=cut, overflow="ellipsis" if cut else "fold")
    return made


def add(rows: Table, alert: Alert, lang: Language, *, note: str = "", lines_max: int = 99) -> None:
    """Add a row: tier and score, parcel with place and time, reasons with their points."""
    place = Text(f"{alert.jurisdiction_adcode} {place_name(alert.jurisdiction_adcode)}", style="dim")
    parcel = Text.assemble(f"{alert.carrier_code}:{alert.waybill_no}", "\n", place)
    if note:
        parcel.append(f"\n{note}", style="dim")
    rows.add_row(tier(alert, lang), parcel, why(alert.reasons, lang, lines_max))


def add_shadow(rows: Table, shadow: Shadow, lang: Language, *, note: str = "") -> None:
    """Add a row for what does not count: the tier that the parcel would have, what it has now, and the rules."""
    if shadow.status == "withdrawn":
        would = Text("撤回" if lang == "zh" else "withdrawn", style="green")
    else:
        name = _level(shadow.tier_with, lang)
        would = Text.assemble((name, TIER_STYLES.get(shadow.tier_with, "dim")), f" {shadow.score_with}")
    parcel = Text(f"{shadow.carrier_code}:{shadow.waybill_no}")
    parcel.append(f"\n{'现' if lang == 'zh' else 'now'} {_level(shadow.tier, lang)} {shadow.score}", style="dim")
    if note:
        parcel.append(f"\n{note}", style="dim")
    rules = why(shadow.reasons, lang)
    if shadow.held:
        rules.append(f"\n{'扣留' if lang == 'zh' else 'held back'}: {', '.join(shadow.held)}", style="magenta")
    rows.add_row(would, parcel, rules)


def _level(level: str, lang: Language) -> str:
    return TIER_NAMES.get(level, "无") if lang == "zh" else level


def tier(alert: Alert, lang: Language) -> Text:
    """Tier and score, coloured."""
    if alert.status == "withdrawn":
        return Text("撤回" if lang == "zh" else "withdrawn", style="green")
    name = TIER_NAMES[alert.tier] if lang == "zh" else alert.tier
    return Text.assemble((f" {name} ", TIER_STYLES[alert.tier]), f" {alert.score}")


def why(reasons: Sequence[Reason], lang: Language, lines_max: int = 99) -> Text:
    """Titles of the rules that say yes, the weightiest first, one a line; at most `lines_max` lines."""
    ranked = sorted(reasons, key=lambda reason: -reason.points)
    shown = ranked[: lines_max - 1] if len(ranked) > lines_max else ranked
    text = Text()
    for number, reason in enumerate(shown):
        title = reason.title.zh if lang == "zh" else reason.title.en
        text.append("\n" if number else "")
        text.append(f"+{reason.points:<3}", style="bold")
        text.append(title)
    if len(ranked) > len(shown):
        text.append(f"\n     … {len(ranked) - len(shown)} more", style="dim")
    return text


def plain(alert: Alert, lang: Language) -> str:
    """One line, without colours."""
    name = TIER_NAMES[alert.tier] if lang == "zh" else alert.tier
    ranked = sorted(alert.reasons, key=lambda reason: -reason.points)
    titles = "; ".join(f"{reason.title.zh if lang == 'zh' else reason.title.en} +{reason.points}" for reason in ranked)
    what = f"{name} {alert.score}" if alert.status == "open" else "withdrawn"
    place = f"{alert.jurisdiction_adcode} {place_name(alert.jurisdiction_adcode)}".strip()
    return f"{what}  {alert.carrier_code}:{alert.waybill_no}  {place}  {titles}"


def when(at_ms: int) -> str:
    """A moment in China time, to the second."""
    return f"{datetime.fromtimestamp(at_ms / 1000, CHINA):%m-%d %H:%M:%S}"


@cache
def place_name(adcode: str) -> str:
    """City and county of a code, as far as they are known."""
    names = _names()
    city = names.get(adcode[:4] + "00") or names.get(adcode[:2] + "0000", "")
    own = names.get(adcode, "")
    return city if own in ("市辖区", city) else city + own


@cache
def _names() -> dict[str, str]:
    text = files("streams.flow.describe").joinpath("data", "adcodes.csv").read_text(encoding="utf-8")
    return {row["adcode"]: row["name"] for row in csv.DictReader(text.splitlines())}
