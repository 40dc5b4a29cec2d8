"""The queue: clues in the order in which to look at them, and overdue clues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec

from desk.blind import hidden_of, seen_by
from desk.clues.clue import RANK, Clue, State
from desk.clues.deadlines import next_due
from desk.clues.holds import overdue as hold_overdue
from desk.clues.holds import unconfirmed
from schemas.errors import WaybillError
from schemas.records import Reason
from schemas.terms import Tier

OPEN: frozenset[State] = frozenset({"new", "dispatched", "accepted", "checked", "answered"})


class UnknownClueError(WaybillError):
    """An id matches no clue, or more than one. The message says which."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which clues to show; rule: those with this rule among the reasons.

    user: who asks; clues under controlled delivery are shown only to the users they name.
    """

    user: str
    station: str | None = None
    states: frozenset[State] = OPEN
    tier: Tier = "low"
    adcode: str = ""
    rule: str = ""

    def takes(self, clue: Clue) -> bool:
        """Whether it shows this clue."""
        return (
            clue.state in self.states
            and (self.tier == "low" or (not clue.as_ordered and RANK[clue.tier] <= RANK[self.tier]))
            and (self.station is None or clue.station == self.station)
            and clue.adcode.startswith(self.adcode)
            and (not self.rule or any(reason.rule == self.rule for reason in _reasons(clue)))
            and clue.visible_to(self.user)
        )


def _reasons(clue: Clue) -> tuple[Reason, ...]:
    return () if clue.alert is None else clue.alert.reasons


def queue(clues: Iterable[Clue], which: Filter, now_ms: int, station: str | None = None) -> list[Clue]:
    """The clues to show, sorted by tier, then time left, then score.

    station: for which the user acts. Its clues are as it may see them, a filter by what it may not see yet finds
    nothing, and they are sorted by time left alone.
    """
    seen = (seen_by(station, clue) for clue in clues)

    def urgency(clue: Clue) -> tuple[int, float, int, str]:
        due = next_due(clue, now_ms)
        by = inf if due is None else due.by
        if station is not None:
            return 0, by, 0, clue.clue_id
        return RANK[clue.tier], by, 0 if clue.alert is None else -clue.alert.score, clue.clue_id

    return sorted((clue for clue in seen if which.takes(clue)), key=urgency)


def late(clues: Iterable[Clue], user: str, now_ms: int) -> list[tuple[Clue, str, int]]:
    """Overdue clues, the longest first: the clue, what is due (a step, or about a hold), since when (epoch ms).

    Clues under controlled delivery are shown only to the users they name.
    """
    found: list[tuple[Clue, str, int]] = []
    for clue in clues:
        if not clue.visible_to(user):
            continue
        due = next_due(clue, now_ms)
        if due is not None and due.overdue:
            found.append((clue, due.step, due.by))
        if clue.hold is not None and clue.hold.state == "breached":
            found.append((clue, "delivered while held", clue.hold.effective_at or clue.hold.at))
        elif clue.hold is not None and hold_overdue(clue.hold, now_ms):
            found.append((clue, "release", clue.hold.until))
        elif clue.hold is not None and unconfirmed(clue.hold, now_ms):
            found.append((clue, "carrier to confirm the hold", clue.hold.at))
    return sorted(found, key=lambda each: (each[2], each[0].clue_id))


def find(clues: dict[str, Clue], wanted: str, user: str) -> Clue:
    """The clue with this id, start of an id, or parcel. Raises UnknownClueError, also for a hidden clue."""
    seen = [clue for clue in clues.values() if clue.visible_to(user)]
    exact = [clue for clue in seen if clue.clue_id == wanted]
    found = exact or [clue for clue in seen if clue.clue_id.startswith(wanted) or clue.parcel == wanted]
    if len(found) != 1:
        what = "no clue is" if not found else f"{len(found)} clues are"
        raise UnknownClueError(f"{what} called {wanted}; `waybill clues list` shows them")
    return found[0]


_HIDDEN = frozenset({"ids"})


def shown(clue: Clue, now_ms: int) -> dict[str, Any]:
    """A clue as JSON, with its next step, and without a claim that has lapsed; clue: as its reader may see it."""
    hidden = _HIDDEN | hidden_of(clue)
    if clue.claimed(now_ms) is None:
        hidden |= {"claimed_by", "claimed_at"}
    due = next_due(clue, now_ms)
    owed = None if due is None else {"step": due.step, "by": due.by, "overdue": due.overdue}
    said = {name: value for name, value in msgspec.to_builtins(clue).items() if name not in hidden}
    return {**said, "state": clue.state, "version": clue.version, "owed": owed}
