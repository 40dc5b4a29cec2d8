"""Parts of a rule as text for readers, on a terminal and on a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rules.engine.contract import SETTABLE
from schemas.rulefile import Answer, Case, Event, Rule


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a case: when it happens, what it is, and what differs from the quiet default."""

    after: str
    kind: str
    fields: tuple[tuple[str, str], ...]
    repeat: int
    every: str


def lines(case: Case) -> Iterator[Line]:
    """The events of a case, as written."""
    for event in case.events:
        kind = next((name for name in _kinds(event) if getattr(event, name) is not None), "")
        given: dict[str, Any] = getattr(event, kind) if kind else {}
        fields = tuple((name, value(item)) for name, item in given.items())
        yield Line(event.after, kind, fields, event.repeat, event.every)


def expected(case: Case) -> list[tuple[str, Answer]]:
    """Parcels and the answer expected for each; an empty name stands for all of them."""
    return [("", case.expect)] if isinstance(case.expect, str) else list(case.expect.items())


def value(item: object) -> str:
    """A value as rule files write it: words without quotes, unless that would hide something."""
    if isinstance(item, str) and item.strip() == item and item:
        return item
    return json.dumps(item, ensure_ascii=False)


def changes(written: Rule, rule: Rule) -> dict[str, tuple[Any, Any]]:
    """What the overrides of a deployment change, by name: the value in the file, and the value in force."""
    found = {name: (limit, rule.limits[name]) for name, limit in written.limits.items() if rule.limits[name] != limit}
    for name in SETTABLE:
        if getattr(written, name) != getattr(rule, name):
            found[name] = getattr(written, name), getattr(rule, name)
    return found


def _kinds(event: Event) -> list[str]:
    """Fields of the event that hold a record."""
    return [name for name in event.__struct_fields__ if name not in {"after", "repeat", "every"}]
