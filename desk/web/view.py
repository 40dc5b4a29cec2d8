"""Clues as pages show them: values, deadlines, timeline and log in the words of one language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from desk.blind import told
from desk.clues.clue import Clue
from desk.clues.deadlines import WARN, next_due
from desk.measures.rules import Share
from desk.measures.wording import proportion
from desk.store.reading import COUNT_MAX
from desk.web.words import tell
from desk.words import known, say
from rules.pages.titles import column_title, value_title
from schemas.clues import Closed, ClueEvent
from schemas.desk import Trace
from schemas.records import Reason
from schemas.rulefile import Language, Prose, Rule, in_language
from streams.values import moment, place, shown

_HIDDEN: Final = frozenset(
    {"kind", "event_id", "clue_id", "at", "by", "station", "expects", "again", "alert", "feedback_id"}
)
_TIMES: Final = frozenset({"accept_by", "check_by", "answer_by", "checked_at", "until", "due"})
_GROUPS: Final = {
    "outcome": "outcome", "check_kind": "check", "noise_reason": "noise", "step": "step", "action": "hold",
    "status": "status", "tier": "tier", "origin": "origin",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Due:
    """What is owed next, as text; level: calm, soon or late. step: its name; by, soon: when that changes, epoch ms."""

    text: str
    level: str
    step: str
    by: int
    soon: int


@dataclass(frozen=True, slots=True)
class Line:
    """One event of the log. refused: why it does not count."""

    at: str
    what: str
    who: str
    details: tuple[tuple[str, str], ...]
    refused: str | None


class View:
    """The words of one language, for templates."""

    def __init__(self, lang: Language) -> None:
        self.lang = lang

    def __call__(self, key: str, *values: object) -> str:
        """The words for a key, with values in their places."""
        return tell(key, self.lang).format(*values)

    def moment(self, at_ms: int) -> str:
        """A time in China."""
        return moment(at_ms, seconds=False)

    def place(self, adcode: str | None) -> str:
        """A place by code and name."""
        return place(adcode) if adcode else ""

    def title(self, reason: Reason) -> str:
        """What a rule is called."""
        return reason.title.zh if self.lang == "zh" else reason.title.en

    def prose(self, text: Prose) -> str:
        """A text of a rule."""
        return in_language(text, self.lang)

    def ranked(self, clue: Clue) -> list[Reason]:
        """The reasons of a clue's alert, the weightiest first."""
        return sorted(clue.alert.reasons, key=lambda reason: -reason.points) if clue.alert is not None else []

    def value(self, column: str, value: object) -> str:
        """A value of a column, with its unit."""
        return shown(column, value, self.lang)

    def proportion(self, found: Share) -> str:
        """A proportion with its interval, as far as there is one."""
        return proportion(found, self.lang)

    def evidence(self, reason: Reason) -> list[tuple[str, str]]:
        """Titles and values of the columns that a rule names."""
        return [(column_title(name, self.lang), self.value(name, value)) for name, value in reason.evidence.items()]

    def goods_class(self, trace: Trace) -> str:
        """The form of the goods."""
        return value_title("goods_class", trace.goods_class, self.lang) if trace.goods_class else ""

    def due(self, clue: Clue, now_ms: int) -> Due | None:
        """What is owed next, and the time that is left for it."""
        due = next_due(clue, now_ms)
        if due is None:
            return None
        step = say(f"step {due.step}", self.lang)
        text = self("late" if due.overdue else "left", step, self.span(due.by - now_ms))
        return Due(text, "late" if due.overdue else "soon" if due.share >= WARN else "calm", step, due.by, due.warn)

    def counted(self, count: int, most: int = COUNT_MAX) -> str:
        """How many there are; beyond `most` nobody has counted."""
        return self("count", f"{count:,}") if count <= most else self("more than", f"{most:,}")

    def left(self, until_ms: int, now_ms: int) -> str:
        """How long it is until a time, or since."""
        return self("ahead" if until_ms > now_ms else "ago", self.span(until_ms - now_ms))

    def log(self, clue: Clue, past: Iterable[tuple[ClueEvent, str | None]]) -> Iterator[Line]:
        """The events of a clue that its reader may see; clue: as he sees it."""
        titles = {reason.rule: self.title(reason) for reason in self.ranked(clue)}
        for event, why in past:
            said = told(clue, event)
            if said is None:
                continue
            who = event.by if event.station is None else f"{event.by} ({event.station})"
            yield Line(
                self.moment(event.at),
                say(f"event {type(event).__struct_config__.tag}", self.lang),
                who,
                tuple(self._details(event, said, titles)),
                why,
            )

    def _details(
        self, event: ClueEvent, said: Mapping[str, Any], titles: Mapping[str, str]
    ) -> Iterator[tuple[str, str]]:
        for name, value in said.items():
            if name not in _HIDDEN and value not in (None, [], ()):
                yield say(f"field {name}", self.lang), self._detail(event, name, value, titles)

    def _detail(self, event: ClueEvent, name: str, value: Any, titles: Mapping[str, str]) -> str:
        group = "closed" if isinstance(event, Closed) and name == "reason" else _GROUPS.get(name)
        if group is not None and (group == "tier" or known(f"{group} {value}")):
            return say(f"{group} {value}", self.lang)
        if name in _TIMES:
            return self.moment(value)
        if isinstance(value, list | tuple):  # of rules or users
            return self("comma").join(titles.get(each, each) for each in value)
        return place(value) if name.endswith("adcode") else shown(name, value, self.lang)

    def span(self, ms: int) -> str:
        """How long, in the largest unit that still tells much."""
        minutes = abs(ms) // 60_000
        if minutes < 120:
            return self("min", minutes)
        return self("hours", minutes // 60) if minutes < 2_880 else self("days", minutes // 1_440)


def explained(rules: Mapping[str, Rule], reason: Reason) -> Rule | None:
    """The rule of a reason, if the desk has it in that version."""
    rule = rules.get(reason.rule)
    return rule if rule is not None and rule.version == reason.version else None
