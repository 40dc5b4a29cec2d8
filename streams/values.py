"""Values of records as people read them: yuan, kilograms, local time, places by name."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files
from typing import Final

from rules.pages.titles import value_title
from schemas.rulefile import Language

CHINA: Final = timezone(timedelta(hours=8))
ZONE: Final = "UTC+8"


def shown(column: str, value: object, lang: Language) -> str:
    """A value of a documented column, with its unit."""
    zh = lang == "zh"
    if value is None:
        return "未知" if zh else "not known"
    if isinstance(value, bool):
        return ("是" if zh else "yes") if value else ("否" if zh else "no")
    if isinstance(value, int | float):
        return _number(column, value, zh)
    text = str(value)
    if column.endswith("_adcode"):
        return place(text)
    return value_title(column, text, lang)


def _number(column: str, value: float, zh: bool) -> str:
    unit = column.rpartition("_")[2]
    match unit:
        case "fen":
            return f"{value / 100:,.2f} {'元' if zh else 'yuan'}"
        case "g":
            return f"{value / 1000:,.3f} kg" if abs(value) >= 1000 else f"{value:,} g"
        case "at":
            return moment(int(value))
        case "km":
            return f"{value:,.0f} {'公里' if zh else 'km'}"
        case "h":
            return f"{value:,.1f} {'小时' if zh else 'h'}"
        case "s":
            return f"{value:,.1f} {'秒' if zh else 's'}"
    return f"{value:,}"


def moment(at_ms: int, *, seconds: bool = True) -> str:
    """A moment with its date and zone, in China time."""
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    return f"{datetime.fromtimestamp(at_ms / 1000, CHINA):{form}} {ZONE}"


def place(adcode: str) -> str:
    """A code with its name."""
    return f"{adcode} {place_name(adcode)}".strip()


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
