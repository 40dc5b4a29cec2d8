"""One rule file, read as far as possible, so that all its faults are reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from rules.engine.cases import timelines
from rules.engine.catalogue import check_rule, load_rule, told
from rules.engine.contract import RuleError
from rules.engine.reach import PENDING, known_values, misfits, reach
from rules.engine.reading import read_yaml
from rules.engine.sql import compile_when, spelled_out, tokens
from schemas.columns import COLUMNS
from schemas.rulefile import LANGUAGES, PROSE, Case, Event, Rule, missing_languages

Severity = Literal["error", "warning"]
TODO: Final = "TODO"
"""Marks what is still to fill in, in any text of a rule or at the start of a limit's name."""


OVERRIDES: Final = "rule_overrides"
"""Takes the place of the file name if a setting is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault and its place. `rule` is empty if it belongs to no rule."""

    file: str
    rule: str
    field: str
    severity: Severity
    message: str


FIELDS: Final = {about.name: about for about in msgspec.structs.fields(Rule) if about.name != "id"}
STAND_IN: Final[dict[str, Any]] = {
    "title": {"zh": "规则", "en": "Rule"},
    "category": "suspicion",
    "points": 1,
    "why": "-",
    "misses": "-",
    "triage": "-",
    "actions": ("open_box",),
    "when": "retail",
    "evidence": ("retail",),
    "cases": (Case(name="-", events=[Event(shipment={})], expect="yes"),),
}
"""Valid values to use for missing or wrong ones, so that lint can check the rest of the file."""


