"""The sketch of a way and what has changed since a dispatch: places in their order, and nothing made up."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from desk.clues.clue import Clue
from desk.clues.fold import step
from desk.web.route import sketch
from desk.web.since import since_dispatch
from schemas import clues as log
from schemas.desk import Movement, Trace
from tests.desk.logs import T0, event, opened
from tests.schemas.desk_samples import TRACE

TRACED = msgspec.convert(TRACE, Trace)


def moved(*codes: str) -> tuple[Movement, ...]:
    return tuple(
        Movement(at=T0 + n, kind="arrived", event_id=f"e{n}", facility_id="F", adcode=code)
        for n, code in enumerate(codes)
    )


def test_stops_are_in_the_order_of_the_way_and_the_rest_is_ahead() -> None:
    drawn = sketch(replace(TRACED, movements=moved("440111", "440111", "330100", "440111")))
    assert drawn is not None
    assert [(stop.number, stop.adcode) for stop in drawn.stops] == [(1, "440111"), (2, "330100"), (3, "310115")]
    assert (len(drawn.line), drawn.done) == (4, 3)
    left, top, width, height = drawn.box
    assert all(left < stop.x < left + width and top < stop.y < top + height for stop in drawn.stops)
    south, north = drawn.stops[0], drawn.stops[2]
    assert south.x < north.x  # Shanghai lies east of Guangzhou
    assert south.y > north.y  # and north


def test_a_way_of_one_place_or_of_unknown_places_is_not_drawn() -> None:
    for adcode in ("440111", "999999", None):
        assert sketch(replace(TRACED, pickup_adcode="440111", dest_adcode=adcode, movements=())) is None
    assert sketch(None) is None
    arrived = sketch(replace(TRACED, movements=moved("310115")))
    assert arrived is not None
    assert arrived.done == len(arrived.line)  # nothing is ahead


def dispatched(**more: Any) -> Clue:
    clue = step(None, opened())
    assert isinstance(clue, Clue)
    sent = step(clue, event(log.Dispatched, 1, clue))
    assert isinstance(sent, Clue)
    return sent


def test_what_has_changed_since_the_dispatch_is_said() -> None:
    clue = dispatched()
    assert since_dispatch(clue, None) == since_dispatch(clue, replace(TRACED, movements=moved("440111")))
    before, after = moved("440111"), moved("310115")[0]
    after = replace(after, at=(clue.dispatched_at or 0) + 1)
    told = since_dispatch(clue, replace(TRACED, movements=(*before, after)))
    assert told is not None
    assert (told.tier, told.place, told.revisions, told.moved) == (None, None, 0, (after,))
    raised = step(clue, event(log.Standing, 2, clue))
    assert isinstance(raised, Clue)
    changed = since_dispatch(raised, None)
    assert changed is not None
    assert clue.alert is not None
    assert changed.tier == (clue.alert.tier, "high")
    assert changed.place == ("440111", "310115")
    assert changed.revisions == 9 - clue.alert.revision


def test_a_clue_that_was_not_dispatched_has_no_changes_since() -> None:
    clue = step(None, opened())
    assert isinstance(clue, Clue)
    assert since_dispatch(clue, TRACED) is None
