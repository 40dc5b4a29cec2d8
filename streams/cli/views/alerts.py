"""What `waybill alerts` writes: tables for people, JSON and CSV for tools."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, Final, Protocol

import msgspec
from rich.console import Console

from schemas.records import Alert, Title
from schemas.rulefile import Language
from streams.cli.views import alert as view
from streams.files.writing import growing, standard
from streams.kafka.alerts import Asked, Change, evidence, same_verdict
from streams.values import moment

_WORDS: Final = {
    "open": ("共 {:,} 个未撤回的预警", "{:,} open alerts"),
    "one": ("共 1 个未撤回的预警", "1 open alert"),
    "asked": ("共 {:,} 个快件有预警", "{:,} of these parcels have an alert"),
    "shadow": ("共 {:,} 个快件在试运行规则下会有变化", "{:,} in shadow"),
    "limit": ("；此处为前 {} 个，--limit 0 显示全部", "; the first {} of them, --limit 0 shows all"),
    "none": ("没有预警：{}", "no alert: {}"),
    "rule": ("规则文件中没有 {}{}", "no rule {} in the rule files{}"),
    "similar": ("，是否指 {}？", "; did you mean {}?"),
    "unreadable": ("警告：{} 条消息不是此版本所写，已略过", "warning: {} messages are not of this version, left out"),
    "written": ("{}：{:,} 行", "{}: {:,} rows"),
}
CSV_COLUMNS: Final = (
    "parcel", "status", "tier", "score", "rule", "version", "category", "points", "column", "value",
    "happened_at", "detected_at", "jurisdiction_adcode", "alert_id", "revision",
)  # fmt: skip


class Output(Protocol):
    """Where changes go that were asked for."""

    def hear(self, change: Change) -> None:
        """Any message that was read."""

    def all(self, changes: Sequence[Change], total: int) -> None:
        """The alerts as they are, in order; `total` of which these are the first."""

    def change(self, change: Change, before: Change | None, now: Change | None) -> None:
        """One change. `before`, `now`: what was and is shown of its parcel, where anything."""

    def shadows(self, changes: Sequence[Change], total: int | None = None) -> None:
        """Messages of the shadow topic; `total`: all there are, of which these are the newest."""

    def warn(self, unreadable: int) -> None:
        """So many messages could not be read."""


@contextmanager
def opened(
    asked: Asked, lang: Language, *, as_json: bool, csv: str | None, evidence: bool, rules_dir: Path | None
) -> Iterator[Output]:
    """The output that someone wants. Raises OSError for a file that cannot be written."""
    if as_json:
        yield Lines(lang, lists=evidence)
    elif csv is not None and standard(Path(csv)):
        yield Rows(lang, sys.stdout, "")
    elif csv is not None:
        with growing(Path(csv)) as file:
            yield Rows(lang, file, csv)
    else:
        yield Tables(asked, lang, evidence=evidence, rules_dir=rules_dir)


class Tables:
    """For people."""

    def __init__(self, asked: Asked, lang: Language, *, evidence: bool, rules_dir: Path | None) -> None:
        self._asked, self._lang, self._evidence = asked, lang, evidence
        # Piped output keeps the width of 80 columns, as rich would choose; COLUMNS overrides it.
        self._console = Console(highlight=False, markup=False, soft_wrap=False)
        self._titles = _titles(rules_dir)
        self._seen: set[str] = set()

    def hear(self, change: Change) -> None:
        """Learn titles, of rules that were pushed, say."""
        said = change.alert or change.shadow
        self._titles.update({reason.rule: reason.title for reason in said.reasons} if said else {})

    def all(self, changes: Sequence[Change], total: int) -> None:
        sheet = self._sheet()
        for change in changes:
            if change.alert is not None:
                sheet.add(change.alert)
        if changes:
            self._console.print(sheet.table)
        named = bool(self._asked.parcels)
        words = _say("asked" if named else "one" if total == 1 else "open", self._lang).format(total)
        self._console.print(words + self._more(len(changes), total))
        self._missing({change.parcel for change in changes})

    def change(self, change: Change, before: Change | None, now: Change | None) -> None:
        alert = change.alert or (before.alert if before else None)
        if alert is None or same_verdict(before, now):
            return
        note = self._became(change, before, now)
        if now is None and alert.status == "open" and change.alert is None:
            alert = msgspec.structs.replace(alert, actions=())
        sheet = self._sheet(heading=False)
        sheet.add(alert, note=f"{note} {moment(change.at_ms)}")
        self._console.print(sheet.table)
        sys.stdout.flush()

    def _became(self, change: Change, before: Change | None, now: Change | None) -> str:
        if now is None:
            below = change.alert is not None and change.alert.status == "open"
            return view.say("forgotten" if change.alert is None else "below" if below else "withdrawn", self._lang)
        if before is None or before.alert is None:
            return view.say("new", self._lang)
        return view.was(before.alert, self._lang)

    def shadows(self, changes: Sequence[Change], total: int | None = None) -> None:
        sheet = self._sheet(heading=total is not None)
        for change in changes:
            if change.shadow is not None:
                sheet.add_shadow(change.shadow, note=moment(change.at_ms))
        if sheet.table.row_count:
            self._console.print(sheet.table)
        if total is not None:
            self._console.print(_say("shadow", self._lang).format(total) + self._more(len(changes), total))
        sys.stdout.flush()

    def warn(self, unreadable: int) -> None:
        _warn(unreadable, self._lang)

    def _sheet(self, *, heading: bool = True) -> view.Sheet:
        return view.Sheet(
            self._lang, self._console.width, heading=heading, evidence=self._evidence, titles=self._titles
        )

    def _more(self, shown: int, total: int) -> str:
        return _say("limit", self._lang).format(shown) if total > shown else ""

    def _missing(self, found: set[str]) -> None:
        """Say of what was asked for and not found, why that may be."""
        names = found | {parcel.partition(":")[2] for parcel in found}
        for parcel in sorted(self._asked.parcels - names):
            self._console.print(_say("none", self._lang).format(parcel))
        known = self._titles.keys() | {rule.partition(".")[0] for rule in self._titles}
        for rule in [rule for rule in self._asked.rules if known and rule not in known]:
            near = get_close_matches(rule, known, 1)
            similar = _say("similar", self._lang).format(near[0]) if near else ""
            self._console.print(_say("rule", self._lang).format(rule, similar))


class Lines:
    """JSON, a message a line, as on the topic. lists: the evidence of all rules as one list, see `evidence`."""

    def __init__(self, lang: Language, *, lists: bool) -> None:
        self._lang, self._lists = lang, lists

    def hear(self, change: Change) -> None:
        pass

    def all(self, changes: Sequence[Change], total: int) -> None:
        for change in changes:
            self._line(change)

    def change(self, change: Change, before: Change | None, now: Change | None) -> None:
        if before is not None or now is not None:
            self._line(change)

    def shadows(self, changes: Sequence[Change], total: int | None = None) -> None:
        self.all(changes, len(changes))

    def warn(self, unreadable: int) -> None:
        _warn(unreadable, self._lang)

    def _line(self, change: Change) -> None:
        if change.raw:
            raw = _listed(change.alert) if self._lists and change.alert is not None else change.raw
            sys.stdout.buffer.write(raw.replace(b"\n", b" ") + b"\n")
            sys.stdout.buffer.flush()


class Rows:
    """CSV, a row for each value that a rule found, in the units of the topic. name: of the file, for people."""

    def __init__(self, lang: Language, file: IO[str], name: str) -> None:
        self._lang, self._file, self._name = lang, file, name
        self._writer = csv.DictWriter(file, CSV_COLUMNS)
        self._writer.writeheader()
        self._rows = 0

    def hear(self, change: Change) -> None:
        pass

    def all(self, changes: Sequence[Change], total: int) -> None:
        for change in changes:
            self._add(change)
        self._file.flush()
        if self._name:
            print(_say("written", self._lang).format(self._name, self._rows), file=sys.stderr)

    def change(self, change: Change, before: Change | None, now: Change | None) -> None:
        if before is not None or now is not None:
            self._add(change)
            self._file.flush()

    def shadows(self, changes: Sequence[Change], total: int | None = None) -> None:
        raise NotImplementedError("the shadow topic has no rows")

    def warn(self, unreadable: int) -> None:
        _warn(unreadable, self._lang)

    def _add(self, change: Change) -> None:
        alert = change.alert
        if alert is None:
            return
        of_alert = {
            "parcel": change.parcel, "status": alert.status, "tier": alert.tier, "score": alert.score,
            "happened_at": alert.happened_at, "detected_at": alert.detected_at,
            "jurisdiction_adcode": alert.jurisdiction_adcode, "alert_id": alert.alert_id, "revision": alert.revision,
        }  # fmt: skip
        found = evidence(alert)
        for reason in alert.reasons:
            of_rule = {
                "rule": reason.rule, "version": reason.version, "category": reason.category, "points": reason.points,
            }  # fmt: skip
            for each in [row for row in found if row["rule"] == reason.rule] or [{}]:
                row: dict[str, Any] = {**of_alert, **of_rule, **each}
                self._writer.writerow({name: _no_formula(value) for name, value in row.items()})
                self._rows += 1


def _no_formula(value: object) -> object:
    """Text that a spreadsheet would take for a formula, made plain by a quote before it; numbers stay."""
    if not isinstance(value, str) or value[:1] not in tuple("=+-@\t\r"):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _listed(alert: Alert) -> bytes:
    found: dict[str, Any] = msgspec.to_builtins(alert)
    for reason in found["reasons"]:
        del reason["evidence"]
    return msgspec.json.encode({**found, "evidence": evidence(alert)})


def _titles(rules_dir: Path | None) -> dict[str, Title]:
    """Titles of the rule files; none where they are faulty, which is for other commands to say."""
    from rules import RuleError, load_catalogue

    try:
        rules = load_catalogue(rules_dir).rules
    except RuleError:
        return {}
    return {rule.id: Title(zh=rule.title["zh"], en=rule.title["en"]) for rule in rules}


def _warn(unreadable: int, lang: Language) -> None:
    if unreadable:
        print(f"waybill: {_say('unreadable', lang).format(unreadable)}", file=sys.stderr)


def _say(key: str, lang: Language) -> str:
    return _WORDS[key][lang == "en"]
