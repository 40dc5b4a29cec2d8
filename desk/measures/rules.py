"""How often each rule was right: present, decisive, credited, with interval and worst case, by catalogue."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import msgspec
from msgspec.structs import replace

from desk.measures.cases import Case
from desk.measures.proportions import benjamini_hochberg, difference_p, jeffreys_mean, wilson, worst_case
from schemas.terms import Category

FEW: Final = 10  # with fewer answers there is no figure
SOME: Final = 30  # with fewer answers the figure is marked as uncertain


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A proportion to show: `found` of `of`. Without enough answers there is no figure, and never a 0.

    basis   none, few (no figure), some (uncertain) or enough.
    low, high       95 % Wilson interval.
    worst_low, worst_high   bounds over all that were asked, whatever the missing answers would be.
    """

    found: int
    of: int
    asked: int
    basis: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    answered_share: float | None = None
    worst_low: float | None = None
    worst_high: float | None = None


def share(found: int, of: int, asked: int | None = None) -> Share:
    """The proportion with its intervals. asked: all that could have been counted; default `of`."""
    asked = of if asked is None else asked
    basis = "none" if of == 0 else "few" if of < FEW else "some" if of < SOME else "enough"
    bounds = worst_case(found, of, asked)
    answered = None if asked == 0 else of / asked
    worst = (None, None) if bounds is None else (bounds.low, bounds.high)
    interval = wilson(found, of) if of >= FEW else None
    figure = (None, None, None) if interval is None else (found / of, interval.low, interval.high)
    return Share(
        found=found, of=of, asked=asked, basis=basis, share=figure[0], low=figure[1], high=figure[2],
        answered_share=answered, worst_low=worst[0], worst_high=worst[1],
    )  # fmt: skip


class RuleMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a rule under one catalogue.

    present     clues with it among the reasons.
    decisive    clues among them without an alert if the rule did not exist.
    credited    answers with a find that call the rule right.
    precision   credited among the answers that judged it.
    rank        mean of Jeffreys' posterior, for sorting.
    differs     its precision differs from the other clues of its category; at most a tenth of these marks are wrong.
    """

    rule: str
    version: int
    category: Category
    catalogue: str
    present: int
    decisive: int
    credited: int
    precision: Share
    rank: float
    differs: bool = False


def rule_measures(cases: Sequence[Case]) -> list[RuleMeasure]:
    """Every rule of every catalogue that is a reason of some clue, the most doubtful first."""
    by_rule: defaultdict[tuple[str, str, int, Category], list[Case]] = defaultdict(list)
    for case in cases:
        for reason in case.reasons:
            by_rule[case.catalogue, reason.rule, reason.version, reason.category].append(case)
    measures = []
    for (catalogue, rule, version, category), found in by_rule.items():
        credited = sum(case.credits(rule) for case in found)
        judged = sum(case.judged(rule) for case in found)
        measures.append(
            RuleMeasure(
                rule=rule,
                version=version,
                category=category,
                catalogue=catalogue,
                present=len(found),
                decisive=sum(case.decisive(rule) for case in found),
                credited=credited,
                precision=share(credited, judged, sum(case.asked or case.looked for case in found)),
                rank=jeffreys_mean(credited, judged),
            )
        )
    marked = _marked(measures, cases)
    return sorted(marked, key=lambda each: (each.category, each.rank, each.rule, each.version, each.catalogue))


def _marked(measures: Sequence[RuleMeasure], cases: Sequence[Case]) -> list[RuleMeasure]:
    """Mark the measures that differ from the rest of their category (Benjamini–Hochberg at 10 %)."""
    p_values = [_difference(measure, cases) for measure in measures]
    known = [p for p in p_values if p is not None]
    marks = iter(benjamini_hochberg(known))
    return [
        replace(measure, differs=p is not None and next(marks)) for measure, p in zip(measures, p_values, strict=True)
    ]


def _difference(measure: RuleMeasure, cases: Sequence[Case]) -> float | None:
    if measure.precision.basis in ("none", "few"):
        return None
    others = [case for case in cases if all(reason.rule != measure.rule for reason in case.reasons)]
    answers = [found for case in others if (found := case.of_category(measure.category)) is not None]
    return difference_p(measure.credited, measure.precision.of, sum(answers), len(answers))


class Together(msgspec.Struct, frozen=True, kw_only=True):
    """Two rules that are reasons of the same clues: numbers of clues with both, and with each."""

    first: str
    second: str
    both: int
    first_present: int
    second_present: int


def together(cases: Sequence[Case]) -> list[Together]:
    """Pairs of rules that fire together, the most frequent first. Measures of a rule do not correct for such pairs."""
    alone: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    for case in cases:
        rules = sorted({reason.rule for reason in case.reasons})
        alone.update(rules)
        pairs.update(combinations(rules, 2))
    return [
        Together(first=a, second=b, both=n, first_present=alone[a], second_present=alone[b])
        for (a, b), n in sorted(pairs.items(), key=lambda each: (-each[1], each[0]))
    ]
