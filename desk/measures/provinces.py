"""Whether origin decides who is looked at: rates by province of acceptance, and which differ from the rest.

A priority list of places makes some provinces alerted more often. That is right only as far as more is found there, so
both rates stand side by side. What is less than 30 is not shown: such a cell says nothing, and may be about one person.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from desk.measures.cases import Case
from desk.measures.proportions import benjamini_hochberg, difference_p
from desk.measures.rules import SOME, Share, share
from schemas.desk import Tally


class Accepted(NamedTuple):
    """Parcels accepted in a province, and those of them with an open alert."""

    parcels: int
    alerts: int


class ProvinceMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """One province, by the first two digits of its code. None: fewer than 30, so not shown.

    alerted     open alerts ÷ parcels accepted there.
    confirmed   finds of suspicion ÷ answers that judged it.
    ..._differs it is not that of the other provinces; of those so marked, at most a tenth wrongly.
    """

    province: str
    alerted: Share | None
    alerted_differs: bool
    confirmed: Share | None
    confirmed_differs: bool


class Disparity(msgspec.Struct, frozen=True, kw_only=True):
    """All provinces of which there is something to show, by code. hidden: those of which there is not."""

    provinces: list[ProvinceMeasure]
    hidden: int


def disparity(cases: Sequence[Case], accepted: Mapping[str, Accepted]) -> Disparity:
    """Rates by province of acceptance. accepted: by province, from the tallies."""
    of_parcels = {place: (each.alerts, each.parcels) for place, each in accepted.items()}
    answers: defaultdict[str, list[bool]] = defaultdict(list)
    for case in cases:
        origin = case.clue.alert.pickup_adcode if case.clue.alert is not None else None
        if origin is not None and (found := case.of_category("suspicion")) is not None:
            answers[origin[:2]].append(found)
    of_answers = {place: (sum(found), len(found)) for place, found in answers.items()}
    every = sorted({*of_parcels, *of_answers})
    marked, also_marked = differing(of_parcels), differing(of_answers)
    shown = [
        ProvinceMeasure(
            province=place,
            alerted=_cell(of_parcels, place),
            alerted_differs=place in marked,
            confirmed=_cell(of_answers, place),
            confirmed_differs=place in also_marked,
        )
        for place in every
        if _cell(of_parcels, place) or _cell(of_answers, place)
    ]
    return Disparity(provinces=shown, hidden=len(every) - len(shown))


def differing(counts: Mapping[str, tuple[int, int]]) -> set[str]:
    """Those of at least 30 whose share is not that of all others together (Benjamini–Hochberg at 10 %).

    counts: found, and of how many.
    """
    found, of = (sum(each[i] for each in counts.values()) for i in (0, 1))
    p_values = {
        name: p
        for name, (x, n) in counts.items()
        if n >= SOME and (p := difference_p(x, n, found - x, of - n)) is not None
    }
    marks = benjamini_hochberg(list(p_values.values()))
    return {name for name, mark in zip(p_values, marks, strict=True) if mark}


def accepted_by_province(tallies: Iterable[Tally], places: Mapping[str, str], since_day: str) -> dict[str, Accepted]:
    """Add up tallies, the newest of each key, from a day on (YYYY-MM-DD). places: code by outlet; unknown ones count
    nowhere.
    """
    parcels: Counter[str] = Counter()
    alerts: Counter[str] = Counter()
    for tally in tallies:
        if tally.day >= since_day and (adcode := places.get(tally.outlet_id)) is not None:
            parcels[adcode[:2]] += sum(tally.parcels.values())
            alerts[adcode[:2]] += sum(tally.alerts.values())
    return {province: Accepted(count, alerts[province]) for province, count in parcels.items()}


def _cell(counts: Mapping[str, tuple[int, int]], place: str) -> Share | None:
    found, of = counts.get(place, (0, 0))
    return share(found, of) if of >= SOME else None
