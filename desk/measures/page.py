"""The measures as one self-contained HTML page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files

from desk.measures.report import Measures
from desk.measures.tables import Table, tables
from rules.pages.markup import Markup, tag


def page(found: Measures) -> str:
    """HTML of all tables, each in Chinese and English."""
    css = files("rules.pages").joinpath("pages.css").read_text(encoding="utf-8")
    parts = [
        tag(
            "section",
            tag("h2", f"{zh.title} ", tag("span", en.title, lang="en")),
            tag(
                "table",
                tag("thead", tag("tr", [tag("th", f"{a} ", tag("span", b, lang="en")) for a, b in _heads(zh, en)])),
                tag("tbody", [tag("tr", [tag("td", cell) for cell in row]) for row in en.rows]),
            )
            if en.rows
            else tag("p", "无数据 · no data", class_="dim"),
            tag("p", f"{zh.remark} {en.remark}", class_="dim") if en.remark else "",
        )
        for zh, en in zip(tables(found, "zh"), tables(found, "en"), strict=True)
    ]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "成效 Measures · waybill-sentinel"),
        tag("style", Markup(css)),
    )
    period = f"{_day(found.since)} – {_day(found.until)}" if found.since else f"– {_day(found.until)}"
    body = tag(
        "body",
        tag("header", tag("h1", "成效 ", tag("small", "Measures")), tag("p", period, class_="dim")),
        parts,
        tag("footer", tag("p", "由 waybill measures 生成 · Written by waybill measures", class_="dim")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='zh-CN')}\n"


def _heads(zh: Table, en: Table) -> list[tuple[str, str]]:
    return [(a, "" if a == b else b) for a, b in zip(zh.head, en.head, strict=True)]


def _day(at_ms: int) -> str:
    return (datetime.fromtimestamp(at_ms / 1_000, UTC) + timedelta(hours=8)).strftime("%Y-%m-%d %H:%M")
