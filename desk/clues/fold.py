"""The fold: from a clue and its next event to the next clue, or to a reason why the event does not count.

`step` is pure: no clock, no broker, no other clue. So all readers of the log get the same clues, whatever the order of
the partitions. A `Book` does this for all clues of a log. docs/clues.md has the table of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import xxhash
from msgspec.structs import replace

from desk.clues.clue import Clue, End, Late
from desk.clues.holds import held
from desk.clues.origins import joined, opened, standing
from desk.clues.table import EXCLUSIVE, FROM, OF_STATION
from schemas import clues as log
from schemas.terms import Outcome

SECOND_SHARE: Final = 0.05  # share of the other answers that also need a second person
LATE_KEPT: Final = 16  # number of refused events, of double checks, and of ends of transfers that a clue keeps
IDS_KEPT: Final = 64  # number of event ids that a clue keeps to recognise repeats


def step(clue: Clue | None, event: log.ClueEvent) -> Clue | str:
    """The clue after an event, or why the event does not count, as text. After a repeat: the same clue.

    An event that was written again (`again`) is a repeat, unless it is the next one in the history of the clue.
    """
    if event.again is not None:
        if clue is not None and event.again != clue.events + clue.refused:
            return clue
        event = replace(event, again=None)  # and what is built of it is the same
    if clue is None:
        return opened(event) if isinstance(event, log.Opened) else "the clue was never opened"
    if event.event_id in clue.ids:
        return clue
    if (why := objection(clue, event)) is not None:
        return why
    after = _APPLY[type(event)](clue, event)
    if isinstance(after, str):
        return after
    return replace(
        after,
        version=clue.version + (type(event) in EXCLUSIVE),
        ids=(*clue.ids[1 - IDS_KEPT :], event.event_id),
        events=clue.events + 1,
        changed_at=event.at,
    )


def objection(clue: Clue, event: log.ClueEvent) -> str | None:
    """Why an event cannot apply to a clue in its state, whatever the event says; None: it can."""
    kind = type(event)
    if kind is log.Opened:
        return "the clue is open already"
    name = kind.__struct_config__.tag
    if event.expects is not None and event.expects != clue.version:
        return f"{name}: {clue.last or 'something'} came before it; the clue is {clue.state}"
    if kind in EXCLUSIVE and event.expects is None:
        return f"{name}: `expects` is missing"
    if clue.state not in FROM[kind]:
        return f"{name}: the clue is {clue.state}{f', after {clue.last}' if clue.last else ''}"
    if kind in OF_STATION and event.station != clue.station:
        return f"{name}: the clue is with station {clue.station}"
    return None


def remembered(clue: Clue, event: log.ClueEvent, why: str) -> Clue:
    """The clue with a refused event added; only the newest few are kept."""
    late = Late(event_id=event.event_id, kind=_name(event), by=event.by, station=event.station, at=event.at, why=why)
    return replace(
        clue,
        late=(*clue.late[1 - LATE_KEPT :], late),
        ids=(*clue.ids[1 - IDS_KEPT :], event.event_id),
        refused=clue.refused + 1,
    )


def needs_second(clue: Clue, outcome: str) -> bool:
    """Whether a second person must confirm an answer: finds, clues of tier extreme, and a hashed share of the rest."""
    if outcome in ("seizure", "violation") or clue.tier == "extreme":
        return True
    return xxhash.xxh64_intdigest(clue.clue_id.encode()) < SECOND_SHARE * 2**64


def _name(event: log.ClueEvent) -> str:
    return str(type(event).__struct_config__.tag)


def _dispatched(clue: Clue, event: log.Dispatched) -> Clue | str:
    if clue.monitor:
        return "dispatched: the parcel is under controlled delivery"
    first, graded = clue.first_dispatched_at, clue.tier != clue.dispatched_tier
    return replace(
        clue,
        state="dispatched",
        station=event.to,
        dispatched_adcode=event.adcode,
        dispatched_facility=event.facility,
        dispatched_tier=clue.tier,
        dispatched_at=event.at,
        first_dispatched_at=event.at if first is None else first,
        dispatches=clue.dispatches + 1,
        missed=clue.missed + event.missed,
        accept_by=event.accept_by,
        check_by=event.check_by,
        # The time to answer starts once for each urgency, so no station gains time by handing a clue over.
        answer_by=event.answer_by if clue.answer_by is None or graded else clue.answer_by,
        level=0,
        last=f"dispatch to {event.to}",
    )


def _accepted(clue: Clue, event: log.Accepted) -> Clue:
    return replace(
        clue,
        state="accepted",
        accepted_at=event.at,
        accepted_by=event.by,
        last=f"acceptance by {event.station}",
        level=0,
    )


def _refused(clue: Clue, event: log.Refused) -> Clue:
    return replace(
        clue,
        state="new",
        station=None,
        declined=(*clue.declined[1 - LATE_KEPT :], event.station or ""),
        refusals=clue.refusals + 1,
        last=f"refusal by {event.station}",
        level=0,
    )


def _transferred(clue: Clue, event: log.Transferred) -> Clue:
    both = End(adcode=clue.adcode, station=event.station), End(adcode=event.to_adcode)
    return replace(
        clue,
        state="new",
        station=None,
        adcode=event.to_adcode,
        declined=(event.station or "",),
        ends=tuple(dict.fromkeys((*clue.ends, *both)))[-LATE_KEPT:],
        accepted_at=None,
        accepted_by=None,
        checked_at=None,
        check_kind=None,
        transfers=clue.transfers + 1,
        last=f"transfer by {event.station}",
        level=0,
    )


def _checked(clue: Clue, event: log.Checked) -> Clue:
    return replace(
        clue, state="checked", checked_at=event.checked_at, check_kind=event.check_kind, last="a check", level=0
    )


def _answered(clue: Clue, event: log.Answered) -> Clue | str:
    if event.outcome == "transferred":
        return "answered: a clue is handed over by `transferred`"
    waits = needs_second(clue, event.outcome)
    return replace(
        clue,
        state="answered" if waits else "closed",
        answer=event,
        corrects=None if clue.answer is None else clue.answer.feedback_id,
        answered_at=event.at,
        first_answered_at=event.at if clue.first_answered_at is None else clue.first_answered_at,
        checked_at=clue.checked_at if event.checked_at is None else event.checked_at,
        check_kind=clue.check_kind if event.check_kind is None else event.check_kind,
        second_by=None,
        closed_for=None if waits else "answered",
        closed_at=None if waits else event.at,
        last=f"an answer by {event.station}",
        level=0,
    )


def _judged(clue: Clue, event: log.Judged) -> Clue | str:
    if clue.answer is None or not clue.settled:
        return "judged: there is no answer that stands"
    judged = replace(clue.answer, feedback_id=event.feedback_id, rules=event.rules, unsure_rules=event.unsure_rules)
    return replace(
        clue, answer=judged, corrects=clue.answer.feedback_id, last=f"a judgement of the rules by {event.station}"
    )


def _confirmed(clue: Clue, event: log.Confirmed) -> Clue | str:
    if clue.answer is not None and event.by == clue.answer.by:
        return "confirmed: nobody confirms his own answer"
    return replace(
        clue,
        state="closed",
        second_by=event.by,
        doubled=_doubled(clue, None if clue.answer is None else clue.answer.outcome),
        agreed=clue.agreed + 1,
        closed_for="answered",
        closed_at=event.at,
        last="a confirmation",
    )


def _disputed(clue: Clue, event: log.Disputed) -> Clue | str:
    if clue.answer is not None and event.by == clue.answer.by:
        return "disputed: nobody disputes his own answer"
    return replace(
        clue,
        state="accepted",
        second_by=event.by,
        doubled=_doubled(clue, event.outcome),
        disputes=clue.disputes + 1,
        last="a dispute",
        level=0,
    )


def _doubled(clue: Clue, second: Outcome | None) -> tuple[tuple[Outcome, Outcome], ...]:
    """The outcomes of double checks, with one more if the second person said what was found."""
    if clue.answer is None or second is None:
        return clue.doubled
    return (*clue.doubled[1 - LATE_KEPT :], (clue.answer.outcome, second))


def _closed(clue: Clue, event: log.Closed) -> Clue | str:
    if event.reason == "answered":
        return "closed: only an answer closes a clue as answered"
    return replace(clue, state="closed", closed_for=event.reason, closed_at=event.at, last=f"closing ({event.reason})")


def _reopened(clue: Clue, event: log.Reopened) -> Clue:
    return replace(
        clue,
        state="new" if clue.accepted_at is None else "accepted",
        station=None if clue.accepted_at is None else clue.station,
        closed_for=None,
        closed_at=None,
        reopens=clue.reopens + 1,
        last="reopening",
        level=0,
    )


def _graded(clue: Clue, event: log.Graded) -> Clue:
    return replace(clue, tier=event.tier, graded_for=clue.standing_tier)


def _claimed(clue: Clue, event: log.Claimed) -> Clue | str:
    if (holder := clue.claimed(event.at)) not in (None, event.by):
        return f"claimed: {holder} looks at it"
    return replace(clue, claimed_by=event.by, claimed_at=event.at)


def _escalated(clue: Clue, event: log.Escalated) -> Clue | str:
    if event.level != clue.level + 1:
        return f"escalated: the clue is at level {clue.level}"
    return replace(clue, level=event.level, escalations=clue.escalations + 1)


def _monitor(clue: Clue, event: log.Monitor) -> Clue | str:
    if event.on and not event.users:
        return "monitor: it names no user who sees the clue"
    return replace(clue, monitor=event.users if event.on else ())


def _held(clue: Clue, event: log.Held) -> Clue | str:
    after = held(clue.hold, event, closed=clue.state == "closed")
    return after if isinstance(after, str) else replace(clue, hold=after)


def _due_moved(clue: Clue, event: log.DueMoved) -> Clue:
    return replace(clue, **{f"{event.step}_by": event.due})


def _noted(clue: Clue, event: log.Noted) -> Clue:
    return replace(clue, notes=clue.notes + 1)


def _kept(clue: Clue, event: log.Kept) -> Clue | str:
    if event.until <= event.at:
        return "kept: the end lies in the past"
    return replace(clue, kept_until=max(event.until, clue.kept_until or 0))


_APPLY: Final[dict[type[log.ClueEvent], Callable[[Clue, Any], Clue | str]]] = {
    log.Joined: joined,
    log.Standing: standing,
    log.Graded: _graded,
    log.Claimed: _claimed,
    log.Dispatched: _dispatched,
    log.Accepted: _accepted,
    log.Refused: _refused,
    log.Transferred: _transferred,
    log.Checked: _checked,
    log.Answered: _answered,
    log.Confirmed: _confirmed,
    log.Disputed: _disputed,
    log.Judged: _judged,
    log.Reopened: _reopened,
    log.Closed: _closed,
    log.Escalated: _escalated,
    log.Monitor: _monitor,
    log.Held: _held,
    log.DueMoved: _due_moved,
    log.Noted: _noted,
    log.Kept: _kept,
}
