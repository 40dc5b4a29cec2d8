"""All measures of a period. Suspicion and compliance are separate parts; no figure mixes them.

Suspicion: whether alerts find more than chance, as lift against the random arm and precision within capacity.
Compliance: whether a duty was really neglected, with a target for precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isinf
from typing import Any, Final

import msgspec

from desk.clues.clue import Clue
from desk.clues.deadlines import Calendar
from desk.measures.budget import Mean
from desk.measures.cases import Case, cases
from desk.measures.proportions import Ratio, horvitz_thompson, missed_below, ratio, rule_of_three
from desk.measures.provinces import Accepted, Disparity, disparity
from desk.measures.rules import RuleMeasure, Share, Together, rule_measures, share, together
from desk.measures.stations import (
    Agreement,
    StationMeasure,
    StepTime,
    agreement,
    before_departure,
    budget,
    station_measures,
    step_times,
)
from schemas.records import Feedback
from schemas.terms import Category

_NONE: Final[Mapping[str, Any]] = {}
TARGET: Final = 0.9  # lower bound that a compliance rule should reach

HONESTY: Final = (
    "The random arm measures violations. Detected drug cases are some 5 in 100 million parcels: no sample of any size "
    "that can be looked at tells how many are missed."
)


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """Finding rate of alerts ÷ that of the random arm. high None: the data give no upper bound, so print "≥ low"."""

    point: float | None
    low: float
    high: float | None


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """Whether suspicion finds more than chance. by_budget: by station, at ½, 1 and 2 × its capacity."""

    found: Share
    lift: Lift | None
    by_budget: dict[str, dict[float, Mean | None]]
    rules: list[RuleMeasure]


class Compliance(msgspec.Struct, frozen=True, kw_only=True):
    """Whether duties were neglected as the rules say. below_target: rules that are below the target."""

    found: Share
    target: float
    below_target: list[str]
    rules: list[RuleMeasure]


class RandomArm(msgspec.Struct, frozen=True, kw_only=True):
    """Parcels chosen by chance.

    upper   95 % bound of the share of finds, where nothing was found.
    missed  finds without an alert, over all parcels (Horvitz–Thompson), with standard error; missed_below: 95 % bound
            instead where chance has found none of them.
    recall  the share of all finds that alerts bring; recall_above: 95 % bound instead.
    """

    found: Share
    upper: float | None
    missed: float | None
    missed_error: float | None
    missed_below: float | None
    recall: float | None
    recall_above: float | None


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of clues. Each dispatched clue is answered, open, or closed because nobody could look.

    misdispatched   the share of dispatched clues that a station refused or handed over.
    """

    opened: int
    dispatched: int
    answered: int
    waiting: int
    nobody_looked: int
    refused: int
    transferred: int
    missed: int
    misdispatched: Share
    reopened: int
    monitored: int


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `waybill measures` shows. Times in epoch ms UTC."""

    since: int
    until: int
    flow: Flow
    suspicion: Suspicion
    compliance: Compliance
    random_arm: RandomArm
    times: list[StepTime]
    before_departure: Share
    disparity: Disparity
    double_checks: Agreement
    stations: list[StationMeasure]
    together: list[Together]
    note: str = HONESTY


def measure(
    clues: Iterable[Clue],
    feedback: Mapping[str, Feedback],
    capacities: Mapping[str, int],
    calendar: Calendar,
    now_ms: int,
    since_ms: int = 0,
    *,
    left_at: Mapping[str, int] = _NONE,
    accepted: Mapping[str, Accepted] = _NONE,
) -> Measures:
    """Measures of the clues opened since a time.

    feedback: by alert id, the newest. capacities: clues a working day, by station, if the station states it.
    left_at: by parcel, when it first departed. accepted: parcels and alerts by province, from the tallies.
    """
    found = list(cases(clues, feedback, since_ms))
    rules = rule_measures(found)
    stations = station_measures(found, rules, capacities, calendar, now_ms)
    known = {each.station: each.capacity for each in stations if each.capacity is not None}
    return Measures(
        since=since_ms,
        until=now_ms,
        flow=_flow(found),
        suspicion=_suspicion(found, rules, known),
        compliance=_compliance(found, rules),
        random_arm=_random_arm(found),
        times=step_times(found, now_ms),
        before_departure=before_departure(found, left_at),
        disparity=disparity(found, accepted),
        double_checks=agreement(found),
        stations=stations,
        together=together(found),
    )


def _flow(found: Sequence[Case]) -> Flow:
    clues = [case.clue for case in found]
    dispatched = [case for case in found if case.clue.first_dispatched_at is not None]
    wrong = [case for case in dispatched if case.clue.refusals or case.clue.transfers]
    return Flow(
        opened=len(clues),
        dispatched=len(dispatched),
        answered=sum(case.looked for case in dispatched),
        waiting=sum(not case.looked and case.asked for case in dispatched),
        nobody_looked=sum(not case.looked and not case.asked for case in dispatched),
        refused=sum(clue.refusals for clue in clues),
        transferred=sum(clue.transfers for clue in clues),
        missed=sum(clue.missed for clue in clues),
        misdispatched=share(len(wrong), len(dispatched)),
        reopened=sum(clue.reopens for clue in clues),
        monitored=sum(bool(clue.monitor) for clue in clues),
    )


def _share_of(found: Sequence[Case], category: Category) -> Share:
    """Finds of a category among the answers that count for it. The worst case covers all that were asked about it."""
    answers = [verdict for case in found if (verdict := case.of_category(category)) is not None]
    asked = sum(
        (case.asked or case.looked) and any(reason.category == category for reason in case.reasons) for case in found
    )
    return share(sum(answers), len(answers), max(asked, len(answers)))


def _suspicion(found: Sequence[Case], rules: Sequence[RuleMeasure], capacities: Mapping[str, int]) -> Suspicion:
    of_alerts = _share_of(found, "suspicion")
    arm = [case for case in found if case.by_chance and case.looked]
    lift = ratio(of_alerts.found, of_alerts.of, sum(case.found for case in arm), len(arm))
    return Suspicion(
        found=of_alerts,
        lift=None if lift is None else _lift(lift),
        by_budget=budget(found, capacities),
        rules=[each for each in rules if each.category == "suspicion"],
    )


def _lift(found: Ratio) -> Lift:
    return Lift(point=found.point, low=found.low, high=None if isinf(found.high) else found.high)


def _compliance(found: Sequence[Case], rules: Sequence[RuleMeasure]) -> Compliance:
    of_category = [each for each in rules if each.category == "compliance"]
    below = {each.rule for each in of_category if each.precision.high is not None and each.precision.high < TARGET}
    return Compliance(
        found=_share_of(found, "compliance"), target=TARGET, below_target=sorted(below), rules=of_category
    )


def _random_arm(found: Sequence[Case]) -> RandomArm:
    arm = [case for case in found if case.by_chance]
    looked = [case for case in arm if case.looked]
    alerted = {case.clue.parcel for case in found if case.clue.alert is not None}
    missed = [case.clue.p or 1.0 for case in looked if case.found and case.clue.parcel not in alerted]
    finds = sum(case.found for case in looked)
    by_alerts = len({case.clue.parcel for case in found if case.found and case.clue.alert is not None})
    total = horvitz_thompson(missed) if missed else None
    below = None
    if not missed:  # of those drawn, some were not looked at: as if fewer had been drawn
        below = missed_below([(case.clue.p or 1.0) * len(looked) / len(arm) for case in looked])
    return RandomArm(
        found=share(finds, len(looked), len(arm)),
        upper=rule_of_three(len(looked)) if finds == 0 else None,
        missed=None if total is None else total.total,
        missed_error=None if total is None else total.error,
        missed_below=below,
        recall=None if total is None else by_alerts / (by_alerts + total.total),
        recall_above=None if below is None or not by_alerts else by_alerts / (by_alerts + below),
    )