@dataclass
class Draft:
    """One file, read as far as possible."""

    id: str
    file: str
    data: bytes
    values: dict[str, Any] = field(default_factory=dict)
    """The fields that have the right type."""
    findings: list[Finding] = field(default_factory=list)

    def add(self, severity: Severity, where: str, message: str) -> None:
        self.findings.append(Finding(self.file, self.id, where, severity, message))

    def refused(self, error: RuleError) -> None:
        """Add an error of the loader, unless one was found there already."""
        if error.field not in {finding.field for finding in self.findings if finding.severity == "error"}:
            self.add("error", error.field, error.problem)

    def read(self) -> None:
        """Take over the fields that have the right type."""
        try:
            raw = read_yaml(self.data, self.file)
        except RuleError as error:
            self.refused(error)
            return
        for name in raw:
            if name not in FIELDS:
                close = difflib.get_close_matches(name, FIELDS, n=1)
                self.add("error", name, "not a field of a rule" + (f", perhaps {close[0]}" if close else ""))
        for name, about in FIELDS.items():
            if name not in raw:
                if about.required:
                    self.add("error", name, "missing")
                continue
            try:
                self.values[name] = msgspec.convert(raw[name], about.type)
            except msgspec.ValidationError as error:
                problem, place = told(error)
                self.add("error", name + (place if place.startswith("[") or not place else f".{place}"), problem)

    def check(self, overrides: Mapping[str, Any]) -> None:
        """Check the whole file."""
        if not self.values:
            return
        rule = Rule(id=self.id, **(STAND_IN | self.values))
        self._texts(rule)
        self._limits(rule)
        self._evidence(rule)
        self._cases(rule)
        try:
            check_rule(rule, self.file)
        except RuleError as error:
            self.refused(error)
            if error.field.startswith("limits"):  # an error about its SQL would only confuse
                return
        self._when(rule)
        if any(finding.severity == "error" and TODO not in finding.message for finding in self.findings):
            return
        try:
            _, written = load_rule(self.id, self.data, self.file)
        except RuleError as error:
            self.refused(error)
            return
        try:
            changed, expression = load_rule(self.id, self.data, self.file, overrides)
        except RuleError as error:
            self.findings.append(Finding(OVERRIDES, self.id, error.field, "error", error.problem))
            return
        if changed.limits == rule.limits:
            return
        can = reach(changed, expression)
        if not can.yes and can.certain and reach(rule, written).yes:
            message = "with these limits the rule never says yes"
            self.findings.append(Finding(OVERRIDES, self.id, self.id, "warning", message))

    def says(self) -> str:
        """`when` with its limits, the same however it is broken into lines; empty if it cannot be read."""
        when, limits = self.values.get("when", ""), self.values.get("limits", {})
        try:
            return " ".join(spelled_out(when, limits, self.file).split())
        except RuleError:
            return ""

    def _texts(self, rule: Rule) -> None:
        told = {name: getattr(rule, name) for name in ("title", *PROSE)}
        texts = {
            f"{name}.{language}" if language else name: text
            for name, said in told.items()
            for language, text in ({"": said} if isinstance(said, str) else said).items()
        }
        texts |= {f"cases[{i}].name": case.name for i, case in enumerate(rule.cases)}
        for where, text in texts.items():
            if not text.strip():
                self.add("error", where, "says nothing")
            elif TODO in text:
                self.add("error", where, f"still to fill in ({TODO})")
        for name, said in told.items():
            for language in missing_languages(said):
                self.add("error", f"{name}.{language}", "missing")
        for where, text in texts.items():
            wanted = where.rpartition(".")[2]
            if wanted in LANGUAGES and bool(_HAN.search(text)) != (wanted == "zh"):
                self.add("warning", where, f"is not in {'Chinese' if wanted == 'zh' else 'English'}")

    def _limits(self, rule: Rule) -> None:
        if not {"when", "limits"} & self.values.keys():
            return
        words = self._words(rule)
        asked = {text[1:] for kind, text, _ in words if kind == "limit"}
        for name in sorted(asked - rule.limits.keys()):
            self.add("error", f"limits.{name}", "missing, `when` asks for it")
        for name, limit in rule.limits.items():
            if "when" in self.values and words and name not in asked:
                self.add("error", f"limits.{name}", "unused, `when` does not ask for it")
            if name.upper().startswith(TODO):
                self.add(
                    "error",
                    f"limits.{name}",
                    f"still to fill in ({TODO}): name it after what it bounds, such as weight_g_min",
                )
            elif isinstance(limit, int | float) and not name.endswith(("_min", "_max")):
                self.add("warning", f"limits.{name}", "its name does not end with its bound, _min or _max")

    def _when(self, rule: Rule) -> None:
        """Compile it, and find out which answers it can give."""
        words = self._words(rule)
        asked = {text[1:] for kind, text, _ in words if kind == "limit"}
        if "when" not in self.values or asked - rule.limits.keys():
            return
        if words:  # without them it is not known which limits it uses
            rule = msgspec.structs.replace(rule, limits={name: rule.limits[name] for name in asked})
        try:
            expression = compile_when(rule.when, rule.limits, self.file)
        except RuleError as error:
            unknown = [name for name in self._names(rule) if name in error.problem and name not in COLUMNS]
            self.add("error", error.field, error.problem + (_perhaps(unknown) if "documented" in error.problem else ""))
            return
        for column, text in misfits(expression):
            values = ", ".join(known_values(column)) or "other texts"
            self.add("warning", "when", f"{column} is never '{text}', it holds {values}")
        reads = set(expression.meta.root_names())
        can = reach(rule, expression)
        if not can.yes and can.certain:
            self.add("warning", "when", f"never says yes: tried on {can.tried:,} rows of values around its limits")
        if not can.no and can.certain:
            self.add("warning", "when", f"never says no: tried on {can.tried:,} rows of values around its limits")
        pending = sorted(name for name in reads if PENDING in COLUMNS[name].null)
        if pending and not reads & {"retail", "customer_type"}:
            self.add("warning", "when", f"{pending[0]} is known of retail parcels only: begin with `retail AND`")
        if "cases" in self.values and can.unknown and None not in self._shown(rule):
            self.add("error", "cases", f"none shows when it is unknown: add one{_UNREGISTERED}")

    def _evidence(self, rule: Rule) -> None:
        if "evidence" not in self.values:
            return
        for name in rule.evidence:
            if name not in COLUMNS:
                self.add("error", "evidence", f"{name} is not among the documented columns{_perhaps([name])}")
        if not set(rule.evidence) <= COLUMNS.keys():
            return
        reads = {name for name in self._names(rule) if name in COLUMNS and COLUMNS[name].type != "boolean"}
        compared = set(_COMPARED.findall(rule.when)) & COLUMNS.keys()
        for name in sorted(compared - set(rule.evidence)):
            self.add("warning", "evidence", f"does not show {name}, which the rule holds against a limit")
        if reads and not reads & set(rule.evidence) and not compared:
            self.add("warning", "evidence", f"shows nothing that the rule reads ({', '.join(sorted(reads))})")

    def _cases(self, rule: Rule) -> None:
        if "cases" not in self.values:
            return
        shown = self._shown(rule, tell=True)
        if True not in shown:
            self.add("error", "cases", "none shows it saying yes")
        if False not in shown:
            self.add("error", "cases", "none shows it saying no: add the nearest neighbour on which it is quiet")

    def _shown(self, rule: Rule, *, tell: bool = False) -> set[bool | None]:
        """Answers that the cases expect. tell: report cases that cannot be played."""
        shown: set[bool | None] = set()
        for i, case in enumerate(rule.cases):
            try:
                (timeline,) = timelines(msgspec.structs.replace(rule, cases=(case,)))
                shown |= set(timeline.expected.values())
            except RuleError as error:
                if tell:
                    self.add("error", error.field.replace("cases[0]", f"cases[{i}]", 1), error.problem)
        return shown

    def _names(self, rule: Rule) -> list[str]:
        return [text for kind, text, _ in self._words(rule) if kind == "word"]

    def _words(self, rule: Rule) -> list[tuple[str, str, int]]:
        try:
            return list(tokens(rule.when, self.file))
        except RuleError:  # compiling says so
            return []


_UNREGISTERED: Final = ", such as a parcel without a shipment record, `events: [{scan: {scan_type: arrived}}]`"
_HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_COMPARED: Final = re.compile(r"(\w+)\s*(?:>=|<=|>|<)\s*:")


def _perhaps(names: list[str]) -> str:
    """Documented columns with similar names, as a hint."""
    close = [match for name in names for match in difflib.get_close_matches(name.lower(), COLUMNS, n=1)]
    return f"; perhaps {', '.join(close)}" if close else ""
