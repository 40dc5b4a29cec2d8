"""A clue, built from its events: its state, its station and deadlines, and the answer."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from schemas.clues import Answered
from schemas.records import Alert
from schemas.terms import Adcode, Arm, CheckKind, ClosedFor, Origin, Outcome, Status, Tier

State = Literal["new", "dispatched", "accepted", "checked", "answered", "closed"]
HoldState = Literal["requested", "effective", "breached", "released"]

RANK: Final[dict[Tier, int]] = {"extreme": 0, "high": 1, "medium": 2, "low": 3}
"""Tiers, the most urgent first."""
CLAIM_MS: Final = 15 * 60_000  # a claim ends after this time


class Hold(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The hold of a clue's parcel. Times: epoch ms UTC.

    order_id      the event with the present order to the carrier; ordered_at, station: when, and for which station.
    wanted_until  an extension that nobody has seconded yet.
    """

    state: HoldState
    order_id: str
    ordered_at: int
    station: str | None = None
    reason: str
    basis: str
    until: int
    by: str
    at: int
    effective_at: int | None = None
    wanted_until: int | None = None
    wanted_by: str | None = None
    wanted_account: str | None = None
    wanted_reason: str | None = None
    wanted_basis: str | None = None
    second_by: str | None = None
    extensions: int = 0
    released_at: int | None = None
    released_by: str | None = None
    released_for: str | None = None


class End(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One end of a transfer: a place, and at the giving end the station that handed the clue over."""

    adcode: str
    station: str | None = None


class Late(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """An event that did not count, and why."""

    event_id: str
    kind: str
    by: str
    station: str | None = None
    at: int
    why: str


class Clue(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One clue. Times are epoch ms UTC; counts are of events that applied.

    version    exclusive events applied; the next one must carry this number as `expects`.
    last       the last exclusive event, to tell an author who comes too late.
    doubled    outcomes of the newest double checks: the station's and the second person's.
    corrects   the feedback that the present answer, or the judgement of its rules, replaces.
    level      to which level the present step was escalated.
    arm, p     how the parcel was chosen: by an alert, by chance (with this probability), or both.
    standing   the status of the alert now; `alert` is the alert that first came to the clue.
    adcode     where the parcel can be stopped: by the alert or order (`standing_adcode`), or by a transfer since.
    graded_for the tier of the alert for which the clue was graded last.
    declined   stations that refused the clue for this place.
    ends       both ends of each transfer: those places and stations go on seeing the clue.
    """

    clue_id: str
    origin: Origin
    parcel: str
    tier: Tier
    adcode: str
    alert: Alert | None = None
    limit: int | None = None
    arm: Arm = "selected"
    p: float | None = None
    outlet_id: str | None = None
    note: str | None = None
    opened_at: int
    changed_at: int

    state: State = "new"
    version: int = 0
    last: str = ""
    level: int = 0
    monitor: tuple[str, ...] = ()
    claimed_by: str | None = None
    claimed_at: int | None = None

    graded_for: Tier | None = None
    standing: Status | None = None
    standing_tier: Tier | None = None
    standing_adcode: Adcode | None = None
    revision: int = 0
    order_standing: Status | None = None
    order_revision: int = 0

    station: str | None = None
    dispatched_at: int | None = None
    first_dispatched_at: int | None = None
    dispatched_adcode: Adcode | None = None
    dispatched_facility: str | None = None
    dispatched_tier: Tier | None = None
    declined: tuple[str, ...] = ()
    ends: tuple[End, ...] = ()
    accept_by: int | None = None
    check_by: int | None = None
    answer_by: int | None = None
    accepted_at: int | None = None
    accepted_by: str | None = None
    checked_at: int | None = None
    check_kind: CheckKind | None = None
    answer: Answered | None = None
    corrects: str | None = None
    answered_at: int | None = None
    first_answered_at: int | None = None
    second_by: str | None = None
    doubled: tuple[tuple[Outcome, Outcome], ...] = ()
    closed_for: ClosedFor | None = None
    closed_at: int | None = None
    hold: Hold | None = None
    kept_until: int | None = None

    dispatches: int = 0
    missed: int = 0
    refusals: int = 0
    transfers: int = 0
    disputes: int = 0
    agreed: int = 0
    reopens: int = 0
    escalations: int = 0
    notes: int = 0
    events: int = 1
    refused: int = 0
    late: tuple[Late, ...] = ()
    ids: tuple[str, ...] = ()

    @property
    def waits_for_second(self) -> bool:
        """Whether it has an answer that a second person must confirm."""
        return self.state == "answered"

    def claimed(self, now_ms: int) -> str | None:
        """Who looks at it now; a claim lapses after a quarter of an hour."""
        return self.claimed_by if now_ms < (self.claimed_at or 0) + CLAIM_MS else None

    @property
    def withdrawn(self) -> bool:
        """Whether what it comes from stands no more: neither an alert nor an order."""
        known = {self.standing, self.order_standing} - {None}
        return known == {"withdrawn"}

    @property
    def settled(self) -> bool:
        """Whether it has an answer that stands."""
        return (
            self.answer is not None and self.state in ("answered", "closed") and self.closed_for in (None, "answered")
        )

    @property
    def as_ordered(self) -> bool:
        """Whether this is the clue as a station sees it before its answer (`desk.blind`)."""
        return False

    def visible_to(self, user: str) -> bool:
        """Whether a user may see it: under controlled delivery only the users it names."""
        return not self.monitor or user in self.monitor
