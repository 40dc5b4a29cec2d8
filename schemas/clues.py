"""The clue log: every act on a clue is one event on `waybill.clues`. The events alone determine the clue.

`desk.clues.fold` reads them in the order of their partition. An event with `expects` is *exclusive*: it applies only if
no other exclusive event was applied to the clue since its author read it. So if two stations accept at the same time,
one wins, and all readers agree which one. `expects` is the number of exclusive events applied so far.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.records import Alert, Record, _about
from schemas.terms import (
    Adcode,
    Arm,
    CheckKind,
    ClosedFor,
    ClueId,
    Count,
    EventId,
    HoldAction,
    Id,
    Millis,
    NoiseReason,
    Origin,
    Outcome,
    Probability,
    RuleId,
    Status,
    Step,
    Text,
    Tier,
    UserId,
)

Limit = Annotated[int, Meta(ge=0, le=100)]
Revision = Annotated[int, Meta(ge=0)]
Version = Annotated[int, Meta(ge=0)]


def _tag(name: str) -> str:
    """`DueMoved` is `due_moved` on the wire."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class ClueEvent(Record, frozen=True, kw_only=True, tag_field="kind", tag=_tag):
    """The fields that all events of a clue share."""

    event_id: Annotated[EventId, _about("UUID version 7, unique per event; a repeat changes nothing.")]
    clue_id: Annotated[ClueId, _about("The clue; key of the message.")]
    at: Annotated[Millis, _about("Wall clock of the act, epoch ms UTC.")]
    by: Annotated[UserId, _about("Who acts: opaque id of a user, or of a process.")]
    station: Annotated[Id | None, _about("Station for which that user acts.")] = None
    account: Annotated[
        Id | None,
        _about("Hash of the system account that ran the command; absent over HTTP, where the token names the user."),
    ] = None
    expects: Annotated[
        Version | None,
        _about("Exclusive events of the clue that the author saw applied (count); absent = not exclusive."),
    ] = None

    again: Annotated[
        Version | None,
        _about("Number of the event in its clue's history, from 0; where it is written again to outlast retention."),
    ] = None

    @property
    def key(self) -> str:
        """Key of the message: the clue."""
        return self.clue_id


class Opened(ClueEvent, frozen=True, kw_only=True):
    """A clue begins: from an alert, an order of the random arm, or a report by a courier."""

    origin: Annotated[Origin, _about("What it comes from.")]
    parcel: Annotated[Annotated[str, Meta(min_length=3, max_length=129)], _about("Parcel, `CARRIER:NUMBER`.")]
    tier: Annotated[Tier, _about("Urgency; medium for an order, as of most alerts.")]
    adcode: Annotated[Adcode, _about("Where the parcel can next be stopped, GB/T 2260.")]
    alert: Annotated[Alert | None, _about("The alert as it was then; for clues from alerts.")] = None
    limit: Annotated[Limit | None, _about("Points from which alerts go out; for clues from alerts.")] = None
    arm: Annotated[Arm, _about("How the parcel was chosen.")] = "selected"
    p: Annotated[Probability | None, _about("Probability with which the random arm chose it.")] = None
    revision: Annotated[Revision, _about("Revision of the order; for clues from orders.")] = 0
    outlet_id: Annotated[Id | None, _about("Outlet of acceptance; for clues from orders.")] = None
    note: Annotated[Text | None, _about("What was reported; no personal data.")] = None


class Joined(ClueEvent, frozen=True, kw_only=True):
    """The parcel of an alert was chosen by the random arm too, or that of an order has an alert: it is one clue."""

    origin: Annotated[Literal["alert", "order"], _about("What comes to the clue.")]
    revision: Annotated[Revision, _about("Revision of the alert or order.")]
    adcode: Annotated[Adcode, _about("Where the parcel can next be stopped, GB/T 2260.")]
    alert: Annotated[Alert | None, _about("The alert as it was then.")] = None
    limit: Annotated[Limit | None, _about("Points from which alerts go out.")] = None
    p: Annotated[Probability | None, _about("Probability with which the random arm chose it.")] = None


