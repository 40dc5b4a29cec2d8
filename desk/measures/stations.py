"""How stations keep up: times to each step, answers in time, double checks, load, precision within capacity."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from desk.clues.clue import Clue
from desk.clues.deadlines import DAY_MS, Calendar, day_of, in_time, next_due
from desk.measures.budget import Mean, Ranked, capacity_of, overloaded, regret
from desk.measures.cases import FINDS, Case
from desk.measures.proportions import kappa
from desk.measures.rules import RuleMeasure, Share, share
from desk.measures.times import Spell, quantile, survival, thinned
from schemas.terms import Step

KAPPA_MIN: Final = 30  # with fewer double checks no agreement is shown
WINDOW_DAYS: Final = 28


class StepTime(msgspec.Struct, frozen=True, kw_only=True):
    """Minutes from dispatch to a step, by Kaplan–Meier. None: too many clues have not reached the step.

    curve   at most 100 points of (minutes, share of clues that take longer).
    """

    step: Step
    clues: int
    taken: int
    median_min: float | None
    p90_min: float | None
    curve: list[tuple[float, float]]


def step_times(cases: Sequence[Case], now_ms: int) -> list[StepTime]:
    """How long accepting, checking and answering take. Clues that still wait count with their time so far."""
    steps: tuple[tuple[Step, Callable[[Clue], int | None]], ...] = (
        ("accept", lambda clue: clue.accepted_at),
        ("check", lambda clue: clue.checked_at),
        ("answer", lambda clue: clue.first_answered_at),
    )
    clues = [case.clue for case in cases if case.clue.first_dispatched_at is not None]
    times = []
    for step, at in steps:
        spells = [_spell(clue, at(clue), now_ms) for clue in clues]
        times.append(
            StepTime(
                step=step,
                clues=len(spells),
                taken=sum(spell.ended for spell in spells),
                median_min=quantile(spells, 0.5),
                p90_min=quantile(spells, 0.9),
                curve=thinned(survival(spells)),
            )
        )
    return times


def _spell(clue: Clue, at: int | None, now_ms: int) -> Spell:
    since = clue.first_dispatched_at or 0
    until = at if at is not None else clue.closed_at if clue.closed_at is not None else now_ms
    return Spell(max(until - since, 0) / 60_000, at is not None)


def before_departure(cases: Sequence[Case], left_at: Mapping[str, int]) -> Share:
    """The share of clues whose parcel was checked before it first departed, among those checked or departed.

    left_at: by parcel, when it first departed, epoch ms. A parcel that is neither is left out.
    """
    in_time = decided = 0
    for case in cases:
        clue = case.clue
        if clue.first_dispatched_at is None or clue.closed_for in ("withdrawn", "duplicate"):
            continue
        left = left_at.get(clue.parcel)
        checked = clue.checked_at is not None and (left is None or clue.checked_at <= left)
        in_time += checked
        decided += checked or left is not None
    return share(in_time, decided)


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Double checks: how many, how many agreed, and Cohen's kappa from 30 on."""

    pairs: int
    agreed: int
    kappa: float | None


def agreement(cases: Sequence[Case]) -> Agreement:
    """How often second persons agree on whether there was a find."""
    pairs = [(first in FINDS, second in FINDS) for case in cases for first, second in case.clue.doubled]
    enough = kappa(pairs) if len(pairs) >= KAPPA_MIN else None
    return Agreement(pairs=len(pairs), agreed=sum(a == b for a, b in pairs), kappa=enough)


class StationMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """One station.

    in_time     share of first answers that came in time.
    capacity    clues a working day: as stated, else derived from its answers; None: neither is known.
    load        arrivals a working day ÷ capacity, over the newest 28 days; None without a capacity.
    beyond      arrivals of these days beyond the capacity of their day; None without a capacity.
    tighten     if more came than can be answered for three days: the rule whose limit to raise first, the share of
                clues that it brings, and its precision.
    """

    station: str
    open: int
    overdue: int
    in_time: Share
    capacity: int | None
    load: float | None
    beyond: int | None
    tighten: str | None
    tighten_share: float | None
    tighten_precision: Share | None


