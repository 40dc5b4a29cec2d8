"""The formulas of measures, against scipy and statsmodels on random tables, and where those have no answer.

Both are imported where they are used: that takes two seconds, and each process of a run imports every test.
"""

from __future__ import annotations

from math import inf, isclose, sqrt
from random import Random

import numpy as np
import pytest
import scipy

from desk.measures.budget import Ranked, capacity_of, mean_over_days, overloaded, precision_at, regret
from desk.measures.proportions import (
    benjamini_hochberg,
    difference_p,
    horvitz_thompson,
    jeffreys_mean,
    kappa,
    missed_below,
    ratio,
    ratio_score,
    rule_of_three,
    wilson,
    worst_case,
    z_of,
)
from desk.measures.times import Spell, quantile, survival
from tests.repetition import LONG

TABLES = 10_000 if LONG else 2_000
SLOW = TABLES if LONG else 150  # where the other side takes its time


def test_wilson_is_that_of_statsmodels_and_scipy() -> None:
    from statsmodels.stats.proportion import proportion_confint

    chance = np.random.default_rng(1)
    of = chance.integers(1, 5_000, TABLES)
    found = chance.binomial(of, chance.random(TABLES) ** 3)
    low, high = proportion_confint(found, of, method="wilson")
    ours = np.array([wilson(int(x), int(n)) for x, n in zip(found, of, strict=True)])
    assert np.abs(ours[:, 0] - low).max() < 1e-12
    assert np.abs(ours[:, 1] - high).max() < 1e-12
    for x, n in zip(found[:200].tolist(), of[:200].tolist(), strict=True):
        theirs = scipy.stats.binomtest(x, n).proportion_ci(method="wilson")
        interval = wilson(x, n)
        assert interval is not None
        assert interval == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(
    ("found", "of", "low", "high"), [(45, 50, 0.786, 0.957), (3, 20, 0.052, 0.360), (0, 20, 0.0, 0.161)]
)
def test_wilson_gives_the_figures_of_the_design(found: int, of: int, low: float, high: float) -> None:
    interval = wilson(found, of)
    assert interval is not None
    assert (round(interval.low, 3), round(interval.high, 3)) == (low, high)


@pytest.mark.parametrize(("share", "needed"), [(0.95, 140), (0.98, 69)])
def test_a_target_of_nine_tenths_needs_so_many_answers(share: float, needed: int) -> None:
    for of, enough in ((needed, True), (needed - 1, False)):
        interval = wilson(int(share * of), of)
        assert interval is not None
        assert (interval.low >= 0.9) == enough


def test_the_score_interval_of_a_ratio_is_that_of_statsmodels() -> None:
    from statsmodels.stats.proportion import score_test_proportions_2indep

    chance = Random(2)
    worst = 0.0
    for _ in range(TABLES):
        of1, of0 = (round(10 ** chance.uniform(0.7, 3.7)) for _ in "12")
        found1, found0 = (
            chance.randint(0, of) if chance.random() < 0.5 else chance.randint(0, min(of, 30)) for of in (of1, of0)
        )
        ours = ratio(found1, of1, found0, of0)
        if not found1 and not found0:
            assert ours is None
            continue
        assert ours is not None
        # Whatever the table, each bound is where statsmodels' score test stops refuting.
        for bound in (ours.low, ours.high):
            if 0 < bound < inf and bound != 1:
                with np.errstate(all="ignore"):
                    theirs = score_test_proportions_2indep(
                        found1, of1, found0, of0, value=bound, compare="ratio", return_results=False
                    )[0]
                if np.isfinite(theirs):
                    worst = max(worst, abs(abs(theirs) - z_of()))
        assert (ours.low == 0) == (found1 == 0)
        assert (ours.high == inf) == (found0 == 0)
        if ours.point:
            assert ours.low <= ours.point <= ours.high
    assert worst < 1e-6


def test_the_score_interval_of_ordinary_tables_is_what_statsmodels_prints() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    chance = Random(3)
    for _ in range(SLOW):
        of1, of0 = chance.randint(30, 500), chance.randint(30, 2_000)
        found1, found0 = chance.randint(3, of1 - 3), chance.randint(3, of0 - 3)
        ours = ratio(found1, of1, found0, of0)
        assert ours is not None
        try:
            low, high = confint_proportions_2indep(found1, of1, found0, of0, compare="ratio", method="score")
        except ValueError:  # its starting values do not always enclose the bound, which it finds to five digits or so
            continue
        assert isclose(ours.low, low, rel_tol=1e-4)
        assert isclose(ours.high, high, rel_tol=1e-4)