class Standing(ClueEvent, frozen=True, kw_only=True):
    """The alert has changed, or the order was taken back or given again. The clue keeps what it was opened with."""

    origin: Annotated[
        Literal["alert", "order"] | None, _about("What has changed; absent = what the clue was opened with.")
    ] = None
    revision: Annotated[
        Revision, _about("Revision of the changed alert or order; of an order taken back, one more than before.")
    ]
    status: Annotated[Status, _about("Status of the alert; of an order, withdrawn if it was taken back.")]
    tier: Annotated[Tier, _about("Tier of the alert; of an order, that of the clue.")]
    adcode: Annotated[Adcode, _about("Where the parcel can be stopped now, GB/T 2260.")]
    p: Annotated[Probability | None, _about("Of an order: probability with which it was chosen.")] = None


class Graded(ClueEvent, frozen=True, kw_only=True):
    """A person changes the urgency of the clue."""

    tier: Annotated[Tier, _about("Urgency from now on.")]
    why: Annotated[Text, _about("Reason; no personal data.")]


class Claimed(ClueEvent, frozen=True, kw_only=True):
    """Someone looks at it in the queue; it is reserved for that person for 15 minutes."""


class Dispatched(ClueEvent, frozen=True, kw_only=True):
    """The clue goes to a station, with the times by which that station must act."""

    to: Annotated[Id, _about("Station that can stop the parcel.")]
    adcode: Annotated[Adcode, _about("Place by which the station was chosen, GB/T 2260.")]
    facility: Annotated[Id | None, _about("Facility by which it was chosen, where one is known.")] = None
    accept_by: Annotated[Millis, _about("To be accepted by then, epoch ms UTC.")]
    check_by: Annotated[Millis, _about("Parcel to be looked at by then, epoch ms UTC.")]
    answer_by: Annotated[Millis, _about("To be answered by then, epoch ms UTC.")]
    missed: Annotated[bool, _about("The parcel left the station before it had accepted.")] = False


class Accepted(ClueEvent, frozen=True, kw_only=True):
    """The station accepts the clue."""


class Refused(ClueEvent, frozen=True, kw_only=True):
    """The station cannot accept the clue; it waits for another station."""

    why: Annotated[Text, _about("Reason; no personal data.")]


class Transferred(ClueEvent, frozen=True, kw_only=True):
    """The station hands it over to another place; the clue waits for that place's station."""

    to_adcode: Annotated[Adcode, _about("Where the parcel is, GB/T 2260.")]
    why: Annotated[Text, _about("Reason; no personal data.")]


class Checked(ClueEvent, frozen=True, kw_only=True):
    """Someone looked at the parcel."""

    check_kind: Annotated[CheckKind, _about("How.")]
    checked_at: Annotated[Millis, _about("When, epoch ms UTC.")]
    inspection: Annotated[EventId | None, _about("The inspection that shows it, where one was seen.")] = None


class Answered(ClueEvent, frozen=True, kw_only=True):
    """What was found. Written in one transaction with the feedback `feedback_id`."""

    feedback_id: Annotated[Id, _about("The feedback that says the same on `waybill.feedback`.")]
    outcome: Annotated[Outcome, _about("What was found; `transferred` is no answer, use the event of that name.")]
    rules: Annotated[tuple[RuleId, ...] | None, _about("Rules that were right; absent = not judged.")] = None
    unsure_rules: Annotated[tuple[RuleId, ...], _about("Rules that the check could not judge.")] = ()
    check_kind: Annotated[CheckKind | None, _about("How the parcel was looked at.")] = None
    checked_at: Annotated[Millis | None, _about("When it was looked at, epoch ms UTC.")] = None
    found_g: Annotated[Count | None, _about("Weight of what was seized, grams.")] = None
    noise_reason: Annotated[NoiseReason | None, _about("Why the alert was wrong.")] = None
    note: Annotated[Text | None, _about("Remark; no personal data.")] = None