def station_measures(
    cases: Sequence[Case],
    rules: Sequence[RuleMeasure],
    capacities: Mapping[str, int],
    calendar: Calendar,
    now_ms: int,
) -> list[StationMeasure]:
    """Every station with clues, by name. capacities: as stated by stations; else they are derived."""
    by_station: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if case.clue.station is not None:
            by_station[case.clue.station].append(case)
    return [
        _station(station, found, rules, capacities.get(station), calendar, now_ms)
        for station, found in sorted(by_station.items())
    ]


def _station(
    station: str,
    cases: list[Case],
    rules: Sequence[RuleMeasure],
    stated: int | None,
    calendar: Calendar,
    now_ms: int,
) -> StationMeasure:
    clues = [case.clue for case in cases]
    dues = [due for clue in clues if (due := next_due(clue, now_ms)) is not None]
    answered = [timely for clue in clues if (timely := in_time(clue)) is not None]
    window = now_ms - WINDOW_DAYS * DAY_MS
    arrivals = Counter(_day(at) for clue in clues if (at := clue.first_dispatched_at or 0) > window)
    answers = Counter(_day(at) for clue in clues if (at := clue.first_answered_at or 0) > window)
    days = _working_days(calendar, min(arrivals, default=""), now_ms)
    capacity = stated if stated is not None else capacity_of([answers[day] for day in days]) if answers else None
    load = None if capacity is None or not arrivals else arrivals.total() / (max(len(days), 1) * capacity)
    rule, rule_share = None, None
    if capacity is not None and overloaded({**dict.fromkeys(days, 0), **arrivals}, capacity):
        rule, rule_share = _tighten(cases, {each.rule: each.rank for each in rules})
    return StationMeasure(
        station=station,
        open=sum(clue.state != "closed" for clue in clues),
        overdue=sum(due.overdue for due in dues),
        in_time=share(sum(answered), len(answered)),
        capacity=capacity,
        load=load,
        beyond=None if capacity is None else sum(max(came - capacity, 0) for came in arrivals.values()),
        tighten=rule,
        tighten_share=rule_share,
        tighten_precision=next((each.precision for each in rules if each.rule == rule), None),
    )


def _tighten(cases: Sequence[Case], worst: Mapping[str, float]) -> tuple[str | None, float | None]:
    """The rule that alone causes most of the clues that are probably nothing, and its share of clues."""
    brings = Counter(reason.rule for case in cases for reason in case.reasons if case.decisive(reason.rule))
    if not brings:
        return None, None
    rule = max(brings, key=lambda each: (brings[each] * (1 - worst.get(each, 0.5)), each))
    return rule, brings[rule] / len(cases)


def budget(cases: Sequence[Case], capacities: Mapping[str, int]) -> dict[str, dict[float, Mean | None]]:
    """Precision at half, one and two times the capacity, over days, for each station of which a capacity is known."""
    days: defaultdict[str, defaultdict[str, list[Ranked]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        clue = case.clue
        if (
            clue.station is not None
            and clue.station in capacities
            and clue.alert is not None
            and clue.first_dispatched_at is not None
        ):
            found = case.of_category("suspicion") if case.looked else None
            ranked = Ranked(clue.clue_id, clue.alert.score, found)
            days[clue.station][_day(clue.first_dispatched_at)].append(ranked)
    return {station: regret(list(found.values()), capacities[station]) for station, found in sorted(days.items())}


def _working_days(calendar: Calendar, first: str, now_ms: int) -> list[str]:
    """The working days among the newest 28, from the day of the first clue."""
    days = [now_ms - back * DAY_MS for back in range(WINDOW_DAYS)]
    return [day for at in days if calendar.works_at(at) and (day := _day(at)) >= first]


def _day(at_ms: int) -> str:
    """Day in China."""
    return day_of(at_ms).isoformat()
