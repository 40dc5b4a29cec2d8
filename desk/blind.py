"""What a station sees of a clue before it has answered: the same of an alert as of an order of the random arm.

Whoever knows that a parcel was drawn by chance may look less closely. So a user who acts for a station sees the parcel,
its place, its deadlines and what was done, and neither reasons nor tier, nor a trace, which an order does not have. All
that is shown is listed here: what is new stays hidden. docs/clues.md says what remains to be guessed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from desk.clues.clue import Clue
from schemas import clues as log

_SHOWN: Final = (
    "clue_id", "parcel", "adcode", "opened_at", "state", "version", "last", "level", "monitor", "claimed_by",
    "claimed_at", "station", "dispatched_at", "first_dispatched_at", "accept_by", "check_by", "answer_by",
    "accepted_at", "accepted_by", "checked_at", "check_kind", "closed_for", "closed_at", "hold", "kept_until",
    "dispatches", "refusals", "transfers", "reopens", "escalations", "notes",
)  # fmt: skip
_SAME: Final[dict[str, Any]] = {
    "origin": "order",
    "tier": "medium",
}  # that every clue must have; these are shown to nobody
NOT_SHOWN: Final = frozenset({*_SAME, "changed_at"})
_HEAD: Final = ("kind", "event_id", "clue_id", "at", "by", "station", "account", "expects")
_OF_EVENT: Final[dict[type[log.ClueEvent], tuple[str, ...]]] = {
    log.Opened: ("parcel", "adcode"),
    log.Claimed: (),
    log.Dispatched: ("to", "adcode", "accept_by", "check_by", "answer_by"),
    log.Accepted: (),
    log.Refused: ("why",),
    log.Transferred: ("to_adcode", "why"),
    log.Checked: ("check_kind", "checked_at"),
    log.Reopened: ("why",),
    log.Closed: ("reason",),
    log.Escalated: ("level", "adcode", "step"),
    log.Monitor: ("on", "users", "why"),
    log.Held: ("action", "reason", "basis", "until"),
    log.DueMoved: ("step", "due", "why"),
    log.Noted: ("note",),
    log.Kept: ("until", "why"),
}
_ARM: Final = frozenset({"arm", "p", "order_standing", "order_revision"})  # which nobody sees before the answer


class AsOrdered(Clue, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A clue as its station sees it before the answer. Its origin and its tier say nothing."""

    @property
    def as_ordered(self) -> bool:
        """Always."""
        return True


def blind(clue: Clue, station: str | None) -> bool:
    """Whether who acts for a station (None: for none) must not see yet why the parcel is checked.

    Whoever sees an answer that stands sees all; a station that has answered, also where the clue is worked on again.
    """
    answered_by = None if clue.answer is None else clue.answer.station
    return station is not None and not clue.settled and answered_by != station


def seen_by(station: str | None, clue: Clue) -> Clue:
    """The clue as who acts for a station may see it."""
    if not blind(clue, station):
        return clue
    fields = {name: getattr(clue, name) for name in _SHOWN}
    return AsOrdered(**_SAME, **fields, changed_at=clue.opened_at)


def told(clue: Clue, event: log.ClueEvent) -> dict[str, Any] | None:
    """What is shown of an event of a clue, by field; clue: as its reader sees it. None: nothing at all."""
    said: dict[str, Any] = msgspec.to_builtins(event)
    if clue.as_ordered:
        shown = _OF_EVENT.get(type(event))
        return None if shown is None else {name: said[name] for name in (*_HEAD, *shown) if name in said}
    if clue.answer is None and isinstance(event, log.Joined | log.Standing) and event.origin == "order":
        return None
    hidden = hidden_of(clue)
    return {name: value for name, value in said.items() if name not in hidden}


def hidden_of(clue: Clue) -> frozenset[str]:
    """Fields of a clue, as its reader sees it, and of its events that are not shown yet."""
    if clue.as_ordered:
        return NOT_SHOWN | _ARM
    return _ARM if clue.answer is None else frozenset()
