"""Shares and their uncertainty: Wilson, worst-case bounds, the score interval of a ratio, Horvitz–Thompson, kappa.

Every function is a short formula; tests compare them with scipy and statsmodels. None means "no data", which is not 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

LEVEL: Final = 0.95
_STEPS: Final = 200  # steps of a bisection; doubles have 53 bits


class Interval(NamedTuple):
    """A confidence interval. `high` is inf if the data give no upper bound."""

    low: float
    high: float


def z_of(level: float = LEVEL) -> float:
    """Quantile of the normal distribution for a two-sided interval: 1.96 for 95 %."""
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(found: int, of: int, level: float = LEVEL) -> Interval | None:
    """Interval of a proportion (Wilson 1927; recommended by Brown, Cai, DasGupta 2001). None without data."""
    if of == 0:
        return None
    z = z_of(level)
    share, slack = found / of, z * z / of
    centre = (share + slack / 2) / (1 + slack)
    half = z * sqrt(share * (1 - share) / of + slack / (4 * of)) / (1 + slack)
    # At 0 and 1 the formula is exact, but rounding is not.
    low = 0.0 if found == 0 else max(centre - half, 0.0)
    return Interval(low, 1.0 if found == of else min(centre + half, 1.0))


def worst_case(found: int, answered: int, asked: int) -> Interval | None:
    """Bounds of a proportion if all missing answers were no, or all yes (Manski). None without data."""
    return Interval(found / asked, (found + asked - answered) / asked) if asked else None


def jeffreys_mean(found: int, of: int) -> float:
    """Mean of the posterior Beta(found + ½, of − found + ½): to rank by, also without data. Never shown as a figure."""
    return (found + 0.5) / (of + 1)


def rule_of_three(of: int) -> float | None:
    """Upper 95 % bound of a proportion if nothing was found. None without data."""
    return min(3 / of, 1.0) if of else None


class Ratio(NamedTuple):
    """A ratio of two proportions. point None: nothing was found for the second one, so there is only a lower bound."""

    point: float | None
    low: float
    high: float


def ratio(found1: int, of1: int, found0: int, of0: int, level: float = LEVEL) -> Ratio | None:
    """(found1/of1) ÷ (found0/of0) with its score interval (Koopman 1984; Miettinen & Nurminen 1985).

    None if one of the two has no data, or if nothing was found for both: then the data say nothing about the ratio.
    """
    if not of1 or not of0 or not (found1 or found0):
        return None
    z = z_of(level)
    point = None if found0 == 0 else (found1 / of1) / (found0 / of0)

    def beyond(value: float) -> float:
        return abs(ratio_score(found1, of1, found0, of0, value)) - z

    start = point if point else 1.0
    low = 0.0 if found1 == 0 else _root(beyond, start if point else _below(beyond), 0.5)
    high = inf if found0 == 0 else _root(beyond, start if found1 else _above(beyond), 2.0)
    return Ratio(point, low, high)


def ratio_score(found1: int, of1: int, found0: int, of0: int, value: float) -> float:
    """Score statistic (normal) of the hypothesis that the ratio of the proportions is `value` > 0."""
    a = (of1 + of0) * value
    b = -(of1 * value + found1 + of0 + found0 * value)
    c = found1 + found0
    p0 = (-b - sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)  # the likeliest p0 under the hypothesis
    p1 = min(p0 * value, 1.0)
    variance = p1 * (1 - p1) / of1 + value * value * p0 * (1 - p0) / of0
    variance *= (of1 + of0) / (of1 + of0 - 1)
    difference = found1 / of1 - value * found0 / of0
    if variance <= 0:
        return 0.0 if difference == 0 else inf
    return difference / sqrt(variance)


def _below(beyond: Callable[[float], float]) -> float:
    """A ratio that the data do not refute, if only a lower bound exists; refuted ratios are below."""
    value = 1.0
    while beyond(value) > 0:
        value *= 2
    return value


def _above(beyond: Callable[[float], float]) -> float:
    """The same if only an upper bound exists."""
    value = 1.0
    while beyond(value) > 0:
        value /= 2
    return value


def _root(beyond: Callable[[float], float], inside: float, factor: float) -> float:
    """The ratio at which `beyond` turns positive, searched from `inside` by `factor`."""
    outside = inside * factor
    while beyond(outside) <= 0:
        inside, outside = outside, outside * factor
    for _ in range(_STEPS):
        middle = sqrt(inside * outside)
        if middle in (inside, outside):
            break
        if beyond(middle) <= 0:
            inside = middle
        else:
            outside = middle
    return inside


class Total(NamedTuple):
    """An estimated total, and the square root of its estimated variance."""

    total: float
    error: float


def horvitz_thompson(probabilities: Sequence[float]) -> Total:
    """The total over all, estimated from the finds and the probability with which each was drawn."""
    total = sum(1 / p for p in probabilities)
    return Total(total, sqrt(sum((1 - p) / p**2 for p in probabilities)))


def missed_below(probabilities: Sequence[float]) -> float | None:
    """Upper 95 % bound of a total of which none was found, by the rule of three. None without data.

    probabilities: with which each of those looked at was drawn. Had there been more than 3/p, one would have been seen.
    """
    return 3 / min(probabilities) if probabilities else None


def kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Cohen's kappa of two judges. None without data, or if both always give the same answer."""
    if not pairs:
        return None
    agree = sum(a == b for a, b in pairs) / len(pairs)
    first, second = (sum(pair[i] for pair in pairs) / len(pairs) for i in (0, 1))
    chance = first * second + (1 - first) * (1 - second)
    return None if chance == 1 else (agree - chance) / (1 - chance)


def difference_p(found1: int, of1: int, found0: int, of0: int) -> float | None:
    """p-value of two equal proportions (pooled z-test). None without data, or if all or none were found."""
    if not of1 or not of0:
        return None
    pooled = (found1 + found0) / (of1 + of0)
    if pooled in (0, 1):
        return None
    z = (found1 / of1 - found0 / of0) / sqrt(pooled * (1 - pooled) * (1 / of1 + 1 / of0))
    return 2 * NormalDist().cdf(-abs(z))


def benjamini_hochberg(p_values: Sequence[float], rate: float = 0.1) -> list[bool]:
    """Which hypotheses to reject so that at most `rate` of the rejections are wrong (Benjamini & Hochberg 1995)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    last = max((rank for rank, i in enumerate(order, 1) if p_values[i] <= rate * rank / len(p_values)), default=0)
    marked = set(order[:last])
    return [i in marked for i in range(len(p_values))]
