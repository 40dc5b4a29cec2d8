"""Holds: a carrier stops a parcel on request, for a reason, on a legal basis, and for a limited time.

Interim Regulations on Express Delivery (快递暂行条例) art. 33 lets a carrier stop sorting, transport and delivery on
suspicion; art. 42 fines unlawful withholding. So a request lasts 24 hours at most; an extension needs a second person.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from desk.clues.clue import Hold
from schemas.clues import Held

REQUEST_MS_MAX: Final = 24 * 3_600_000
CONFIRM_MS: Final = 15 * 60_000  # after this time a carrier without confirmation is listed


def held(hold: Hold | None, event: Held, *, closed: bool) -> Hold | str:
    """The hold after one step, or why the step does not count. closed: whether the clue is closed."""
    stands = hold is not None and hold.state != "released"
    if event.action == "request":
        if closed:
            return "held: the clue is closed"
        return "held: a hold stands already" if stands else _requested(event)
    if hold is None or not stands:
        return f"held: nothing to {event.action}, no hold stands"
    if event.action == "effective":
        if hold.state == "breached":
            return "held: the parcel is gone"
        return replace(
            hold, state="effective", effective_at=event.at if hold.effective_at is None else hold.effective_at
        )
    if event.action == "breached":
        if hold.state != "effective":
            return "held: a hold that is not in effect cannot be breached"
        return replace(hold, state="breached")
    if event.action == "extend":
        return _extended(hold, event)
    if event.action == "second":
        return _seconded(hold, event)
    if not _said(event.reason):
        return "held: a release needs a reason"
    released = replace(hold, state="released", released_at=event.at, released_by=event.by, released_for=event.reason)
    return _ordered(released, event)


def overdue(hold: Hold | None, now_ms: int) -> bool:
    """Whether a hold lasts beyond its end and must be released."""
    return hold is not None and hold.state != "released" and now_ms >= hold.until


def unconfirmed(hold: Hold | None, now_ms: int) -> bool:
    """Whether no carrier has put a hold into effect in time."""
    return hold is not None and hold.state == "requested" and now_ms >= hold.at + CONFIRM_MS


def _requested(event: Held) -> Hold | str:
    if not _said(event.reason) or not _said(event.basis) or event.until is None:
        return "held: a request needs reason, legal basis and end"
    if not event.at < event.until <= event.at + REQUEST_MS_MAX:
        return "held: a request ends within 24 hours; to extend it takes a second person"
    return Hold(
        state="requested",
        order_id=event.event_id,
        ordered_at=event.at,
        station=event.station,
        reason=event.reason or "",
        basis=event.basis or "",
        until=event.until,
        by=event.by,
        at=event.at,
    )


def _extended(hold: Hold, event: Held) -> Hold | str:
    if not _said(event.reason) or not _said(event.basis) or event.until is None:
        return "held: an extension needs reason, legal basis and end"
    if event.until <= hold.until:
        return "held: an extension ends after the hold"
    return replace(
        hold, wanted_until=event.until, wanted_by=event.by, wanted_account=event.account,
        wanted_reason=event.reason, wanted_basis=event.basis,
    )  # fmt: skip


def _seconded(hold: Hold, event: Held) -> Hold | str:
    if hold.wanted_until is None:
        return "held: no extension waits for a second person"
    if event.by == hold.wanted_by:
        return "held: nobody seconds his own extension"
    extended = replace(
        hold,
        until=hold.wanted_until,
        reason=hold.wanted_reason or hold.reason,
        basis=hold.wanted_basis or hold.basis,
        second_by=event.by,
        wanted_until=None,
        wanted_by=None,
        wanted_account=None,
        wanted_reason=None,
        wanted_basis=None,
        extensions=hold.extensions + 1,
    )
    return _ordered(extended, event)


def _ordered(hold: Hold, event: Held) -> Hold:
    """The hold, with this event as the order to the carrier."""
    return replace(hold, order_id=event.event_id, ordered_at=event.at, station=event.station)


def _said(text: str | None) -> bool:
    return bool((text or "").strip())
