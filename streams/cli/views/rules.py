"""How rules look on a terminal; readable on 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rules import Catalogue, Rule
from rules.engine.sql import tokens
from rules.lint.lint import Report
from rules.pages.wording import changes, expected, lines, value
from schemas.columns import COLUMNS, Column
from schemas.rulefile import LANGUAGES, PROSE, Case, in_language
from streams.files.cases import Answered, Played

WORDS = {True: "yes", False: "no", None: "unknown"}
ANSWER_STYLES = {"yes": "bold yellow", "no": "green", "unknown": "cyan"}
MODE_STYLES = {"live": "green", "shadow": "magenta", "off": "dim"}
PARCELS_MAX = 5
_WIDE = 120  # columns from which titles stand beside the id


def listing(catalogue: Catalogue, written: Catalogue) -> None:
    """All rules, two lines each, or one where there is room."""
    console = _console()
    width = max((len(rule.id) for rule in catalogue.rules), default=0)
    for _, family in groupby(catalogue.rules, lambda rule: rule.id.partition(".")[0]):
        for rule in family:
            changed = changes(written.by_id[rule.id], rule)
            head = Text.assemble((f"{rule.id:{width}}", "bold"), "  ", (f"{rule.mode:6}", MODE_STYLES[rule.mode]))
            head.append(f"  {rule.category:10}  {rule.points:3}  v{rule.version}")
            titles = Text.assemble(rule.title["zh"], "  ", (rule.title["en"], "dim"))
            if console.width >= _WIDE:
                console.print(head.append("  ").append_text(titles))
            else:
                console.print(head)
                console.print(Padding(titles, (0, 0, 0, 2)))
            for name, (before, after) in changed.items():
                note = Text(f"{name}: {value(after)} by rule_overrides, {value(before)} in the file", "yellow")
                console.print(Padding(note, (0, 0, 0, 2)))
    count = Counter[str](rule.mode for rule in catalogue.rules)
    modes = ", ".join(f"{count[mode]} {mode}" for mode in MODE_STYLES if count[mode])
    console.print(Text(f"{len(catalogue.rules)} rules: {modes}", "dim"))


def whole(rule: Rule, written: Rule, *, sql: str, reads: Sequence[str], file: Path) -> None:
    """One rule whole."""
    console = _console()
    changed = changes(written, rule)
    about = f" · {rule.category} · {rule.points} points · version {rule.version}"
    about += f" · budget {rule.budget:.1%}" if rule.budget is not None else ""
    console.print(Text.assemble((rule.id, "bold"), "  ", (rule.mode, MODE_STYLES[rule.mode]), about))
    console.print(Text(rule.title["zh"]))
    console.print(Text(rule.title["en"]))
    prose = _grid()
    for name in PROSE:
        texts = dict.fromkeys(in_language(getattr(rule, name), language).strip() for language in LANGUAGES)
        prose.add_row(Text(name, "dim"), Text("\n".join(texts)))
    prose.add_row(Text("actions", "dim"), Text(", ".join(rule.actions)))
    prose.add_row(Text("file", "dim"), Text(str(file)))
    console.print(Padding(prose, (1, 0, 0, 0)))
    _heading(console, "when")
    console.print(Padding(Text(sql.strip()), (0, 0, 0, 2)))
    if rule.limits or changed:
        _heading(console, "limits in force")
        for name, now in {**rule.limits, **{key: pair[1] for key, pair in changed.items()}}.items():
            text = Text(f"{name}  {value(now)}")
            if name in changed:
                text.append(f"  by rule_overrides; the file has {value(changed[name][0])}", "yellow")
            console.print(Padding(text, (0, 0, 0, 2)))
    _heading(console, "columns")
    for name in dict.fromkeys([*rule.evidence, *reads]):
        uses = [use for use, uses in (("read", reads), ("evidence", rule.evidence)) if name in uses]
        _column(console, COLUMNS[name], ", ".join(uses))
    _heading(console, "cases")
    for case in rule.cases:
        _case(console, case)


def findings(report: Report) -> None:
    """What lint found, by file, and the sum of it."""
    console = _console()
    for file, group in groupby(report.findings, lambda finding: finding.file):
        console.print(Text(file, "bold"))
        table = Table.grid(padding=(0, 2, 0, 0))
        for number in range(3):
            table.add_column(overflow="fold", ratio=1 if number == 2 else None)
        for found in group:
            style = "bold red" if found.severity == "error" else "yellow"
            table.add_row(Text(f"  {found.severity}", style), Text(found.field or "-"), Text(found.message))
        console.print(table)
    errors, warnings = report.count("error"), report.count("warning")
    sums = f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}" if errors or warnings else "nothing found"
    console.print(Text(f"{_counted(len(report.rules), 'rule')}: {sums}", "red" if errors else "green"))


def outcomes(played: Sequence[Played], catalogue: Catalogue, *, evidence: bool) -> None:
    """The cases by rule: what was expected and said, and the evidence of what went wrong, or of all."""
    console = _console()
    for rule_id, group in groupby(played, lambda outcome: outcome.rule):
        console.print(Text(rule_id, "bold"))
        for outcome in group:
            mark = Text("  ok    ", "green") if outcome.passed else Text("  FAIL  ", "bold red")
            console.print(_aligned(mark, Text.assemble(outcome.case, "  ", _summary(outcome))))
            shown = [parcel for parcel in outcome.parcels if not parcel.passed]
            for parcel in outcome.parcels if evidence else shown[:PARCELS_MAX] or [_telling(outcome)]:
                what = _answered(parcel, catalogue.by_id[rule_id], whole=evidence or not parcel.passed)
                console.print(_aligned(Text(" " * 8), what))
            if len(shown) > PARCELS_MAX and not evidence:
                console.print(Text(f"        … {len(shown) - PARCELS_MAX} more", "dim"))
    failed = sum(not outcome.passed for outcome in played)
    rules = len({outcome.rule for outcome in played})
    told = (
        f"{_counted(len(played), 'case')} of {_counted(rules, 'rule')}: {f'{failed} failed' if failed else 'all well'}"
    )
    console.print(Text(told, "red" if failed else "green"))


def outcome_record(outcome: Played) -> dict[str, Any]:
    """A played case as JSON has it."""
    parcels = [
        {
            "parcel": parcel.parcel,
            "expected": WORDS[parcel.expected],
            "got": WORDS[parcel.got] if parcel.judged else "not judged",
            "evidence": parcel.evidence,
        }
        for parcel in outcome.parcels
    ]
    return {"rule": outcome.rule, "case": outcome.case, "passed": outcome.passed, "parcels": parcels}


def columns() -> None:
    """The column reference."""
    console = _console()
    for column in COLUMNS.values():
        _column(console, column, column.type)


def _console() -> Console:
    # Piped output keeps the width of 80 columns, as rich would choose; COLUMNS overrides it.
    return Console(highlight=False, markup=False, emoji=False)


def _heading(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", "dim"))


def _grid() -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    return table


def _aligned(mark: Text, text: Text) -> Table:
    table = Table.grid()
    table.add_column(width=8, no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_row(mark, text)
    return table


def _column(console: Console, column: Column, note: str) -> None:
    console.print(Padding(Text.assemble((column.name, "bold"), "  ", (note, "dim")), (0, 0, 0, 2)))
    console.print(Padding(Text(column.doc), (0, 0, 0, 6)))
    if column.null:
        console.print(Padding(Text(f"null: {column.null}", "dim"), (0, 0, 0, 6)))


def _case(console: Console, case: Case) -> None:
    console.print(Padding(Text(case.name, "bold"), (0, 0, 0, 2)))
    table = Table.grid(padding=(0, 2, 0, 0))
    for number in range(3):
        table.add_column(overflow="fold", ratio=1 if number == 2 else None)
    for line in lines(case):
        fields = ", ".join(f"{name}: {item}" for name, item in line.fields) or "as by default"
        repeated = f"{line.repeat} times, one every {line.every}; " if line.repeat > 1 else ""
        table.add_row(Text(line.after), Text(line.kind), Text(f"{repeated}{fields}"))
    console.print(Padding(table, (0, 0, 0, 6)))
    answers = [Text.assemble(f"{name} " if name else "", (word, ANSWER_STYLES[word])) for name, word in expected(case)]
    until = f" by {case.until}" if case.until else ""
    console.print(Padding(Text.assemble("expect ", Text(", ").join(answers), until), (0, 0, 0, 6)))


def _summary(outcome: Played) -> Text:
    """How many parcels were to get which answer: `yes 1, no 2`."""
    count = Counter(WORDS[parcel.expected] for parcel in outcome.parcels)
    many = len(outcome.parcels) > 1
    parts = (Text(f"{word} {count[word]}" if many else word, style) for word, style in _styles(count))
    return Text(", ").join(parts)


def _styles(count: Counter[str]) -> Iterator[tuple[str, str]]:
    yield from ((word, style) for word, style in ANSWER_STYLES.items() if count[word])


def _telling(outcome: Played) -> Answered:
    """The parcel whose evidence tells most: the last that says yes, else the last of all."""
    return next((parcel for parcel in reversed(outcome.parcels) if parcel.got), outcome.parcels[-1])


def _answered(parcel: Answered, rule: Rule, *, whole: bool) -> Text:
    """What was said of a parcel, and on what. whole: all that is known, not only what `when` reads."""
    got = WORDS[parcel.got] if parcel.judged else "not judged"
    text = Text(f"{parcel.parcel.partition(':')[2]} ", "dim")
    text.append(got, "dim" if parcel.passed else "bold red")
    if not parcel.passed:
        text.append(f", expected {WORDS[parcel.expected]}", "red")
    read = {word for kind, word, _ in tokens(rule.when, rule.id) if kind == "word"}
    if parcel.evidence.get("retail"):  # goes without saying
        read.discard("retail")
    seen = ", ".join(f"{name} {value(item)}" for name, item in parcel.evidence.items() if whole or name in read)
    text.append(f": {seen}" if seen else "", "dim")
    if not parcel.passed and rule.limits:
        text.append("; " + ", ".join(f":{name} {value(limit)}" for name, limit in rule.limits.items()), "dim")
    return text


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
