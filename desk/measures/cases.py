"""The data of measures: one case per clue, with its answer and the verdict behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from desk.clues.clue import Clue
from schemas.records import Feedback, Reason
from schemas.terms import Category, Outcome

FINDS = ("seizure", "violation")
NOBODY_LOOKED = ("withdrawn", "too_late", "duplicate", "out_of_reach")


@dataclass(frozen=True, slots=True)
class Case:
    """One clue. outcome None: nobody has answered yet. rules None: the answer says nothing about single rules."""

    clue: Clue
    outcome: Outcome | None = None
    rules: frozenset[str] | None = None
    unsure: frozenset[str] = frozenset()

    @property
    def asked(self) -> bool:
        """Whether somebody was asked, with or without an answer so far."""
        return self.clue.first_dispatched_at is not None and self.clue.closed_for not in NOBODY_LOOKED

    @property
    def by_chance(self) -> bool:
        """Whether it is of the random arm, by an order that stands."""
        return self.clue.p is not None and self.clue.order_standing == "open"

    @property
    def looked(self) -> bool:
        """Whether somebody looked at the parcel and said what was found."""
        return self.outcome is not None and self.outcome != "transferred"

    @property
    def found(self) -> bool:
        """Whether it was a seizure or a violation."""
        return self.outcome in FINDS

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Rules behind the alert, as it was when the clue was opened."""
        return self.clue.alert.reasons if self.clue.alert is not None else ()

    @property
    def catalogue(self) -> str:
        """Fingerprint of the rules behind the alert."""
        return self.clue.alert.catalogue if self.clue.alert is not None else ""

    def judged(self, rule: str) -> bool:
        """Whether the answer says if this rule, which is one of the reasons, was right."""
        return self.looked and self.rules is not None and rule not in self.unsure

    def credits(self, rule: str) -> bool:
        """Whether it was a find and the rule was right."""
        return self.found and self.rules is not None and rule in self.rules

    def decisive(self, rule: str) -> bool:
        """Whether there would be no alert without this rule."""
        points = sum(reason.points for reason in self.reasons if reason.rule != rule)
        return self.clue.limit is not None and points < self.clue.limit

    def of_category(self, category: Category) -> bool | None:
        """Whether it counts as a find of a category; None: it does not count for the category.

        If the answer names the rules that were right, they decide. If not, only an alert with reasons of a single
        category counts, for that category.
        """
        rules = {reason.rule for reason in self.reasons if reason.category == category}
        if not self.looked or not rules:
            return None
        if self.rules is None:
            return self.found if len(rules) == len(self.reasons) else None
        if not any(self.judged(rule) for rule in rules):
            return None
        return any(self.credits(rule) for rule in rules)


def cases(clues: Iterable[Clue], feedback: Mapping[str, Feedback], since_ms: int = 0) -> Iterator[Case]:
    """Cases of clues opened since `since_ms`.

    feedback: by alert id, the valid answer on the topic. It counts if the clue has no answer, because a station may
    answer without the desk.
    """
    for clue in clues:
        if clue.opened_at < since_ms:
            continue
        said = clue.answer or feedback.get(clue.clue_id)
        if said is None or (clue.closed_for in NOBODY_LOOKED and clue.answer is None and clue.clue_id not in feedback):
            yield Case(clue)
        else:
            rules = None if said.rules is None else frozenset(said.rules)
            yield Case(clue, said.outcome, rules, frozenset(said.unsure_rules or ()))
