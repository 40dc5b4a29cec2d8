"""Until a station has answered, an alert and an order of the random arm look the same in all that it is shown."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from desk.blind import blind, seen_by, told
from desk.clues.acts import ActError, feedback_of
from desk.clues.clue import Clue
from desk.clues.fold import step
from desk.queue import Filter, queue, shown
from desk.verbs import Answer, Grade, Judge, act
from schemas import clues as log
from tests.desk.logs import ALERTED, DRAWN, T0, applied, clue_at, event, opened, random_log
from tests.repetition import examples

RULE = ALERTED.reasons[0].rule


def as_order(each: log.ClueEvent) -> log.ClueEvent:
    """The same event on a clue that chance has opened."""
    if isinstance(each, log.Opened):
        return replace(each, **DRAWN)
    if isinstance(each, log.Joined):
        return replace(each, origin="alert", alert=ALERTED, limit=40, p=None)
    return replace(each, origin="order") if isinstance(each, log.Standing) else each


@examples(60)
@given(seed=st.integers(0, 2**32), station=st.sampled_from(["ST-1", "ST-2", "ST-9"]), both=st.booleans())
def test_both_arms_look_the_same_after_every_event_until_the_answer(seed: int, station: str, both: bool) -> None:
    """Also where the parcel of an alert is drawn, or that of an order gets an alert."""
    unlike = (log.Graded,) if both else (log.Graded, log.Joined)
    happened = [each for each in random_log(Random(seed), 1, 80) if not isinstance(each, unlike)]
    alerted: Clue | None = None
    drawn: Clue | None = None
    past: list[tuple[log.ClueEvent, log.ClueEvent]] = []
    for each in happened:
        if isinstance(each, log.Opened):
            each = opened(each.clue_id, event_id=each.event_id, at=each.at)
        if isinstance(each, log.Joined):
            each = replace(each, origin="order", alert=None, limit=None, p=0.001)
        if isinstance(each, log.Standing):
            each = replace(each, origin="alert")
        past.append((each, as_order(each)))
        alerted, drawn = taken(alerted, each), taken(drawn, as_order(each))
        if alerted is None or drawn is None:
            continue
        assert blind(alerted, station) == blind(drawn, station)
        if blind(alerted, station):
            one, other = seen_by(station, alerted), seen_by(station, drawn)
            assert shown(one, T0) == shown(other, T0)
            assert [told(one, a) for a, _ in past] == [told(other, b) for _, b in past]
            assert queue([alerted], Filter("u1"), T0, station) == queue([drawn], Filter("u1"), T0, station)


def taken(clue: Clue | None, each: log.ClueEvent) -> Clue | None:
    after = step(clue, each)
    return clue if isinstance(after, str) else after


def test_what_is_shown_holds_nothing_of_an_alert_and_an_analyst_sees_all_but_the_arm() -> None:
    clue = clue_at(log.Standing, log.Graded, log.Dispatched, log.Accepted)
    said = shown(seen_by("ST-1", clue), T0)
    hidden = {
        "origin", "tier", "alert", "limit", "arm", "p", "standing", "standing_tier", "graded_for", "revision",
        "events", "changed_at", "dispatched_tier", "dispatched_facility", "missed",
    }  # fmt: skip
    assert not hidden & said.keys()
    assert (said["clue_id"], said["parcel"], said["owed"]["step"]) == ("c1", clue.parcel, "check")
    assert told(seen_by("ST-1", clue), event(log.Standing, 1, clue)) is None
    assert told(seen_by("ST-1", clue), event(log.Graded, 1, clue)) is None
    assert RULE not in str([told(seen_by("ST-1", clue), each) for each in (opened(), event(log.Answered, 9, clue))])
    for origin in (clue, applied(None, opened(**DRAWN))):
        seen = shown(seen_by(None, origin), T0)
        assert {"origin", "tier"} <= seen.keys()
        assert not {"arm", "p"} & seen.keys()


def test_who_has_answered_sees_why_and_another_station_that_gets_the_clue_does_not() -> None:
    answered = clue_at(log.Dispatched, log.Accepted, log.Answered, tier="extreme")
    assert not blind(answered, "ST-1")
    assert not blind(answered, "ST-2")  # nor has to answer it
    again = applied(answered, event(log.Disputed, 7, answered, by="u2"))
    assert (blind(again, "ST-1"), blind(again, "ST-2")) == (False, True)
    assert told(seen_by("ST-2", again), event(log.Answered, 3, again)) is None
    over = clue_at(log.Dispatched, log.Closed)
    assert blind(over, "ST-1")
    drawn = clue_at(log.Dispatched, log.Accepted, log.Answered, clue_id="c9", **DRAWN)
    assert {"arm", "p"} <= shown(seen_by("ST-1", drawn), T0).keys()


def test_an_answer_names_no_rules_before_the_station_sees_them_whether_they_are_its_own_or_not() -> None:
    clue = clue_at(log.Dispatched, log.Accepted)
    order = clue_at(log.Dispatched, log.Accepted, **DRAWN)
    said = set()
    for each in (clue, order):
        for verb in (Answer(outcome="violation", rules=(RULE,)), Answer(outcome="violation", unsure_rules=("a.b",))):
            said.add(refused(verb, each))
    assert said == {"rules: are judged after the answer, by `judge`"}
    assert {refused(Grade(tier="high", why="x"), each) for each in (clue, order)} == {
        "tier: a station sees it after its answer, and does not change it before"
    }
    assert {refused(Judge(rules=()), each) for each in (clue, order)} == {"rules: are judged after the answer"}
    assert act(Grade(tier="high", why="x"), clue, T0, None).kind is log.Graded


def refused(verb: Any, clue: Clue) -> str:
    with pytest.raises(ActError) as error:
        act(verb, clue, T0, "ST-1")
    return str(error.value)


def test_rules_are_judged_after_the_answer_and_the_feedback_says_what_it_corrects() -> None:
    answered = clue_at(log.Dispatched, log.Accepted)
    made = act(Answer(outcome="violation", found_g=3), answered, T0, "ST-1").event(answered, "u1", "ST-1", T0)
    answered = applied(answered, made)
    assert answered.answer is not None
    assert refused(Judge(rules=("goods.none",)), answered).startswith("rules: one of those named is no rule")
    made = act(Judge(rules=(RULE,)), answered, T0, "ST-1").event(answered, "u1", "ST-1", T0)
    judged = applied(answered, made)
    said = feedback_of(judged)
    assert said is not None
    assert (judged.state, judged.version, judged.answer.by if judged.answer else "") == ("answered", 4, "u1")
    assert (said.outcome, said.found_g, said.rules) == ("violation", 3, (RULE,))
    assert said.corrects == answered.answer.feedback_id
    assert said.feedback_id != said.corrects
    assert "came before it" in str(step(judged, replace(made, event_id="late")))
    assert "with station ST-1" in str(step(judged, event(log.Judged, 9, judged, station="ST-2")))
    closed = applied(judged, event(log.Confirmed, 8, judged, by="u2"))
    again = applied(closed, event(log.Judged, 9, closed))
    assert (again.state, again.corrects) == ("closed", said.feedback_id)
    assert "answered" not in str(step(clue_at(log.Closed), event(log.Judged, 9, clue_at(log.Closed), station=None)))


def test_an_answer_after_a_dispute_replaces_the_first_and_may_name_rules() -> None:
    clue = clue_at(log.Dispatched, log.Accepted, log.Answered, tier="extreme")
    clue = applied(clue, event(log.Disputed, 7, clue, by="u2"))
    made = act(Answer(outcome="violation", rules=(RULE,)), clue, T0, "ST-1").event(clue, "u1", "ST-1", T0)
    said = feedback_of(applied(clue, made))
    assert said is not None
    assert (said.rules, said.corrects) == ((RULE,), "f1")


def test_nobody_is_told_before_the_answer_that_chance_has_chosen_the_parcel_of_an_alert() -> None:
    clue = clue_at(log.Dispatched, log.Joined)
    drawn = event(log.Standing, 5, clue, origin="order", revision=12, status="withdrawn")
    clue = applied(clue, drawn)
    for station in ("ST-1", None):
        assert not {"arm", "p", "order_standing", "order_revision"} & shown(seen_by(station, clue), T0).keys()
        for each in (event(log.Joined, 2, clue), drawn):
            assert told(seen_by(station, clue), each) is None
    assert told(seen_by(None, clue), event(log.Standing, 6, clue)) is not None
    answered = clue_at(log.Joined, log.Dispatched, log.Accepted, log.Answered)
    assert {"arm", "p"} <= shown(seen_by("ST-1", answered), T0).keys()
    assert told(seen_by("ST-1", answered), drawn) is not None
    said = feedback_of(answered)
    assert said is not None
    assert (said.arm, said.p) == ("both", 0.001)


def test_filters_by_what_is_hidden_find_nothing_and_the_order_is_that_of_deadlines() -> None:
    first = clue_at(log.Dispatched, clue_id="c1", tier="extreme")
    second = clue_at(log.Dispatched, clue_id="c2", **DRAWN)
    second = replace(second, accept_by=(second.accept_by or 0) - 1)
    clues = (first, second)
    assert [each.clue_id for each in queue(clues, Filter("u1"), T0, "ST-1")] == ["c2", "c1"]
    for hidden in (Filter("u1", rule=RULE), Filter("u1", tier="high"), Filter("u1", tier="medium")):
        assert queue(clues, hidden, T0, "ST-1") == []
    assert [each.clue_id for each in queue(clues, Filter("u1"), T0)] == ["c1", "c2"]
    assert [each.clue_id for each in queue(clues, Filter("u1", tier="high"), T0)] == ["c1"]
