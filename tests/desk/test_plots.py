"""Plots: what is drawn is what the figures say, and nothing is drawn where there is none."""

from __future__ import annotations

import re

from desk.measures.rules import share
from desk.measures.stations import StepTime
from desk.measures.times import Spell, survival, thinned
from desk.web.plots import HEIGHT, WIDTH, bar, curves


def test_a_bar_is_the_interval_and_too_few_answers_have_none() -> None:
    drawn = bar(share(45, 50))
    assert drawn is not None
    assert (round(drawn.low, 1), drawn.figure, round(drawn.high, 1)) == (78.6, 90.0, 95.7)
    assert bar(share(0, 0)) is None
    assert bar(share(3, 9)) is None


def step(*curve: tuple[float, float]) -> StepTime:
    return StepTime(step="accept", clues=4, taken=len(curve), median_min=None, p90_min=None, curve=list(curve))


def test_a_curve_is_a_stair_from_nothing_to_the_share_that_has_taken_the_step() -> None:
    drawn = curves([step((5, 0.75), (60, 0.25)), step()])
    (curve,) = drawn.curves
    assert curve.path.startswith(f"M0,{HEIGHT}H")
    assert [float(y) for y in re.findall("V([0-9.]+)", curve.path)] == [HEIGHT * 0.75, HEIGHT * 0.25]
    assert curve.path.endswith(f"H{WIDTH}")
    assert [minutes for minutes, _ in drawn.marks] == [1, 10, 60]
    assert drawn.marks[-1][1] == WIDTH
    assert curves([step()]).curves == ()


def test_a_thinned_curve_ends_where_the_whole_one_does() -> None:
    whole = survival([Spell(minutes, True) for minutes in range(1_000)])
    thin = thinned(whole)
    assert len(thin) == 100
    assert thin[-1] == whole[-1]
    assert set(thin) < set(whole)
    assert thinned(whole[:7]) == whole[:7]
    assert thinned([]) == []
