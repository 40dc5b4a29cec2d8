"""The report of a backtest as a page: one file, which needs nothing else."""

from __future__ import annotations

from importlib.resources import files
from itertools import groupby
from typing import Final

from rules import TIERS
from rules.pages.markup import Markup, Part, join, tag
from rules.pages.pages import code
from rules.pages.titles import column_title, value_title
from rules.pages.wording import value
from rules.pages.words import word
from schemas.records import Reason
from streams.files.backtest.difference import Cause, Change, Difference, Parcel, RuleLine, Shift, Side, written

# What changed: (Chinese, English, what that means in both).
_CHANGES: Final[dict[Change, tuple[str, str, str]]] = {
    "gained": ("新增", "Gained", "旧规则无预警，新规则有 · no alert under the old rules, one under the new"),
    "lost": ("消失", "Lost", "旧规则有预警，新规则无 · an alert under the old rules, none under the new"),
    "raised": ("升级", "Raised", "预警等级升高 · an alert of a higher tier"),
    "lowered": ("降级", "Lowered", "预警等级降低 · an alert of a lower tier"),
    "rescored": ("分值变化", "Rescored", "等级相同，分值或理由不同 · the same tier, another score or other reasons"),
}
_STATUS: Final = {"added": "新规则 added", "removed": "已删除 removed", "changed": "已修改 changed", "same": ""}


