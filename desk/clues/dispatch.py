"""What the dispatcher does about a clue: a pure function of the clue, of what was seen of its parcel, and of the time.

It is called again whenever one of these changes, and returns nothing once all is done. So it does no harm if a
dispatcher dies midway or runs twice: the next one reads the topics and continues, and the fold refuses repeated events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from desk.clues.acts import Act
from desk.clues.clue import RANK, Clue
from desk.clues.deadlines import dues, level_due, next_due
from desk.clues.register import Register
from schemas import clues as log
from schemas.desk import Order, Trace
from schemas.records import Alert
from schemas.terms import CheckKind, Status, Tier

RECENT_MS: Final = 30 * 86_400_000  # an older alert or order opens no clue
_GONE: Final = frozenset({"delivered", "returned"})
_CHECKS: Final[dict[str, CheckKind]] = {
    "open_box": "open_box",
    "xray": "xray",
    "second_xray": "second_xray",
    "canine": "canine",
    "trace_swab": "trace_swab",
    "identity_check": "identity_check",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the trace of a parcel says about its clue. Times: epoch ms; None: not seen.

    facility, left_at   where it lies, or since when it has been on its way from there.
    """

    facility: str | None = None
    left_at: int | None = None
    gone_at: int | None = None
    held_at: int | None = None
    checks: tuple[tuple[int, CheckKind, str], ...] = ()  # start, kind, event id

    @classmethod
    def of(cls, trace: Trace) -> Seen:
        """From a trace; its movements are in order of time."""
        moves = trace.movements
        scans = [each for each in moves if each.kind not in _CHECKS]
        left = bool(scans) and scans[-1].kind in ("departed", "forwarded")
        return cls(
            facility=scans[-1].facility_id if scans and not left else None,
            left_at=scans[-1].at if left else None,
            gone_at=next((each.at for each in scans if each.kind in _GONE), None),
            held_at=max((each.at for each in scans if each.kind == "held"), default=None),
            checks=tuple(
                (each.at, _CHECKS[each.kind], each.event_id) for each in trace.movements if each.kind in _CHECKS
            ),
        )


NOTHING: Final = Seen()


def of_alert(clue: Clue | None, alert: Alert, limit: int, now_ms: int) -> Act | None:
    """The act for an alert: it opens a clue, joins that of an order, or changes the standing; None: nothing.

    limit: points from which alerts go out.
    """
    if clue is not None and clue.alert is not None:
        return _standing(clue, "alert", alert.revision, alert.status, alert.tier, alert.jurisdiction_adcode)
    if alert.status == "withdrawn" or alert.detected_at < now_ms - RECENT_MS:
        return None
    said = {"origin": "alert", "adcode": alert.jurisdiction_adcode, "alert": alert, "limit": limit}
    if clue is not None:
        return Act(log.Joined, clue.clue_id, {**said, "revision": alert.revision})
    parcel = f"{alert.carrier_code}:{alert.waybill_no}"
    return Act(log.Opened, alert.alert_id, {**said, "parcel": parcel, "tier": alert.tier})


def of_order(clue: Clue | None, order: Order | None, now_ms: int) -> Act | None:
    """The act for an order of the random arm: it opens a clue that looks to its station like any other, or joins one.

    order None: it was taken back, since chance has not chosen the parcel after all.
    """
    if clue is not None and clue.order_standing is not None:
        if order is not None:
            return _standing(clue, "order", order.revision, "open", clue.tier, order.adcode, p=order.p)
        place = clue.standing_adcode or clue.adcode
        return _standing(clue, "order", clue.order_revision + 1, "withdrawn", clue.tier, place)
    if order is None or order.at < now_ms - RECENT_MS:
        return None
    said = {"origin": "order", "adcode": order.adcode, "p": order.p, "revision": order.revision}
    if clue is not None:
        return Act(log.Joined, clue.clue_id, said)
    more = {"parcel": order.key, "tier": "medium", "arm": "random", "outlet_id": order.outlet_id}
    return Act(log.Opened, order.order_id, {**said, **more})


def _standing(
    clue: Clue, origin: Literal["alert", "order"], revision: int, status: Status, tier: Tier, adcode: str, **more: Any
) -> Act | None:
    """The act for news of an alert or order that the clue has; None: it says nothing new."""
    mine, other = clue.revision, clue.order_revision
    said, known = (status, tier), (clue.standing, clue.standing_tier)
    if origin == "order":
        mine, other, known = other, mine, (clue.order_standing, tier)
    moved = revision >= other and adcode != clue.standing_adcode
    if revision <= mine or (said == known and not moved):
        return None
    fields = {"origin": origin, "revision": revision, "status": status, "tier": tier, "adcode": adcode, **more}
    return Act(log.Standing, clue.clue_id, fields)


