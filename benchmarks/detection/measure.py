"""What a stream's alerts are worth: recall of every rule, precision at a budget, evasion found, false hits.

The unit is the case, not the parcel: parcels of one case are alike. A case is found if an alert on a parcel that
completes it names the rule, and raised if that alert is at least medium, which is what goes out by default.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import polars as pl

from benchmarks.detection.play import Played, Verdict, ranked
from benchmarks.detection.world import ALERT_POINTS, earned
from desk.measures.proportions import wilson
from rules import Catalogue
from schemas.terms import Category

BUDGETS: Final = (1e-6, 1e-5, 1e-4)
GOAL: Final = 0.95


class Rate(msgspec.Struct, frozen=True):
    """So many of so many, with the share and its 95 % interval (Wilson); None without any."""

    found: int
    of: int
    share: float | None = None
    low: float | None = None
    high: float | None = None


def rate(found: int, of: int) -> Rate:
    """A share with its interval."""
    interval = wilson(found, of)
    return Rate(found, of) if interval is None else Rate(found, of, found / of, interval.low, interval.high)


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, or one documented group of rules. points: what they earn together, nothing in shadow.

    recall            cases of which an alert names the rule.
    raised            cases with an alert from medium on.
    before_departure  of the cases found whose parcel departs, those found before it did.
    """

    name: str
    category: Category | None = None
    points: int
    recall: Rate
    raised: Rate
    before_departure: Rate


