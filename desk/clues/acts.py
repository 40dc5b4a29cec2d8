"""Acts: what somebody does about a clue, as an event and the records that go out with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from desk.clues.clue import Clue
from desk.clues.fold import step
from desk.clues.ids import uuid7
from desk.clues.table import EXCLUSIVE
from schemas import clues as log
from schemas.desk import Hold
from schemas.errors import WaybillError
from schemas.records import Feedback
from streams.flow.emit import alert_id


class ActError(WaybillError):
    """An act is not possible. The message says why."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act on a clue, without author and time."""

    kind: type[log.ClueEvent]
    clue_id: str
    fields: dict[str, Any] = field(default_factory=dict)

    def event(
        self, clue: Clue | None, by: str, station: str | None, at_ms: int, account: str | None = None
    ) -> log.ClueEvent:
        """The event, which expects the clue in its present state. Raises ActError for a field of another form."""
        fields = {
            "event_id": uuid7(at_ms),
            "clue_id": self.clue_id,
            "at": at_ms,
            "by": by,
            "station": station,
            "account": account,
            "expects": clue.version if clue is not None and self.kind in EXCLUSIVE else None,
            **self.fields,
        }
        try:  # msgspec checks bounds when it reads a record, not when it makes one
            made = msgspec.json.encode({"kind": self.kind.__struct_config__.tag, **fields})
            return msgspec.json.decode(made, type=self.kind)
        except (msgspec.ValidationError, TypeError) as error:
            raise ActError(f"{self.kind.__struct_config__.tag}: {error}") from None


def checked(clue: Clue | None, event: log.ClueEvent) -> Clue:
    """The clue after an event, if no other event comes first. Raises ActError if it would be refused already now."""
    after = step(clue, event)
    if isinstance(after, str):
        raise ActError(after)
    return after


def feedback_of(clue: Clue) -> Feedback | None:
    """The valid record on `waybill.feedback` for a clue: its answer, for stations and measures."""
    said = clue.answer
    if said is None:
        return None
    return Feedback(
        feedback_id=said.feedback_id,
        alert_id=alert_id(clue.parcel),
        revision=clue.revision if clue.alert is not None else 0,
        outcome=said.outcome,
        rules=said.rules,
        note=said.note,
        found_g=said.found_g,
        at=said.at,
        by_station=said.station or "",
        clue_id=clue.clue_id,
        arm=clue.arm,
        p=clue.p,
        unsure_rules=said.unsure_rules or None,
        checked_at=clue.checked_at,
        check_kind=clue.check_kind,
        noise_reason=said.noise_reason,
        corrects=clue.corrects,
    )


def hold_of(clue: Clue) -> Hold | None:
    """The valid record on `waybill.holds` for a clue: what its carrier must do now."""
    hold = clue.hold
    if hold is None:
        return None
    released = hold.state == "released"
    return Hold(
        hold_id=hold.order_id,
        clue_id=clue.clue_id,
        action="release" if released else "extend" if hold.extensions else "request",
        parcel=clue.parcel,
        reason=(hold.released_for if released else hold.reason) or "",
        basis=hold.basis,
        until=hold.until,
        by=(hold.released_by if released else hold.by) or "",
        second_by=hold.second_by,
        station=hold.station,
        at=hold.ordered_at,
    )
