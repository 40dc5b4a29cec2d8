"""The page of the rules in force: the set that was pushed, who judges by it, and each rule.

Limits are shown to those whose role allows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from desk.rulebook import InForce
from desk.web.core import Desk
from desk.web.rendering import page
from desk.web.users import User
from schemas.rulefile import Rule
from schemas.rulesets import RuleSet
from streams.rulesets.reading import changes


@dataclass(frozen=True, slots=True)
class Past:
    """A set that was pushed, and how many rules it added, changed and removed; None: it is not known."""

    pushed: RuleSet
    news: Mapping[str, int] | None


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page."""
    found = desk.in_force
    return page(
        request, "rules.html", user, found=found, held=found.held, categories=by_category(found),
        history=history(found.sets), limits=user.may("limits"),
    )  # fmt: skip


def by_category(found: InForce) -> dict[str, list[Rule]]:
    """Rules by category, those that are held back first, then by id."""
    categories: dict[str, list[Rule]] = {}
    held = found.held
    for rule in sorted(found.catalogue.rules, key=lambda each: (each.id not in held, each.id)):
        categories.setdefault(rule.category, []).append(rule)
    return categories


def history(sets: Sequence[RuleSet]) -> list[Past]:
    """The sets that are kept, the newest first."""
    by_number = {each.number: each for each in sets}
    found = []
    for each in sets:
        before = by_number.get(each.number - 1)
        known = before is not None and before.files and each.files
        news = {word: len(names) for word, names in changes(before, each).items()} if known else None
        found.append(Past(each, news))
    return found
