"""Plots as numbers for the templates, which draw SVG: bars of intervals, and curves of times to a step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from desk.measures.rules import Share
from desk.measures.stations import StepTime
from schemas.terms import Step

WIDTH, HEIGHT = 600, 200
_MINUTES: Final = (1, 10, 60, 480, 1_440, 10_080, 43_200)
"""Marks of the axis of time: minutes, hours, days."""


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval, and the figure in it, on an axis from 0 to 100."""

    low: float
    figure: float
    high: float


def bar(found: Share) -> Bar | None:
    """The bar of a proportion; None: there are too few answers for a figure."""
    if found.share is None or found.low is None or found.high is None:
        return None
    return Bar(100 * found.low, 100 * found.share, 100 * found.high)


@dataclass(frozen=True, slots=True)
class Curve:
    """The share of clues that have taken a step, over time, as the path of an SVG."""

    step: Step
    path: str


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves with the marks of their axes: (minutes, x). No curve, no data."""

    curves: tuple[Curve, ...]
    marks: tuple[tuple[int, float], ...]


def curves(times: Iterable[StepTime]) -> Curves:
    """The curves of steps that any clue has taken."""
    taken = [each for each in times if each.curve]
    latest = max((each.curve[-1][0] for each in taken), default=0.0)
    end = next((mark for mark in _MINUTES if mark >= latest), latest)
    drawn = tuple(Curve(each.step, _path(each.curve, end)) for each in taken)
    return Curves(drawn, tuple((mark, _x(mark, end)) for mark in _MINUTES if mark <= end) if drawn else ())


def _path(curve: Sequence[tuple[float, float]], end: float) -> str:
    """A stair that rises where a clue has taken the step."""
    stairs = "".join(f"H{_x(minutes, end):.1f}V{HEIGHT * longer:.1f}" for minutes, longer in curve)
    return f"M0,{HEIGHT}{stairs}H{WIDTH}"


def _x(minutes: float, end: float) -> float:
    """Where a time stands; minutes and days both need room, so the axis is logarithmic."""
    return WIDTH * log(1 + minutes) / log(1 + end) if end > 0 else 0.0
