"""How an alert looks on a terminal; for `waybill alerts` and the demo. Readable on 80 columns, better on more."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from rules.pages.titles import action_title, column_title, value_title
from rules.pages.words import word
from schemas.apart import Shadow
from schemas.records import Alert, Reason, Title
from schemas.rulefile import Language
from streams.values import moment, place, shown

TIER_STYLES: Final = {
    "low": "cyan", "medium": "yellow", "high": "bold dark_orange", "extreme": "bold white on red",
}  # fmt: skip
WIDE: Final = 120
"""From so many columns on, places and times have columns of their own."""
_TIER_WIDTH, _PARCEL_WIDTH, _SLIM_WIDTH, _TIMES_WIDTH = 13, 28, 20, 31
_WORDS: Final = {
    "tier": ("等级", "tier"),
    "parcel": ("快件", "parcel"),
    "way": ("流向", "from → to"),
    "times": ("时间", "times"),
    "why": ("原因", "why"),
    "happened": ("发生", "event"),
    "detected": ("发现", "found"),
    "stop": ("可拦截", "stop at"),
    "do": ("处置", "do"),
    "cannot tell": ("无法判定", "cannot tell"),
    "withdrawn": ("撤回", "withdrawn"),
    "new": ("新增", "new"),
    "forgotten": ("已清除", "expired"),
    "below": ("低于所选等级", "below the tier"),
    "was": ("原为", "was"),
    "now": ("现", "now"),
    "held": ("扣留", "held back"),
    "none": ("无", "none"),
    "more": ("另有 {} 项", "{} more"),
}


def language() -> Language:
    """The language of titles, from the locale."""
    named = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "zh" if named.lower().startswith("zh") else "en"


def say(key: str, lang: Language) -> str:
    """A word of this view."""
    return _WORDS[key][lang == "en"]


class Sheet:
    """A table of alerts, to be filled row by row; `table` is what rich prints.

    width     of the terminal, columns
    cut       what is too long for its line is cut, and a row is short; else it is wrapped
    evidence  show what each rule found
    titles    of rules that an alert only names
    """

    def __init__(
        self,
        lang: Language,
        width: int,
        *,
        heading: bool = True,
        cut: bool = False,
        evidence: bool = False,
        titles: Mapping[str, Title] | None = None,
    ) -> None:
        self._lang, self._cut, self._evidence, self._titles = lang, cut, evidence, titles or {}
        self.wide = width >= WIDE
        self.table = Table(box=None, show_header=heading, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
        self._column("tier", width=_TIER_WIDTH, wraps=False)
        self._column("parcel", width=_SLIM_WIDTH if self.wide and cut else _PARCEL_WIDTH)
        if self.wide:
            self._column("way", ratio=2 if cut else 1)
            self._column("times", width=_TIMES_WIDTH)
        self._column("why", ratio=3 if cut else 2)

    def _column(self, name: str, *, width: int | None = None, ratio: int | None = None, wraps: bool = True) -> None:
        self.table.add_column(
            say(name, self._lang), width=width, ratio=ratio, no_wrap=self._cut or not wraps,
            overflow="ellipsis" if self._cut else "fold",
        )  # fmt: skip

    def add(self, alert: Alert, *, note: str = "", lines_max: int = 99) -> None:
        """Add an alert. note: what has become of it; lines_max: of its reasons."""
        lang = self._lang
        parcel, way = Text(f"{alert.carrier_code}:{alert.waybill_no}"), Text("\n".join(self._way(alert)), style="dim")
        times = Text(
            f"{say('happened', lang)} {moment(alert.happened_at, seconds=self.wide)}\n"
            f"{say('detected', lang)} {moment(alert.detected_at, seconds=self.wide)}",
            style="dim",
        )
        reasons = why(alert.reasons, lang, lines_max, evidence=self._evidence)
        if not self._cut:
            _below(reasons, self._rest(alert))
        noted = [Text(note, style="bold")] if note else []
        if self.wide:
            self.table.add_row(tier(alert, lang), _below(parcel, noted), way, times, reasons)
        else:
            below = [times.split()[1]] if self._cut else [way, times]
            self.table.add_row(tier(alert, lang), _below(parcel, [*below, *noted]), reasons)

    def _way(self, alert: Alert) -> list[str]:
        lines = [f"{say('stop', self._lang)} {place(alert.jurisdiction_adcode)}"]
        goods = [
            value_title(name, value, self._lang)
            for name, value in (("goods_class", alert.goods_class), ("direction", alert.direction))
            if value
        ]
        route = way(alert)
        if self._cut:  # a line for each end, so that neither is cut off
            route = route.replace(" → ", "\n→ ")
        return [
            *(route.split("\n") if route else []),
            *lines,
            *([word("comma", self._lang).join(goods)] if goods else []),
        ]

    def _rest(self, alert: Alert) -> Iterable[Text]:
        """What to do, and what could not be told."""
        lang, comma = self._lang, word("comma", self._lang)
        if alert.actions and alert.status == "open":
            named = comma.join(action_title(action, lang) for action in alert.actions)
            yield Text(f"{say('do', lang)}: {named}", style="bold green")
        if alert.unknown:
            named = comma.join(self._title(rule) for rule in alert.unknown)
            yield Text(f"{say('cannot tell', lang)}: {named}", style="dim")

    def _title(self, rule: str) -> str:
        title = self._titles.get(rule)
        return rule if title is None else getattr(title, self._lang)

    def rows(self, alert: Alert, lines_max: int) -> int:
        """How many lines an alert takes where what is too long is cut."""
        return max(2, min(len(alert.reasons), lines_max), len(self._way(alert)) if self.wide else 0)

    def add_shadow(self, shadow: Shadow, *, note: str = "") -> None:
        """Add what does not count: the tier that the parcel would have, what it has now, and the rules."""
        lang = self._lang
        if shadow.status == "withdrawn":
            would = Text(say("withdrawn", lang), style="green")
        else:
            name = _level(shadow.tier_with, lang)
            would = Text.assemble((name, TIER_STYLES.get(shadow.tier_with, "dim")), f" {shadow.score_with}")
        now = Text(f"{say('now', lang)} {_level(shadow.tier, lang)} {shadow.score}", style="dim")
        times = Text(note, style="dim")
        rules = why(shadow.reasons, lang, evidence=self._evidence)
        if shadow.held:
            held = word("comma", lang).join(self._title(rule) for rule in shadow.held)
            rules.append(f"\n{say('held', lang)}: {held}", style="magenta")
        parcel = Text(f"{shadow.carrier_code}:{shadow.waybill_no}")
        if self.wide:
            self.table.add_row(would, parcel, now, times, rules)
        else:
            self.table.add_row(would, _below(parcel, [now, times]), rules)


def way(alert: Alert) -> str:
    """From where to where, as far as the alert says."""
    there = place(alert.dest_adcode) if alert.dest_adcode else alert.dest_country or ""
    return f"{place(alert.pickup_adcode)} → {there}".rstrip() if alert.pickup_adcode else ""


def tier(alert: Alert, lang: Language) -> Text:
    """Tier and score, coloured."""
    if alert.status == "withdrawn":
        return Text(say("withdrawn", lang), style="green")
    return Text.assemble((f" {_level(alert.tier, lang)} ", TIER_STYLES[alert.tier]), f" {alert.score}")


def was(alert: Alert, lang: Language) -> str:
    """What an alert said before."""
    return f"{say('was', lang)} {_level(alert.tier, lang)} {alert.score}"


def why(reasons: Sequence[Reason], lang: Language, lines_max: int = 99, *, evidence: bool = False) -> Text:
    """Titles of the rules that say yes, the weightiest first, one a line; at most `lines_max` lines of them."""
    ranked = sorted(reasons, key=lambda reason: -reason.points)
    few = ranked[: lines_max - 1] if len(ranked) > lines_max else ranked
    text = Text()
    for number, reason in enumerate(few):
        text.append("\n" if number else "")
        text.append(f"+{reason.points:<3}", style="bold")
        text.append(getattr(reason.title, lang))
        for column, value in reason.evidence.items() if evidence else ():
            text.append(f"\n     {column_title(column, lang)}: {shown(column, value, lang)}", style="dim")
    if len(ranked) > len(few):
        text.append(f"\n     … {say('more', lang).format(len(ranked) - len(few))}", style="dim")
    return text


def plain(alert: Alert, lang: Language) -> str:
    """One line, without colours."""
    ranked = sorted(alert.reasons, key=lambda reason: -reason.points)
    titles = "; ".join(f"{getattr(reason.title, lang)} +{reason.points}" for reason in ranked)
    what = f"{_level(alert.tier, lang)} {alert.score}" if alert.status == "open" else say("withdrawn", lang)
    where = way(alert) or place(alert.jurisdiction_adcode)
    return f"{moment(alert.detected_at)}  {what}  {alert.carrier_code}:{alert.waybill_no}  {where}  {titles}"


def _below(first: Text, rest: Iterable[Text]) -> Text:
    for each in rest:
        first.append("\n").append_text(each)
    return first


def _level(level: str, lang: Language) -> str:
    return say("none", lang) if level == "none" else word(level, lang)
