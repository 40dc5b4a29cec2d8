"""What a station can check: precision among the first k clues of a day, and load against capacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from statistics import fmean
from typing import Final, NamedTuple

import xxhash

DRAWS: Final = 2_000
_SEED: Final = 20_260_901  # the same data give the same interval


class Ranked(NamedTuple):
    """One clue of a day at a station. found: None while nobody has looked."""

    clue_id: str
    score: int
    found: bool | None


def precision_at(day: Sequence[Ranked], k: int) -> float | None:
    """Share of finds among the checked clues of the k highest scores. None: none of them was checked.

    Equal scores are sorted by a hash of the clue, not by age, which would depend on the habits of a station.
    """
    first = sorted(day, key=lambda each: (-each.score, xxhash.xxh64_intdigest(each.clue_id.encode())))[:k]
    looked = [each.found for each in first if each.found is not None]
    return fmean(looked) if looked else None


class Mean(NamedTuple):
    """A mean over days, and its 95 % interval by bootstrap over days."""

    mean: float
    low: float
    high: float
    days: int


def mean_over_days(values: Sequence[float], draws: int = DRAWS) -> Mean | None:
    """The mean of one value a day. Days are drawn, not clues, since clues of one day are alike. None without data."""
    if not values:
        return None
    chance = Random(_SEED)
    means = sorted(fmean(chance.choices(values, k=len(values))) for _ in range(draws))
    return Mean(fmean(values), means[int(0.025 * draws)], means[int(0.975 * draws) - 1], len(values))


def regret(days: Sequence[Sequence[Ranked]], capacity: int) -> dict[float, Mean | None]:
    """Precision at half, one and two times the capacity."""
    curve = {}
    for times in (0.5, 1.0, 2.0):
        k = max(round(times * capacity), 1)
        curve[times] = mean_over_days([value for day in days if (value := precision_at(day, k)) is not None])
    return curve


def capacity_of(answered_by_day: Sequence[int]) -> int | None:
    """Default capacity of a station: 80th percentile of answers a working day, at least 1. None without data."""
    if not answered_by_day:
        return None
    ordered = sorted(answered_by_day)
    rank = -(-8 * len(ordered) // 10)  # nearest rank, rounded up
    return max(ordered[rank - 1], 1)


def overloaded(arrivals_by_day: Mapping[str, int], capacity: int, days: int = 3) -> bool:
    """Whether on each of the newest days more came than can be answered. False if there are fewer days."""
    newest = sorted(arrivals_by_day)[-days:]
    return len(newest) == days and all(arrivals_by_day[day] > capacity for day in newest)
