"""The proof of worth, small: every rule is found where it is planted, and a rule that is too narrow shows."""

from __future__ import annotations

import pytest

from benchmarks.detection.measure import limit_for, rate
from benchmarks.detection.play import Played, Verdict, ranked
from benchmarks.detection.report import markdown
from benchmarks.detection.run import Detection, detect
from rules import load_catalogue

PARCELS, SEED, CASES = 3_000, 3, 1


@pytest.fixture(scope="module")
def found() -> Detection:
    return detect(PARCELS, SEED, CASES)


def test_every_rule_and_group_that_the_catalogue_names_is_planted_and_found(found: Detection) -> None:
    assert {each.name for each in found.rules} == {rule.id for rule in load_catalogue().rules}
    assert all(each.recall.of >= CASES for each in (*found.rules, *found.groups))
    assert found.short == []


def test_the_two_streams_share_nobody_and_the_test_is_later(found: Detection) -> None:
    assert found.shared == {"person": 0, "outlet": 0, "device": 0, "staff": 0}
    assert found.test.since > found.tune.since + 7 * 86_400_000
    assert (found.tune.parcels, found.test.parcels) == (PARCELS // 4, PARCELS)


def test_evasion_and_look_alikes_are_not_all_of_a_kind(found: Detection) -> None:
    """What is found of the ones and hit of the others is known for some: no measure may mix them up."""
    evasion = {each.name: each for each in found.evasions}
    honest = {each.name: each for each in found.lookalikes}
    assert evasion["respelt"].medium.share == evasion["driven_out"].medium.share == 1.0
    assert evasion["two_names"].medium.share == 0.0
    assert honest["seven_growers"].medium.share == 1.0
    assert honest["harmless_name"].medium.share == honest["outlet_offline"].medium.share == 0.0
    assert 0 < found.ordinary.medium.found < found.ordinary.low.found < found.ordinary.low.of


def test_what_stations_answer_is_measured_beside_what_is_so(found: Detection) -> None:
    assert 0 < found.answers.answered < found.answers.asked
    assert any(each.truth.share != each.answers.share for each in found.answers.rules)
    text = markdown(found)
    names = [each.name for each in (*found.rules, *found.groups)]
    names += [each.name for each in (*found.evasions, *found.lookalikes)]
    assert all(name in text for name in names)


def test_a_rule_whose_limit_is_too_high_falls_short_and_no_other_does() -> None:
    narrow = load_catalogue(overrides={"identity.many_names": {"names_90d_min": 9}})
    assert detect(PARCELS, SEED, CASES, catalogue=narrow).short == ["identity.many_names"]


def test_ranks_are_by_score_and_then_by_hash_whatever_came_first() -> None:
    scores = {"QN:1": 40, "QN:2": 90, "QN:3": 40, "QN:4": 60}
    played = Played(4, standing={parcel: Verdict(score, ()) for parcel, score in scores.items()})
    order = ranked(played, scores)
    assert order[:2] == ["QN:2", "QN:4"]
    assert ranked(played, reversed(scores)) == order


def test_limits_keep_within_the_budget_or_there_is_none() -> None:
    scores = [100, 100, 90, 60, 60, 40]
    assert [limit_for(scores, most) for most in (6, 4, 3, 2, 1)] == [40, 90, 90, 100, 101]
    assert (rate(0, 0).share, rate(9, 10).share) == (None, 0.9)
