"""The two streams: the earlier one to set limits on, the later one, of other people and outlets, to test on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from benchmarks.detection.evasion import EVASIONS
from benchmarks.detection.groups import GROUPS
from benchmarks.detection.lookalikes import LOOKALIKES
from rules import Catalogue
from schemas.terms import Category
from streams.generate import Plan, Traffic
from streams.generate.flow import START_AT
from streams.generate.patterns import PATTERNS
from streams.generate.world import DAY_MS
from streams.settings import Settings

DAYS: Final = 7.0
GAP_DAYS: Final = 28  # from the end of the one to the start of the other
SLICES: Final = 2_000  # five minutes each; fewer of a small stream
SLICE_PARCELS_MIN: Final = 50
CASE_PARCELS: Final = 360  # of one case of every pattern, at least
PARCELS_PER_CASE: Final = 10_000  # a case of every pattern for so many parcels
HOME_ADCODES: Final = ("430421",)
SETTINGS: Final = Settings(emit_from="low", home_adcodes=",".join(HOME_ADCODES))

_ALL: Final = PATTERNS | GROUPS | EVASIONS | LOOKALIKES


@dataclass(frozen=True, slots=True)
class World:
    """The traffics by name, "tune" and "test"."""

    tune: Traffic
    test: Traffic


def world(parcels: int, seed: int, cases: int | None = None) -> World:
    """A world whose test has `parcels` parcels; the other stream has a quarter.

    cases: of every pattern in the test; default one for 10,000 parcels. Raises ValueError if they do not fit.
    """
    wanted = max(parcels // PARCELS_PER_CASE, 3) if cases is None else cases
    apart_ms = round((DAYS + GAP_DAYS) * DAY_MS)
    return World(
        _traffic(parcels // 4, seed, max(wanted // 4, 1), 0, START_AT),
        _traffic(parcels, seed, wanted, 1, START_AT + apart_ms),
    )


def _traffic(parcels: int, seed: int, cases: int, population: int, start_at: int) -> Traffic:
    planted = cases * CASE_PARCELS
    if 2 * planted > parcels:
        raise ValueError(f"{cases} cases of every pattern are {planted:,} parcels: too many of {parcels:,}")
    plan = Plan(
        parcels, seed, start_at=start_at, days=DAYS, home_adcodes=HOME_ADCODES, planted_share=planted / parcels,
        late_share=0.03, chunk_parcels=max(parcels // SLICES, SLICE_PARCELS_MIN), population=population,
        plain_cases=False,
    )  # fmt: skip
    return Traffic(plan, _ALL)


def planted(traffic: Traffic, catalogue: Catalogue) -> pl.DataFrame:
    """The planted parcels: parcel, pattern, case, rules, and what they are.

    kind: "pattern" (named by the catalogue), "evasion", "lookalike" or "neighbour" (next to a case, and no part of it).
    guilty: of "suspicion" or "compliance"; null: of nothing. Suspicion too weak for an alert of its own is no guilt.
    """
    points = earned(catalogue)
    category = {rule.id: rule.category for rule in catalogue.rules}
    kinds: list[str] = []
    guilty: list[Category | None] = []
    for row in traffic.truth.iter_rows(named=True):
        if row["pattern"] in LOOKALIKES:
            kinds.append("lookalike")
            guilty.append(None)
        elif row["pattern"] in EVASIONS:
            kinds.append("evasion")
            guilty.append("compliance" if row["pattern"] in _OF_DUTY else "suspicion")
        else:
            strongest = max(row["rules"], key=lambda rule: points.get(rule, 0), default="")
            together = sum(points.get(rule, 0) for rule in row["rules"])
            kinds.append("pattern" if strongest else "neighbour")
            kind = category.get(strongest)
            guilty.append(kind if kind == "compliance" or together >= ALERT_POINTS else None)
    return traffic.truth.with_columns(kind=pl.Series(kinds, dtype=pl.String), guilty=pl.Series(guilty, dtype=pl.String))


def earned(catalogue: Catalogue) -> dict[str, int]:
    """What each rule's yes adds to the score."""
    return {rule.id: int(points) for rule, points in zip(catalogue.rules, catalogue.points, strict=True)}


ALERT_POINTS: Final = 20  # below it there is no alert, whatever is emitted
_OF_DUTY: Final = frozenset(
    ("six_a_minute", "varied_copies", "two_own_parcels_a_day", "late_scans", "unscanned_departure", "four_second_box")
)