def recalls(planted: pl.DataFrame, played: Played, catalogue: Catalogue) -> list[Recall]:
    """Every rule of the catalogue, in its order; one without cases has 0 of 0.

    Cases that are too weak for an alert, alone, are left out: such a rule is measured in the company it is meant for.
    A rule in shadow is named by shadow records.
    """
    points = earned(catalogue)
    shadow = {rule.id for rule in catalogue.rules if rule.mode == "shadow"}
    complete: defaultdict[str, defaultdict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in planted.filter(pl.col("kind") == "pattern").iter_rows(named=True):
        alerts = sum(points.get(rule, 0) for rule in row["rules"]) + _new_sender(row, points) >= ALERT_POINTS
        for rule in row["rules"]:
            if alerts or rule in shadow:
                complete[rule][row["case"]].append(row["parcel"])
    return [
        _recall(rule.id, (rule.id,), complete[rule.id], played, points[rule.id], rule.category)
        for rule in catalogue.rules
    ]


def _new_sender(row: Mapping[str, list[str]], points: Mapping[str, int]) -> int:
    """Patterns of one parcel have a sender of their own, whose first parcel it is, whether they say so or not."""
    rule = "sender.first_seen"
    return 0 if rule in row["rules"] or rule in row["quiet"] else points.get(rule, 0)


def group_recalls(planted: pl.DataFrame, played: Played, groups: Iterable[str], catalogue: Catalogue) -> list[Recall]:
    """Documented groups: found if one alert names all their rules."""
    points = earned(catalogue)
    found = []
    for name in groups:
        complete: defaultdict[int, list[str]] = defaultdict(list)
        rows = planted.filter((pl.col("pattern") == name) & (pl.col("kind") == "pattern"))
        rules: tuple[str, ...] = ()
        for row in rows.iter_rows(named=True):
            complete[row["case"]].append(row["parcel"])
            rules = tuple(row["rules"]) if not rules else tuple(rule for rule in rules if rule in row["rules"])
        found.append(_recall(name, rules, complete, played, sum(points[rule] for rule in rules), None))
    return found


def _recall(
    name: str, rules: Sequence[str], cases: Mapping[int, list[str]], played: Played, points: int,
    category: Category | None,
) -> Recall:  # fmt: skip
    found = raised = early = departed = 0
    for parcels in cases.values():
        named = {
            parcel: max(played.named_at[parcel, rule] for rule in rules)
            for parcel in parcels
            if all((parcel, rule) in played.named_at for rule in rules)
        }
        found += bool(named)
        raised += any((parcel, "medium") in played.raised_at for parcel in named)
        left = {parcel: played.left_at[parcel] for parcel in named if parcel in played.left_at}
        departed += bool(left)
        early += any(named[parcel] <= at for parcel, at in left.items())
    return Recall(
        name=name, category=category, points=points, recall=rate(found, len(cases)), raised=rate(raised, len(cases)),
        before_departure=rate(early, departed),
    )  # fmt: skip


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """Of the alerts with reasons of a category, those with the highest scores: how many are on guilty parcels.

    at_rank   exactly so many as the budget allows, ties put in order by hash.
    limit     the lowest score that kept within the budget on the earlier stream; 101: none did.
    at_limit  all that reach this limit, on the later stream.
    """

    category: Category
    budget: float
    at_rank: Rate
    limit: int
    at_limit: Rate


def precisions(
    test: Played, tune: Played, guilty: Mapping[str, str], catalogue: Catalogue, category: Category
) -> list[Precision]:
    """Precision at each budget. guilty: category by guilty parcel of the test."""
    of_category = {rule.id for rule in catalogue.rules if rule.category == category}
    standing = _of(test.standing, of_category)
    order = ranked(test, standing)
    before = sorted((verdict.score for verdict in _of(tune.standing, of_category).values()), reverse=True)

    def right(parcels: Sequence[str]) -> Rate:
        return rate(sum(guilty.get(parcel) == category for parcel in parcels), len(parcels))

    found = []
    for budget in BUDGETS:
        limit = limit_for(before, budget * tune.parcels)
        reach = [parcel for parcel in order if standing[parcel].score >= limit]
        found.append(
            Precision(
                category=category,
                budget=budget,
                at_rank=right(order[: round(budget * test.parcels)]),
                limit=limit,
                at_limit=right(reach),
            )
        )
    return found


def limit_for(scores: Sequence[int], most: float) -> int:
    """The lowest score that at most `most` of these reach; 101 if too many have the highest. scores: falling."""
    for score in sorted(set(scores)):
        if sum(each >= score for each in scores) <= most:
            return score
    return 101


def _of(standing: Mapping[str, Verdict], rules: set[str]) -> dict[str, Verdict]:
    return {parcel: verdict for parcel, verdict in standing.items() if rules.intersection(verdict.rules)}


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """Cases of one kind of evasion, or of one kind of look-alike: how many have an alert at low or above, at medium."""

    name: str
    low: Rate
    medium: Rate


def hits(planted: pl.DataFrame, played: Played, kind: str) -> list[Hits]:
    """Every pattern of a kind, in the order of planting; cases, of which one parcel is enough."""
    cases: dict[str, defaultdict[int, list[str]]] = {}
    for row in planted.filter(pl.col("kind") == kind).sort("case").iter_rows(named=True):
        cases.setdefault(row["pattern"], defaultdict(list))[row["case"]].append(row["parcel"])
    return [
        Hits(
            name=name,
            low=rate(sum(_raised(each, played, "low") for each in of.values()), len(of)),
            medium=rate(sum(_raised(each, played, "medium") for each in of.values()), len(of)),
        )
        for name, of in sorted(cases.items())
    ]


def _raised(parcels: Iterable[str], played: Played, tier: str) -> bool:
    return any((parcel, tier) in played.raised_at for parcel in parcels)


class Ordinary(msgspec.Struct, frozen=True, kw_only=True):
    """Parcels of ordinary traffic, and those with an alert that stands at the end."""

    low: Rate
    medium: Rate
    high: Rate


def ordinary(planted: pl.DataFrame, played: Played) -> Ordinary:
    """How much the rules say of ordinary traffic."""
    watched = set(planted["parcel"].to_list())
    scores = [verdict.score for parcel, verdict in played.standing.items() if parcel not in watched]
    of = played.parcels - len(watched)
    low, medium, high = (rate(sum(score >= least for score in scores), of) for least in (20, 40, 60))
    return Ordinary(low=low, medium=medium, high=high)