class Judged(ClueEvent, frozen=True, kw_only=True):
    """The station says which rules were right: after its answer, because before it does not see them. Written in one
    transaction with the feedback `feedback_id`, which corrects that of the answer.
    """

    feedback_id: Annotated[Id, _about("The feedback that says the same on `waybill.feedback`.")]
    rules: Annotated[tuple[RuleId, ...], _about("Rules that were right.")]
    unsure_rules: Annotated[tuple[RuleId, ...], _about("Rules that the check could not judge.")] = ()


class Confirmed(ClueEvent, frozen=True, kw_only=True):
    """A second person agrees with the answer."""

    note: Annotated[Text | None, _about("Remark; no personal data.")] = None


class Disputed(ClueEvent, frozen=True, kw_only=True):
    """A second person does not agree; the station must answer again."""

    outcome: Annotated[Outcome | None, _about("What the second person found.")] = None
    why: Annotated[Text, _about("Reason; no personal data.")]


class Reopened(ClueEvent, frozen=True, kw_only=True):
    """A closed clue is worked on again."""

    why: Annotated[Text, _about("Reason; no personal data.")]


class Closed(ClueEvent, frozen=True, kw_only=True):
    """The clue ends without an answer: nobody looked, so no feedback goes out."""

    reason: Annotated[ClosedFor, _about("Why. `answered` is not used here: an answer closes the clue by itself.")]


class Escalated(ClueEvent, frozen=True, kw_only=True):
    """A higher level is told that a step is overdue."""

    level: Annotated[Annotated[int, Meta(ge=1, le=2)], _about("1 = prefecture, 2 = province.")]
    adcode: Annotated[Adcode, _about("The place that is told, GB/T 2260.")]
    step: Annotated[Step, _about("The step that is overdue.")]


class Monitor(ClueEvent, frozen=True, kw_only=True):
    """Controlled delivery: the parcel goes on, only these users see the clue, and no station is told."""

    on: Annotated[bool, _about("Begins; false: ends.")]
    users: Annotated[tuple[UserId, ...], _about("Who sees the clue.")] = ()
    why: Annotated[Text, _about("Reason and order; no personal data.")]


class Held(ClueEvent, frozen=True, kw_only=True):
    """One step of a hold of the parcel: requested, in effect at the carrier, breached by its delivery, extended,
    seconded or released.
    """

    action: Annotated[HoldAction, _about("Which step. `second` puts an extension into force.")]
    reason: Annotated[Text | None, _about("Why; for a request, an extension or a release. No personal data.")] = None
    basis: Annotated[Text | None, _about("Legal basis; for a request or an extension.")] = None
    until: Annotated[Millis | None, _about("End, epoch ms UTC; for a request at most 24 h ahead.")] = None


class DueMoved(ClueEvent, frozen=True, kw_only=True):
    """A deadline is moved."""

    step: Annotated[Step, _about("Which deadline.")]
    due: Annotated[Millis, _about("The new deadline, epoch ms UTC.")]
    why: Annotated[Text, _about("Reason; no personal data.")]


class Noted(ClueEvent, frozen=True, kw_only=True):
    """A remark."""

    note: Annotated[Text, _about("No personal data.")]


class Kept(ClueEvent, frozen=True, kw_only=True):
    """The clue is kept beyond the retention of the topic."""

    until: Annotated[Millis, _about("Kept at least until then, epoch ms UTC.")]
    why: Annotated[Text, _about("Legal reason.")]


AnyClueEvent = (
    Opened
    | Joined
    | Standing
    | Graded
    | Claimed
    | Dispatched
    | Accepted
    | Refused
    | Transferred
    | Checked
    | Answered
    | Judged
    | Confirmed
    | Disputed
    | Reopened
    | Closed
    | Escalated
    | Monitor
    | Held
    | DueMoved
    | Noted
    | Kept
)