def test_lift_gives_the_figures_of_the_design() -> None:
    found = ratio(30, 83, 12, 600)
    assert found is not None
    assert found.point is not None
    assert (round(found.point, 1), round(found.low, 1), round(found.high, 1)) == (18.1, 9.7, 33.5)
    nothing = ratio(4, 83, 0, 600)
    assert nothing is not None
    assert nothing.point is None
    assert nothing.high == inf
    assert round(nothing.low, 1) == 7.5


def test_a_proportion_without_data_is_none_and_not_zero() -> None:
    assert wilson(0, 0) is None
    assert worst_case(0, 0, 0) is None
    assert rule_of_three(0) is None
    assert kappa([]) is None
    assert difference_p(0, 0, 1, 5) is None
    assert ratio(0, 0, 1, 5) is None
    assert ratio(1, 5, 0, 0) is None
    assert mean_over_days([]) is None
    assert quantile([], 0.5) is None
    assert capacity_of([]) is None
    assert precision_at([Ranked("a", 50, None)], 5) is None


def test_worst_case_bounds_hold_whatever_the_missing_answers_are() -> None:
    chance = Random(4)
    for _ in range(TABLES):
        asked = chance.randint(1, 60)
        truth = [chance.random() < 0.3 for _ in range(asked)]
        answered = [found for found in truth if chance.random() < 0.6]
        bounds = worst_case(sum(answered), len(answered), asked)
        assert bounds is not None
        assert bounds.low <= sum(truth) / asked <= bounds.high
        assert isclose(bounds.high - bounds.low, 1 - len(answered) / asked)


def test_ranks_follow_the_mean_of_jeffreys_posterior() -> None:
    for found, of in ((0, 0), (3, 20), (45, 50)):
        assert isclose(jeffreys_mean(found, of), scipy.stats.beta(found + 0.5, of - found + 0.5).mean())


def test_the_rule_of_three_is_near_the_exact_bound() -> None:
    assert rule_of_three(600) == 0.005
    for of in (50, 600, 5_000):
        exact = scipy.optimize.brentq(lambda p, n=of: (1 - p) ** n - 0.05, 1e-9, 0.5)
        assert isclose(rule_of_three(of) or 0, exact, rel_tol=0.04)


def test_where_chance_found_none_more_than_the_bound_would_hardly_have_been_missed() -> None:
    for p in (0.001, 0.01, 0.05):
        below = missed_below([p, 2 * p])
        assert below == pytest.approx(3 / p)
        assert 0.04 < scipy.stats.binom(round(below or 0), p).pmf(0) < 0.05
    assert missed_below([]) is None


def test_horvitz_thompson_is_unbiased_and_knows_its_error() -> None:
    chance = Random(5)
    probabilities = [chance.uniform(0.05, 0.6) for _ in range(400)]
    totals, errors = [], []
    for _ in range(2_000):
        drawn = horvitz_thompson([p for p in probabilities if chance.random() < p])
        totals.append(drawn.total)
        errors.append(drawn.error)
    true_error = sqrt(sum((1 - p) / p for p in probabilities))
    assert abs(np.mean(totals) - 400) < 4 * true_error / sqrt(2_000)
    assert isclose(float(np.std(totals)), true_error, rel_tol=0.06)
    assert isclose(float(np.sqrt(np.mean(np.square(errors)))), true_error, rel_tol=0.06)
    assert horvitz_thompson([]) == (0, 0)


def test_kappa_is_that_of_statsmodels() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    chance = Random(6)
    for _ in range(SLOW):
        pairs = [(chance.random() < 0.4, chance.random() < 0.6) for _ in range(chance.randint(5, 60))]
        table = [[sum(pair == (a, b) for pair in pairs) for b in (True, False)] for a in (True, False)]
        ours = kappa(pairs)
        if ours is not None:
            with np.errstate(all="ignore"):  # of its further figures
                assert isclose(ours, cohens_kappa(np.array(table)).kappa, abs_tol=1e-12)
    assert kappa([(True, True)] * 40) is None