def owed(clue: Clue, seen: Seen, register: Register, now_ms: int) -> Act | None:
    """The next act about a clue; None: nothing until something changes."""
    return next(_owed(clue, seen, register, now_ms), None)


def _owed(clue: Clue, seen: Seen, register: Register, now_ms: int) -> Iterator[Act]:
    if clue.hold is not None and clue.hold.state == "requested" and (seen.held_at or 0) >= clue.hold.at:
        yield Act(log.Held, clue.clue_id, {"action": "effective"})
    if clue.hold is not None and clue.hold.state == "effective" and (seen.gone_at or 0) > (seen.held_at or 0):
        yield Act(log.Held, clue.clue_id, {"action": "breached"})
    if clue.state == "closed":
        if clue.closed_for == "withdrawn" and not clue.withdrawn and seen.gone_at is None:
            yield Act(log.Reopened, clue.clue_id, {"why": "it stands again"})
        return
    if clue.state in ("new", "dispatched"):
        if clue.withdrawn:
            yield Act(log.Closed, clue.clue_id, {"reason": "withdrawn"})
            return
        if seen.gone_at is not None:
            yield Act(log.Closed, clue.clue_id, {"reason": "too_late"})
            return
        if (act := _graded(clue)) is not None:
            yield act
        if (act := _dispatch(clue, seen, register, now_ms)) is not None:
            yield act
    if clue.state == "accepted" and clue.dispatched_at is not None:
        for at, kind, event_id in seen.checks:
            if at >= clue.dispatched_at and (clue.answered_at is None or at > clue.answered_at):
                yield Act(log.Checked, clue.clue_id, {"check_kind": kind, "checked_at": at, "inspection": event_id})
                return
        if (act := _beyond(clue, seen, register, now_ms)) is not None:
            yield act
    due = next_due(clue, now_ms)
    if due is not None and level_due(clue, now_ms) > clue.level:
        level = clue.level + 1
        place = clue.adcode[:4] + "00" if level == 1 else clue.adcode[:2] + "0000"
        yield Act(log.Escalated, clue.clue_id, {"level": level, "adcode": place, "step": due.step})


def _graded(clue: Clue) -> Act | None:
    """Raise the urgency of a clue with its alert, once for each tier; a person may lower it again."""
    tier = clue.standing_tier
    if tier is None or clue.graded_for is None or RANK[tier] >= min(RANK[clue.graded_for], RANK[clue.tier]):
        return None
    return Act(log.Graded, clue.clue_id, {"tier": tier, "why": "the alert has risen"})


def _beyond(clue: Clue, seen: Seen, register: Register, now_ms: int) -> Act | None:
    """End the time for a check when the parcel leaves the reach of the station that has the clue."""
    left, due = seen.left_at, clue.check_by
    if left is None or due is None or not (clue.dispatched_at or 0) < left < due:
        return None
    if clue.adcode == clue.dispatched_adcode:
        return None
    station = register.station_for(clue.adcode, None, now_ms)
    if station is None or station.station_id == clue.station:
        return None
    return Act(log.DueMoved, clue.clue_id, {"step": "check", "due": left, "why": "the parcel has left"})


def _dispatch(clue: Clue, seen: Seen, register: Register, now_ms: int) -> Act | None:
    """Dispatch to a station, if none has the clue, or if the present one can no longer stop the parcel."""
    if clue.monitor:
        return None
    where = clue.adcode, seen.facility if clue.adcode == clue.standing_adcode else None
    graded = clue.state == "dispatched" and clue.tier != clue.dispatched_tier
    if clue.state == "dispatched" and not graded and where == (clue.dispatched_adcode, clue.dispatched_facility):
        return None
    outlet = clue.outlet_id if seen is NOTHING else None
    station = register.station_for(*where, now_ms, clue.declined, outlet)
    if station is None or (station.station_id == clue.station and not graded):
        return None
    times = dues(clue.tier, now_ms, register.calendar)
    moved = clue.adcode != clue.dispatched_adcode or clue.dispatched_facility is not None
    fields = {
        "to": station.station_id,
        "adcode": where[0],
        "facility": where[1],
        "accept_by": times.accept,
        "check_by": times.check,
        "answer_by": times.answer,
        "missed": clue.state == "dispatched" and moved and station.station_id != clue.station,
    }
    return Act(log.Dispatched, clue.clue_id, fields)
