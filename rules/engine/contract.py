"""What a rule file holds, and the error that a faulty one raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from schemas.errors import WaybillError

Action = Literal["hold", "open_box", "second_xray", "identity_check", "visit_outlet"]
"""In the order in which alerts name them."""
Answer = Literal["yes", "no", "unknown"]
Limit = int | float | str | list[int | float | str]

Text = Annotated[str, Meta(min_length=1, max_length=1000)]

SETTABLE: Final = ("points", "mode", "budget")
"""What a deployment may change of a rule beside its limits."""


class RuleError(WaybillError):
    """A rule, or a setting of one, that cannot be used: says which file, which field, and what is wrong."""

    def __init__(self, file: str, field: str, problem: str) -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file = file
        self.field = field
        self.problem = problem


class Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of a case, or a row of equal ones: what differs from a valid and quiet default (`engine.cases`)."""

    after: str = "0 s"
    """Time since the first event of the case: a number and ms, s, min, h or d."""
    shipment: dict[str, Any] | None = None
    scan: dict[str, Any] | None = None
    inspection: dict[str, Any] | None = None
    reference: dict[str, Any] | None = None
    """A reference record, known from then on; its `kind` says of what."""
    repeat: Annotated[int, Meta(ge=1, le=1000)] = 1
    """How many times the event happens; each shipment is a parcel of its own."""
    every: str = "1 min"
    """Time from one repetition to the next."""


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A timeline, and what the rule must answer for its parcels once all of it is known."""

    name: Text
    events: Annotated[list[Event], Meta(min_length=1)]
    until: str = ""
    """How far event time has come when the answers are asked for, since the first event, so `5 min`; empty: no further
    event comes, and every deadline has passed."""
    expect: Answer | dict[str, Answer]
    """One answer for every parcel, or answers by `first`, `last`, waybill number, and `others` for the rest."""


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule file. `id` is its place, `family.name`; every other field is written in it."""

    id: str
    title: dict[Literal["zh", "en"], Text]
    """In both languages."""
    category: Literal["suspicion", "compliance"]
    points: Annotated[int, Meta(ge=1, le=100)]
    version: Annotated[int, Meta(ge=1)] = 1
    """Rises when the meaning of the rule changes."""
    mode: Literal["live", "shadow", "off"] = "live"
    """A shadow rule is answered on a topic of its own and earns no points; one that is off is checked and left out."""
    budget: Annotated[float, Meta(gt=0, le=1)] | None = None
    """Share of verdicts that may open an alert because of this rule, before it is held back; none: as set for all."""
    why: Text
    misses: Text
    triage: Text
    actions: Annotated[tuple[Action, ...], Meta(min_length=1)]
    limits: Mapping[str, Limit] = {}
    when: Annotated[str, Meta(min_length=1, max_length=2000)]
    """SQL predicate over the documented columns; `:name` stands for a limit."""
    evidence: Annotated[tuple[str, ...], Meta(min_length=1)]
    """Columns shown with a yes."""
    never_unknown: bool = False
    """The rule reads only columns that always have a value, so there is no case in which it is unknown."""
    cases: Annotated[tuple[Case, ...], Meta(min_length=1)]
