"""Whether origin decides who is checked: rates by province of acceptance, and which of them differ from the rest.

A priority list of places causes more alerts for some provinces. That is justified only if more is found there, so both
rates are shown together. Cells below 30 are not shown: they say nothing, and may be about one person.
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
    """Parcels accepted in a province, and how many of them have an open alert."""

    parcels: int
    alerts: int


class ProvinceMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """One province, by the first two digits of its code. None: fewer than 30, so not shown.

    alerted     open alerts ÷ parcels accepted there.
    confirmed   finds of suspicion ÷ answers that judged it.
    ..._differs the rate differs from the other provinces; at most a tenth of these marks are wrong.
    """

    province: str
    alerted: Share | None
    alerted_differs: bool
    confirmed: Share | None
    confirmed_differs: bool


class Disparity(msgspec.Struct, frozen=True, kw_only=True):
    """All provinces with a cell to show, by code. hidden: the number of others."""

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
    """Provinces of at least 30 with a share that differs from all others together (Benjamini–Hochberg at 10 %).

    counts: finds, and out of how many.
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
    """Add up tallies, the newest of each key, from a day on (YYYY-MM-DD). places: codes by outlet; outlets without one
    are left out.
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