def page(difference: Difference) -> str:
    """HTML of a report, titles in Chinese and English, without anything from elsewhere."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", "规则回测 Backtest · waybill-sentinel"),
        tag("style", Markup(_css("rules.pages", "pages.css") + _css("streams.files.backtest", "page.css"))),
    )
    body = tag(
        "body",
        tag("header", tag("h1", "规则回测 ", tag("small", "Backtest of two catalogues"))),
        _source(difference),
        tag("div", [_card(change, count) for change, count in difference.changes.items()], class_="cards"),
        _heading("规则目录", "Catalogues"),
        _sides(difference),
        _heading("等级变化", "Tiers, in parcels"),
        _matrix(difference),
        _heading("规则命中", "Rules, in parcels"),
        _rules(difference),
        [_causes(change, list(causes)) for change, causes in groupby(difference.causes, key=lambda one: one.change)],
        _left_out(difference),
        _refusals(difference),
        tag("footer", tag("p", "由 waybill backtest 生成 · Written by waybill backtest", class_="dim")),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='zh-CN')}\n"


def _css(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")


def _heading(chinese: str, english: str, identifier: str = "") -> Markup:
    return tag("h2", f"{chinese} ", tag("span", english, lang="en"), id=identifier)


def _refusals(difference: Difference) -> Markup:
    """Why the new rules could not be pushed."""
    if not difference.push_refuses:
        return Markup("")
    head = _heading("推送会被拒绝", "A push would be refused")
    return join([head, tag("ul", [tag("li", why) for why in difference.push_refuses])])


def _source(difference: Difference) -> Markup:
    facts = [
        code(difference.source),
        f"{difference.events:,} 条事件 events",
        f"{difference.parcels:,} 个快件 parcels",
        f"预警起点 alerts from {_tier(difference.emit_from)}",
    ]
    parts = [tag("p", [[" · " if number else "", fact] for number, fact in enumerate(facts)], class_="dim")]
    if difference.missing:
        parts.append(tag("p", f"缺少 missing: {', '.join(difference.missing)}", class_="set"))
    rejected = [tag("li", f"{what}: {count:,}") for what, count in difference.rejects.items()]
    if rejected:
        parts.append(tag("p", "无法读取 could not be read:", class_="set"))
        parts.append(tag("ul", rejected))
    return join(parts)


def _card(change: Change, count: int) -> Markup:
    chinese, english, meaning = _CHANGES[change]
    title: Part = f"{chinese} {english}"
    if count:
        title = tag("a", title, href=f"#{change}")
    return tag("div", title, tag("b", f"{count:,}"), tag("small", meaning), class_=change)


def _sides(difference: Difference) -> Markup:
    tiers = TIERS[TIERS.index(difference.emit_from) :]

    def row(name: str, side: Side) -> Markup:
        counts = (side.rules, sum(side.alerts.values()), *(side.alerts[tier] for tier in tiers))
        about = tag("td", f"{name} ", code(side.folder), tag("small", "指纹 fingerprint ", code(side.fingerprint)))
        return tag("tr", about, [tag("td", f"{count:,}") for count in counts])

    rows = [row("旧 old", difference.old), row("新 new", difference.new)]
    return _table(["", "规则 rules", "预警 alerts", *(_tier(tier) for tier in tiers)], rows)


def _matrix(difference: Difference) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", f"旧 old: {_tier(old)}"),
            [tag("td", f"{count:,}", class_="stayed" if old == new else "") for new, count in row.items()],
        )
        for old, row in difference.tiers.items()
    ]
    return _table(["", *(f"新 new: {_tier(tier)}" for tier in TIERS)], rows, "figures matrix")


def _rules(difference: Difference) -> Markup:
    differing = [line for line in difference.rules if line.differs]
    same = len(difference.rules) - len(differing)
    told = tag("p", f"其余 {same} 条规则及其结果相同 · {same} more rules and their answers are equal", class_="dim")
    if not differing:
        return told
    heads = ["", "旧命中 old yes", "新命中 new yes", "新增命中 yes added", "不再命中 yes removed", "无法判定 unknown"]
    return join(_table(heads, [_rule(line) for line in differing]), told)


def _rule(line: RuleLine) -> Markup:
    status = tag("span", _STATUS[line.status], class_=line.status) if _STATUS[line.status] else ""
    changed = [
        tag("small", f"{name}: ", tag("del", written(before)), " → ", tag("ins", written(after)))
        for name, (before, after) in line.changes.items()
    ]
    titles = tag("small", f"{line.title.zh} · ", tag("span", line.title.en, lang="en"))
    about = tag("td", code(line.rule), " ", status, titles, changed)
    return tag("tr", about, [tag("td", cell) for cell in line.figures()])


def _causes(change: Change, causes: list[Cause]) -> Markup:
    chinese, english, meaning = _CHANGES[change]
    about = tag("p", meaning, class_="dim")
    return tag("section", _heading(chinese, english, change), about, [_cause(cause) for cause in causes])


def _cause(cause: Cause) -> Markup:
    shifts = [[", " if number else "", _shift(shift)] for number, shift in enumerate(cause.shifts)]
    head = tag("p", tag("span", f"{cause.parcels:,}", class_="count"), " 个快件 parcels: ", shifts)
    moved = {shift.rule for shift in cause.shifts}
    return tag("article", head, [_example(parcel, moved) for parcel in cause.examples], class_="cause")


def _shift(shift: Shift) -> Markup:
    return join(code(shift.rule), tag("span", f" {shift.old} → {shift.new} 分 points", class_="dim"))


def _example(parcel: Parcel, moved: set[str]) -> Markup:
    before, after = parcel.old, parcel.new
    verdicts = f" {_tier(before.tier)} {before.score} → {_tier(after.tier)} {after.score}"
    told = {reason.rule: reason for reason in (*before.reasons, *after.reasons)}
    reasons = [_reason(told[rule], rule in moved) for rule in sorted(told, key=lambda rule: (rule not in moved, rule))]
    return tag("div", code(parcel.parcel), verdicts, tag("ul", reasons), class_="example")


def _reason(reason: Reason, moved: bool) -> Markup:
    seen = ", ".join(f"{_column(name)}: {_value(name, item)}" for name, item in reason.evidence.items())
    title = f"{reason.title.zh} · {reason.title.en} "
    return tag("li", title, tag("small", code(reason.rule), " ", seen), class_="moved" if moved else "")


def _column(name: str) -> str:
    return _both(column_title(name, "zh"), column_title(name, "en"))


def _value(column: str, item: object) -> str:
    """A word of ours in both languages; else as rule files write it."""
    if isinstance(item, str) and (chinese := value_title(column, item, "zh")) != item:
        return _both(chinese, value_title(column, item, "en"))
    return value(item)


def _both(chinese: str, english: str) -> str:
    return chinese if chinese == english else f"{chinese} {english}"


def _left_out(difference: Difference) -> Part:
    count = difference.causes_left_out
    return (
        tag("p", f"另有 {count:,} 种较少见的原因 · and {count:,} causes that are rarer", class_="dim") if count else ""
    )


def _table(heads: list[str], rows: list[Markup], classes: str = "figures") -> Markup:
    head = tag("tr", [tag("th", text) for text in heads])
    return tag("div", tag("table", head, rows, class_=classes), class_="wide")


def _tier(name: str) -> str:
    return "无 none" if name == "none" else f"{word(name, 'zh')} {name}"
