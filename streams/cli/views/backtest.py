"""How a backtest looks on a terminal; readable on 80 columns."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rules import TIERS
from rules.pages.wording import value
from streams.files.backtest.difference import Cause, Change, Difference, Parcel, RuleLine, Shift, written

STYLES: dict[Change, str] = {
    "gained": "bold yellow",
    "lost": "bold red",
    "raised": "yellow",
    "lowered": "red",
    "rescored": "dim",
}
MEANINGS: dict[Change, str] = {
    "gained": "no alert under the old rules, one under the new",
    "lost": "an alert under the old rules, none under the new",
    "raised": "an alert of a higher tier",
    "lowered": "an alert of a lower tier",
    "rescored": "the same tier, another score or other reasons",
}
CAUSES_SHOWN = 8  # of each change; the page and --json have more


def report(difference: Difference, seconds: float) -> None:
    """All of it: the sides, what changed, the rules that differ, and why."""
    console = Console(highlight=False, markup=False, emoji=False)
    _read(console, difference, seconds)
    _sides(console, difference)
    console.print()
    for change, count in difference.changes.items():
        line = Text.assemble((f"{change:9}", STYLES[change] if count else "dim"), f"{count:>9,}  ")
        console.print(line.append(MEANINGS[change], "dim"))
    _rules(console, difference)
    for change, causes in groupby(difference.causes, key=lambda cause: cause.change):
        if change != "rescored":
            _causes(console, change, list(causes))
    if difference.push_refuses:
        console.print(Text("\n`waybill rules push` would refuse the new rules", "bold yellow"))
        for why in difference.push_refuses:
            console.print(Padding(Text(why), (0, 0, 0, 2), expand=False))


def _read(console: Console, difference: Difference, seconds: float) -> None:
    if difference.missing:
        console.print(Text(f"there were no {' and no '.join(difference.missing)}", "dim"))
    for what, count in difference.rejects.items():
        topic, _, reason = what.partition(": ")
        console.print(Text(f"rejected: {count:,} of {topic}: {reason}", "yellow"))
    console.print(
        f"{difference.source}: {difference.events:,} events, {sum(difference.rejects.values()):,} rejects, "
        f"{difference.parcels:,} parcels in {seconds:.1f} s",
        soft_wrap=True,
    )


def _sides(console: Console, difference: Difference) -> None:
    console.print()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    tiers = TIERS[TIERS.index(difference.emit_from) :]
    for _ in range(2 + len(tiers)):
        table.add_column(justify="right")
    table.add_row(*(Text(head, "dim") for head in ("", "", "rules", "alerts", *tiers)))
    for name, side in (("old", difference.old), ("new", difference.new)):
        folder = Text.assemble(side.folder, (f" {side.fingerprint}", "dim"))
        counts = (side.rules, sum(side.alerts.values()), *(side.alerts[tier] for tier in tiers))
        table.add_row(Text(name, "bold"), folder, *(f"{count:,}" for count in counts))
    console.print(table)


def _rules(console: Console, difference: Difference) -> None:
    differing = [line for line in difference.rules if line.differs]
    same = len(difference.rules) - len(differing)
    told = f"{same} more and their answers are equal" if differing else "every rule and its answers are equal"
    console.print(Text(f"\nRules that differ: parcels with a yes; {told}" if differing else f"\n{told}", "dim"))
    if not differing:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    for _ in range(5):
        table.add_column(justify="right")
    heads = ("", "old yes", "new yes", "added", "removed", "unknown")
    table.add_row(*(Text(head, "dim") for head in heads))
    for line in differing:
        table.add_row(Text.assemble((line.rule, "bold"), _status(line)), *line.figures())
    console.print(table)
    for line in differing:
        for name, (before, after) in line.changes.items():
            text = Text.assemble((f"{line.rule} {name}: ", "dim"), written(before), (" → ", "dim"), written(after))
            console.print(Padding(text, (0, 0, 0, 2), expand=False))


def _status(line: RuleLine) -> Text:
    return Text("" if line.status in ("same", "changed") else f" {line.status}", "magenta")


def _causes(console: Console, change: Change, causes: list[Cause]) -> None:
    console.print(Text.assemble("\n", (change, STYLES[change]), (f": {MEANINGS[change]}", "dim")))
    for cause in causes[:CAUSES_SHOWN]:
        console.print(Text.assemble((f"{cause.parcels:>9,}  ", "bold"), _shifts(cause.shifts)))
        for parcel in cause.examples:
            _example(console, parcel, {shift.rule for shift in cause.shifts})
    rest = causes[CAUSES_SHOWN:]
    if rest:
        count = sum(cause.parcels for cause in rest)
        console.print(Text(f"{count:>9,}  for {len(rest)} other causes; --html and --json have them", "dim"))


def _shifts(shifts: tuple[Shift, ...]) -> Text:
    parts = [Text.assemble(shift.rule, (f" {shift.old} → {shift.new}", "dim")) for shift in shifts]
    return Text(", ").join(parts)


def _example(console: Console, parcel: Parcel, rules: set[str]) -> None:
    """One parcel: its verdicts, and the evidence of the rules that made the difference."""
    before, after = parcel.old, parcel.new
    head = Text.assemble((parcel.parcel, "cyan"), f"  {before.tier} {before.score} → {after.tier} {after.score}")
    console.print(Padding(head, (0, 0, 0, 11), expand=False))
    told = {reason.rule: reason for reason in (*before.reasons, *after.reasons) if reason.rule in rules}
    for reason in told.values():
        seen = ", ".join(f"{name} {value(item)}" for name, item in reason.evidence.items())
        console.print(Padding(Text(f"{reason.rule}: {seen}", "dim"), (0, 0, 0, 13), expand=False))
