"""How clues look on a terminal, and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from desk.blind import seen_by, told
from desk.clues.book import Taken
from desk.clues.clue import Clue
from desk.clues.deadlines import WARN, next_due
from desk.queue import shown
from desk.words import say
from rules.pages.words import word
from schemas.rulefile import Language
from streams.cli.output import json_line
from streams.cli.views.alert import TIER_STYLES, language
from streams.values import moment, place_name

_ID_SHOWN = 11
_REASONS_SHOWN = 3
_HEADINGS = {
    "en": ("tier", "clue", "state", "parcel", "why"),
    "zh": ("等级", "线索", "状态", "运单", "原因"),
}


class Output:
    """Where a command shows clues. lang None: that of the locale."""

    def __init__(self, as_json: bool, lang: Literal["zh", "en"] | None) -> None:
        self._json = as_json
        self._lang: Language = lang or language()
        self._console = Console(highlight=False, markup=False, soft_wrap=False)

    def clues(self, clues: Sequence[Clue], now_ms: int) -> None:
        """A list of clues, in this order."""
        if self._json:
            for clue in clues:
                json_line(shown(clue, now_ms))
            return
        rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
        for name, options in zip(_HEADINGS[self._lang], _COLUMNS, strict=True):
            rows.add_column(name, **options)
        for clue in clues:
            rows.add_row(self._tier(clue), clue.clue_id[:_ID_SHOWN], self._state(clue, now_ms), *self._what(clue))
        if clues:
            self._console.print(rows)
        self._console.print(f"{len(clues)} 条线索" if self._lang == "zh" else f"{len(clues):,} {_clues(len(clues))}")

    def one(self, clue: Clue, past: Sequence[Taken], now_ms: int) -> None:
        """One clue with its log."""
        if self._json:
            events = ((told(clue, taken.event), taken.why) for taken in past)
            log = [{"event": said, "why": why} for said, why in events if said is not None]
            json_line({**shown(clue, now_ms), "log": log})
            return
        head = Text.assemble(self._tier(clue), "  ", clue.clue_id, "  ", clue.parcel, "  ", self._state(clue, now_ms))
        self._console.print(head)
        for reason in clue.alert.reasons if clue.alert is not None else ():
            title = reason.title.zh if self._lang == "zh" else reason.title.en
            self._console.print(f"  {reason.points:+d} {reason.rule}: {title}")
        if clue.hold is not None:
            self._console.print(f"  hold {clue.hold.state} until {moment(clue.hold.until)}: {clue.hold.reason}")
        for taken in past:
            event, said = taken.event, told(clue, taken.event)
            if said is None:
                continue
            about = ", ".join(
                f"{name}={_short(name, value)}"
                for name, value in said.items()
                if name not in _HEAD and value not in (None, ())
            )
            refused = f"  ✗ {taken.why}" if taken.why is not None else ""
            who = event.by if event.station is None else f"{event.by} ({event.station})"
            kind = type(event).__struct_config__.tag
            self._console.print(f"  {moment(event.at)}  {kind:<11} {who}  {about}{refused}")

    def overdue(self, found: Sequence[tuple[Clue, str, int]], now_ms: int) -> None:
        """What is overdue: clue, what is owed, since when."""
        for clue, what, since in found:
            if self._json:
                json_line({"clue_id": clue.clue_id, "station": clue.station, "owed": what, "since": since})
            else:
                late = _span(now_ms - since)
                self._console.print(f"{clue.clue_id[:_ID_SHOWN]}  {clue.station or '-':<16} {what:<8} {late} late")
        if not self._json:
            self._console.print(f"{len(found):,} overdue")

    def done(self, taken: Taken, station: str | None, now_ms: int) -> None:
        """What became of an act; station: for which its author acts."""
        clue = None if taken.clue is None else seen_by(station, taken.clue)
        kind = type(taken.event).__struct_config__.tag
        if self._json:
            plain = None if clue is None else shown(clue, now_ms)
            json_line(
                {
                    "event": msgspec.to_builtins(taken.event),
                    "counts": taken.why is None,
                    "why": taken.why,
                    "clue": plain,
                }
            )
        elif taken.why is not None:
            print(f"waybill: {taken.why}", file=sys.stderr)
        elif clue is not None:
            print(f"{clue.clue_id}: {kind}; the clue is {clue.state}{_next(clue, now_ms)}")

    def _tier(self, clue: Clue) -> Text:
        if clue.as_ordered:
            return Text("-", style="dim")
        name = word(clue.tier, self._lang)
        score = "" if clue.alert is None else f" {clue.alert.score}"
        return Text.assemble((name, TIER_STYLES[clue.tier]), score)

    def _state(self, clue: Clue, now_ms: int) -> Text:
        name = say(f"state {clue.state}", self._lang) if self._lang == "zh" else clue.state
        text = Text(name if clue.station is None else f"{name} {clue.station}")
        due = next_due(clue, now_ms)
        if (holder := clue.claimed(now_ms)) is not None:
            text.append(f"\n{say('event claimed', self._lang)} {holder}", style="dim")
        if due is not None:
            style = "bold red" if due.overdue else "yellow" if due.share >= WARN else "dim"
            left = f"{_span(now_ms - due.by)} late" if due.overdue else f"in {_span(due.by - now_ms)}"
            text.append(f"\n{due.step} {left}", style=style)
        elif clue.closed_for is not None:
            text.append(f"\n{clue.closed_for}", style="dim")
        return text

    def _what(self, clue: Clue) -> tuple[str, str]:
        place = f"{clue.adcode} {place_name(clue.adcode)}".strip()
        reasons = clue.alert.reasons if clue.alert is not None else ()
        ranked = sorted(reasons, key=lambda reason: -reason.points)
        titles = [reason.title.zh if self._lang == "zh" else reason.title.en for reason in ranked[:_REASONS_SHOWN]]
        if len(reasons) > _REASONS_SHOWN:
            titles.append(f"+ {len(reasons) - _REASONS_SHOWN}")
        return f"{clue.parcel}\n{place}", "\n".join(titles) or (
            "按要求检查" if self._lang == "zh" else "check as ordered"
        )


_COLUMNS: tuple[dict[str, Any], ...] = (
    {"width": 11, "no_wrap": True},
    {"width": _ID_SHOWN, "no_wrap": True},
    {"width": 18, "overflow": "fold"},
    {"width": 20, "overflow": "fold"},
    {"ratio": 3},
)
_TIMES = frozenset({"accept_by", "check_by", "answer_by", "checked_at", "until", "due"})
_HEAD = frozenset({"kind", "event_id", "clue_id", "at", "by", "station", "expects", "again", "alert"})


def _next(clue: Clue, now_ms: int) -> str:
    due = next_due(clue, now_ms)
    if clue.waits_for_second:
        return "; a second person has to confirm"
    if due is None:
        return ""
    return f"; {due.step} {'overdue' if due.overdue else f'within {_span(due.by - now_ms)}'}"


def _span(ms: int) -> str:
    minutes = ms // 60_000
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2_880 else f"{minutes // 1_440} d"


def _short(name: str, value: Any) -> str:
    if isinstance(value, int) and name in _TIMES:
        return moment(value)
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _clues(count: int) -> str:
    return "clue" if count == 1 else "clues"
