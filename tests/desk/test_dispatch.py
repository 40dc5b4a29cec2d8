"""What the dispatcher does about a clue: orders that change, parcels that move on, holds that are not kept."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from desk.clues.clue import Clue
from desk.clues.dispatch import NOTHING, Seen, of_alert, of_order, owed
from desk.clues.fold import step
from desk.clues.register import Register
from schemas import clues as log
from schemas.desk import Movement, Order, Trace
from schemas.records import encode
from schemas.terms import InspectionType, ScanType
from tests.desk.logs import ALERTED, T0, applied, clue_at, event
from tests.desk.test_register import station

MINUTE = 60_000
ORDER = Order(
    order_id="wa-1", revision=4, arm="random", p=0.1, day="2025-10-09", carrier_code="SF", waybill_no="1",
    adcode="440111", at=T0,
)  # fmt: skip
REGISTER = Register()
for _each in (station("ST-1", "440111"), station("ST-2", "310115")):
    REGISTER.add(_each.key.encode(), encode(_each))


def done(clue: Clue | None, order: Order | None) -> Clue | None:
    """The clue after what the dispatcher does about an order."""
    act = of_order(clue, order, T0)
    return clue if act is None else applied(clue, act.event(clue, "d", None, T0))


def seen(*moves: tuple[int, ScanType | InspectionType]) -> Seen:
    """What a trace with these movements, minutes after T0, says."""
    found = (
        Movement(at=T0 + at * MINUTE, kind=kind, event_id=f"m{at}", facility_id="F", adcode="440111")
        for at, kind in moves
    )
    return Seen.of(Trace(alert_id="a", revision=1, carrier_code="SF", waybill_no="1", movements=tuple(found)))


def next_of(clue: Clue, what: Seen = NOTHING) -> tuple[str, dict[str, Any]] | None:
    act = owed(clue, what, REGISTER, T0 + 5 * MINUTE)
    return None if act is None else (str(act.kind.__struct_config__.tag), act.fields)


def test_an_order_that_is_taken_back_withdraws_its_clue_and_one_given_again_opens_it() -> None:
    clue = done(None, ORDER)
    assert clue is not None
    assert (clue.order_standing, clue.adcode, clue.order_revision) == ("open", "440111", 4)
    assert done(clue, ORDER) is clue, "the same order says nothing new"
    gone = done(clue, None)
    assert gone is not None
    assert (gone.order_standing, gone.withdrawn) == ("withdrawn", True)
    assert done(gone, None) is gone
    assert next_of(gone) == ("closed", {"reason": "withdrawn"})
    closed = applied(gone, event(log.Closed, 3, gone, reason="withdrawn"))
    assert done(closed, ORDER) is closed, "an order from before it was taken back"
    again = done(closed, replace(ORDER, revision=20, adcode="310115", p=0.2))
    assert again is not None
    assert (again.order_standing, again.adcode, again.p) == ("open", "310115", 0.2)
    assert next_of(again) == ("reopened", {"why": "it stands again"})
    assert done(None, None) is None


def test_an_alert_that_rises_leaves_a_parcel_where_a_station_sent_it() -> None:
    clue = clue_at(log.Dispatched, log.Transferred)
    assert clue.adcode == "310115"
    higher = replace(ALERTED, revision=8, tier="extreme", jurisdiction_adcode="440111")
    act = of_alert(clue, higher, 40, T0)
    assert act is not None
    clue = applied(clue, act.event(clue, "d", None, T0))
    assert (clue.adcode, clue.standing_tier) == ("310115", "extreme")
    assert of_alert(clue, replace(higher, revision=9), 40, T0) is None, "a revision that says the same"
    moved = of_alert(clue, replace(higher, revision=10, jurisdiction_adcode="500105"), 40, T0)
    assert moved is not None
    assert applied(clue, moved.event(clue, "d", None, T0)).adcode == "500105"


def test_a_clue_is_graded_up_with_its_alert_once_and_gets_new_deadlines() -> None:
    clue = clue_at(log.Dispatched)
    clue = applied(clue, event(log.Standing, 2, clue, tier="extreme", adcode="440111"))
    graded = owed(clue, NOTHING, REGISTER, T0)
    assert graded is not None
    assert (graded.kind, graded.fields["tier"]) == (log.Graded, "extreme")
    clue = applied(clue, graded.event(clue, "d", None, T0))
    again = owed(clue, NOTHING, REGISTER, T0)
    assert again is not None
    assert (again.kind, again.fields["to"], again.fields["missed"]) == (log.Dispatched, "ST-1", False)
    assert again.fields["accept_by"] == T0 + 10 * MINUTE
    clue = applied(clue, again.event(clue, "d", None, T0))
    assert (clue.accept_by, clue.answer_by) == (T0 + 10 * MINUTE, T0 + 1_440 * MINUTE)
    assert owed(clue, NOTHING, REGISTER, T0) is None
    lower = applied(clue, event(log.Graded, 9, clue, tier="low", why="known sender"))
    after = owed(lower, NOTHING, REGISTER, T0)
    assert after is not None
    assert after.kind is log.Dispatched, "with the deadlines of its tier; what a person said stands"


def test_the_time_for_a_check_ends_when_the_parcel_leaves_the_reach_of_its_station() -> None:
    clue = clue_at(log.Dispatched, log.Accepted)
    left = seen((0, "arrived"), (3, "departed"))
    assert next_of(clue, left) is None, "it may lie in the same place still"
    clue = applied(clue, event(log.Standing, 3, clue, adcode="310115"))
    assert next_of(clue, seen((0, "arrived"))) is None
    assert next_of(clue, left) == ("due_moved", {"step": "check", "due": T0 + 3 * MINUTE, "why": "the parcel has left"})
    moved = applied(clue, event(log.DueMoved, 4, clue, step="check", due=T0 + 3 * MINUTE, why="the parcel has left"))
    assert next_of(moved, left) == ("escalated", {"level": 1, "adcode": "310100", "step": "check"})
    checked = applied(clue, event(log.Checked, 4, clue))
    assert next_of(checked, left) is None


def test_a_delivery_under_a_hold_in_effect_is_an_incident() -> None:
    clue = clue_at(log.Dispatched, log.Accepted)
    clue = applied(clue, event(log.Held, 3, clue, until=T0 + 60 * MINUTE))
    held = seen((4, "held"))
    assert next_of(clue, held) == ("held", {"action": "effective"})
    assert "not in effect" in str(step(clue, event(log.Held, 4, clue, action="breached")))
    clue = applied(clue, event(log.Held, 4, clue, action="effective"))
    assert next_of(clue, held) is None
    assert next_of(clue, seen((4, "held"), (5, "delivered"))) == ("held", {"action": "breached"})
    clue = applied(clue, event(log.Held, 5, clue, action="breached"))
    assert clue.hold is not None
    assert clue.hold.state == "breached"
    assert "is gone" in str(step(clue, event(log.Held, 6, clue, action="effective")))
    assert isinstance(step(clue, event(log.Held, 6, clue, action="release", reason="delivered")), Clue)
