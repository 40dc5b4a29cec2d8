"""What a backtest reports: the difference of two catalogues over the same parcels. `--json` shows it as it is here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from rules import TIERS, Catalogue, Rule
from rules.pages.wording import value
from schemas.records import Reason, Title

Change = Literal["gained", "lost", "raised", "lowered", "rescored"]
"""An alert only under the new rules, only under the old ones, under both in another tier, or with another score."""
CHANGES: tuple[Change, ...] = ("gained", "lost", "raised", "lowered", "rescored")
CAUSES_MAX = 50  # of each change


class Verdict(Struct, frozen=True):
    """What one catalogue says of a parcel."""

    tier: str
    """None, low, medium, high or extreme, as `rules.TIERS` has them."""
    score: int
    reasons: tuple[Reason, ...]
    """As its alert would have them, also where none goes out."""


class Parcel(Struct, frozen=True):
    """A parcel of which the catalogues say different things."""

    parcel: str
    """CARRIER:NUMBER."""
    change: Change
    old: Verdict
    new: Verdict


class Shift(Struct, frozen=True, order=True):
    """A rule that earns a parcel other points than before."""

    rule: str
    old: int
    new: int


class Cause(Struct, frozen=True):
    """Parcels with the same change for the same reason."""

    change: Change
    shifts: tuple[Shift, ...]
    parcels: int
    examples: tuple[Parcel, ...]
    """A sample, the same each time."""


class Counts(Struct, frozen=True):
    """What a rule answers, in parcels."""

    yes: int
    no: int
    unknown: int


class RuleLine(Struct, frozen=True):
    """One rule in both catalogues."""

    rule: str
    title: Title
    status: Literal["added", "removed", "changed", "same"]
    changes: dict[str, tuple[Any, Any]]
    """Old and new of what is not the same in its file: points, mode, when, limits.name, ..."""
    old: Counts | None
    """None: not there, or off."""
    new: Counts | None
    yes_added: int
    """Parcels of which it says yes, and did not."""
    yes_removed: int
    """Parcels of which it said yes, and does not."""

    @property
    def differs(self) -> bool:
        return self.status != "same" or bool(self.yes_added or self.yes_removed) or self.old != self.new

    def figures(self) -> list[str]:
        """Old yes, new yes, yes added, yes removed and unknown, to show; a dash where the rule does not answer."""
        both = self.old, self.new
        yes = ["–" if counts is None else f"{counts.yes:,}" for counts in both]
        unknown = ["–" if counts is None else f"{counts.unknown:,}" for counts in both]
        return [*yes, f"{self.yes_added:,}", f"{self.yes_removed:,}", " → ".join(dict.fromkeys(unknown))]


class Side(Struct, frozen=True):
    """One catalogue."""

    folder: str
    fingerprint: str
    rules: int
    alerts: dict[str, int]
    """Open ones, by tier."""


class Difference(Struct, frozen=True):
    """The whole report."""

    source: str
    events: int
    rejects: dict[str, int]
    """Lines that could not be read, by topic and reason: `waybill.scans: invalid_json`."""
    missing: list[str]
    """Names of the kinds of events that had no file."""
    unreadable: list[str]
    """Topics of which most lines were rejected."""
    parcels: int
    emit_from: str
    old: Side
    new: Side
    changes: dict[Change, int]
    """Parcels."""
    tiers: dict[str, dict[str, int]]
    """Parcels by old tier and, within it, by new tier; those without an alert too."""
    rules: list[RuleLine]
    causes: list[Cause]
    """In the order of CHANGES, the most frequent first, CAUSES_MAX of each."""
    causes_left_out: int
    push_refuses: list[str]
    """Why `waybill rules push` would refuse the new rules as they are; empty: it would not."""


def rule_lines(
    old: Catalogue, new: Catalogue, answers: Mapping[str, tuple[Counts | None, Counts | None, int, int]]
) -> list[RuleLine]:
    """The rules of both catalogues, those that are off included, sorted by id. answers: what was counted, by rule."""
    lines = []
    for name in sorted({*old.by_id, *new.by_id}):
        before, after = old.by_id.get(name), new.by_id.get(name)
        shown = after or before
        assert shown is not None
        was, now, added, removed = answers.get(name, (None, None, 0, 0))
        changes = {} if before is None or after is None else _changes(before, after)
        status: Literal["added", "removed", "changed", "same"]
        status = "added" if before is None else "removed" if after is None else "changed" if changes else "same"
        title = Title(zh=shown.title["zh"], en=shown.title["en"])
        lines.append(RuleLine(name, title, status, changes, was, now, added, removed))
    return lines


def _changes(before: Rule, after: Rule) -> dict[str, tuple[Any, Any]]:
    """What is written otherwise, as far as it can change a verdict or what is done about it."""
    names = ("version", "mode", "category", "points", "when", "actions", "evidence")
    found = {name: (getattr(before, name), getattr(after, name)) for name in names}
    for name in sorted({*before.limits, *after.limits}):
        found[f"limits.{name}"] = before.limits.get(name), after.limits.get(name)
    return {name: (was, now) for name, (was, now) in found.items() if was != now}


def written(item: object) -> str:
    """One side of a change, on one line; a dash for what is not there."""
    if item is None:
        return "–"
    if isinstance(item, str):
        return " ".join(item.split())
    return value(list(item) if isinstance(item, tuple) else item)


def by_tier(tiers: Mapping[str, Mapping[str, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """Parcels in each tier under the old rules, and under the new ones."""
    old: dict[str, int] = {tier: sum(tiers[tier].values()) for tier in TIERS}
    return old, {tier: sum(row[tier] for row in tiers.values()) for tier in TIERS}