def test_equal_proportions_are_tested_as_by_statsmodels() -> None:
    from statsmodels.stats.proportion import proportions_ztest

    chance = Random(7)
    for _ in range(SLOW):
        of1, of0 = chance.randint(1, 300), chance.randint(1, 300)
        found1, found0 = chance.randint(0, of1), chance.randint(0, of0)
        ours = difference_p(found1, of1, found0, of0)
        if ours is None:
            assert found1 + found0 in (0, of1 + of0)
            continue
        assert isclose(ours, proportions_ztest([found1, found0], [of1, of0])[1], rel_tol=1e-9, abs_tol=1e-14)


def test_marks_of_several_hypotheses_are_those_of_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    chance = Random(8)
    for _ in range(TABLES):
        values = [chance.random() ** 3 for _ in range(chance.randint(1, 12))]
        theirs = multipletests(values, alpha=0.1, method="fdr_bh")[0]
        assert benjamini_hochberg(values) == theirs.tolist()
    assert benjamini_hochberg([]) == []


def test_survival_and_its_quantiles_are_those_of_statsmodels() -> None:
    from statsmodels.duration.survfunc import SurvfuncRight

    chance = Random(9)
    for _ in range(SLOW):
        spells = [Spell(chance.randint(1, 30), chance.random() < 0.7) for _ in range(chance.randint(2, 60))]
        if not any(spell.ended for spell in spells):
            assert survival(spells) == []
            continue
        theirs = SurvfuncRight([spell.lasted for spell in spells], [int(spell.ended) for spell in spells])
        ours = survival(spells)
        assert [time for time, _ in ours] == theirs.surv_times.tolist()
        assert np.abs(np.array([share for _, share in ours]) - theirs.surv_prob).max() < 1e-12
        for share in (0.5, 0.9):
            at = quantile(spells, share)
            want = theirs.quantile(share)
            if at is None:
                assert np.isnan(want)
            elif not any(
                isclose(left, 1 - share, abs_tol=1e-9) for _, left in ours
            ):  # of a plateau it takes the middle
                assert at == want


def test_open_clues_make_the_median_longer_and_may_leave_none() -> None:
    ended = [Spell(minutes, True) for minutes in (5, 10, 15)]
    waiting = [Spell(60, False)] * 4
    assert quantile(ended, 0.5) == 10
    assert quantile(ended + waiting, 0.5) is None


def test_precision_at_k_takes_the_highest_scores_that_were_looked_at() -> None:
    day = [Ranked("a", 90, True), Ranked("b", 80, None), Ranked("c", 70, False), Ranked("d", 40, True)]
    assert precision_at(day, 1) == 1.0
    assert precision_at(day, 2) == 1.0
    assert precision_at(day, 3) == 0.5
    tied = [Ranked(f"t{i}", 50, i % 2 == 0) for i in range(20)]
    assert precision_at(tied, 10) == precision_at(tied[::-1], 10)


def test_the_interval_over_days_is_that_of_a_bootstrap() -> None:
    chance = Random(10)
    values = [chance.random() for _ in range(40)]
    ours = mean_over_days(values)
    assert ours is not None
    assert ours == mean_over_days(values)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)
    assert ours.mean == pytest.approx(np.mean(values))


def test_regret_falls_where_scores_rank_well() -> None:
    days = [[Ranked(f"{d}-{i}", 100 - i, i < 5) for i in range(20)] for d in range(10)]
    curve = regret(days, 10)
    assert [mean.mean for mean in curve.values() if mean] == [1.0, 0.5, 0.25]


def test_capacity_and_load() -> None:
    assert capacity_of([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) == 8
    assert capacity_of([0]) == 1
    assert overloaded({"2026-11-01": 9, "2026-11-02": 9, "2026-11-03": 9}, 8)
    assert not overloaded({"2026-11-01": 9, "2026-11-02": 8, "2026-11-03": 9}, 8)
    assert not overloaded({"2026-11-01": 9, "2026-11-02": 9}, 8)


def test_the_score_of_impossible_ratios_refutes_them() -> None:
    assert ratio_score(5, 5, 0, 5, 1e-9) > z_of()
    assert abs(ratio_score(5, 10, 5, 10, 1.0)) < 1e-12
