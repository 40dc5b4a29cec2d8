"""What people and machines may do about a clue: one record per verb, for the command line and for HTTP.

Each verb becomes an act on a clue in its present state. Input is checked here: a rule must be one of the clue's rules,
no text may hold an ID number or a mobile, and who must not know yet why a parcel is checked learns nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from desk.blind import blind
from desk.clues.acts import Act, ActError
from desk.clues.clue import Clue
from desk.clues.ids import uuid7
from schemas import clues as log
from schemas.desk import Parcel
from schemas.terms import (
    ADCODE_FORM,
    Adcode,
    CheckKind,
    Count,
    Millis,
    NoiseReason,
    Outcome,
    RuleId,
    Step,
    Text,
    Tier,
    UserId,
)

LEVEL_MAX: Final = 2  # the province
_PARCEL: Final = re.compile(r"[^:\s]{1,64}:\S{1,64}")
# An 18-digit ID number or a mobile: free text is where personal data slips in.
_PERSON: Final = re.compile(r"(?<!\d)(?:\d{17}[\dXx]|1[3-9]\d{9})(?!\d)")


class Verb(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of one verb."""


class Accept(Verb, frozen=True, kw_only=True):
    """Accept the clue."""


class Refuse(Verb, frozen=True, kw_only=True):
    """Say that this station cannot accept it; it goes to another."""

    why: Text


class Transfer(Verb, frozen=True, kw_only=True):
    """Hand it over to the place where the parcel is."""

    to_adcode: Adcode
    why: Text


class Check(Verb, frozen=True, kw_only=True):
    """Say that someone looked at the parcel; without a time, now."""

    check_kind: CheckKind
    checked_at: Millis | None = None


class Answer(Verb, frozen=True, kw_only=True):
    """Say what was found. Rules that are neither right nor unsure count as wrong. Of a find without `rules`, none is
    judged. With its first answer a station names no rules, since it does not see them yet: `judge` comes after.
    """

    outcome: Outcome
    rules: tuple[RuleId, ...] | None = None
    unsure_rules: tuple[RuleId, ...] = ()
    check_kind: CheckKind | None = None
    checked_at: Millis | None = None
    found_g: Count | None = None
    noise_reason: NoiseReason | None = None
    note: Text | None = None


class Judge(Verb, frozen=True, kw_only=True):
    """Say after the answer which rules were right. Those that are neither right nor unsure count as wrong."""

    rules: tuple[RuleId, ...]
    unsure_rules: tuple[RuleId, ...] = ()


class Confirm(Verb, frozen=True, kw_only=True):
    """Agree with an answer, as a second person."""

    note: Text | None = None


class Dispute(Verb, frozen=True, kw_only=True):
    """Disagree with an answer, as a second person."""

    why: Text
    outcome: Outcome | None = None


class Reopen(Verb, frozen=True, kw_only=True):
    """Work on a closed clue again."""

    why: Text


class Hold(Verb, frozen=True, kw_only=True):
    """Ask the carrier to stop the parcel, for 24 hours at most."""

    reason: Text
    basis: Text
    until: Millis


class Extend(Verb, frozen=True, kw_only=True):
    """Ask for a longer hold. It needs a second person."""

    reason: Text
    basis: Text
    until: Millis


class Second(Verb, frozen=True, kw_only=True):
    """Put an extension into force, as a second person."""


class Release(Verb, frozen=True, kw_only=True):
    """Let the parcel go on."""

    reason: Text


class Monitor(Verb, frozen=True, kw_only=True):
    """Begin or end controlled delivery: only these users see the clue."""

    why: Text
    on: bool = True
    users: tuple[UserId, ...] = ()


class Grade(Verb, frozen=True, kw_only=True):
    """Change the urgency. A clue that nobody has accepted gets new deadlines."""

    tier: Tier
    why: Text


class Close(Verb, frozen=True, kw_only=True):
    """End a clue that nobody has accepted, since nobody needs to look, or nobody can."""

    reason: Literal["duplicate", "out_of_reach"]


class Escalate(Verb, frozen=True, kw_only=True):
    """Tell the next higher level."""

    step: Step


class MoveDue(Verb, frozen=True, kw_only=True):
    """Move a deadline."""

    step: Step
    due: Millis
    why: Text


class Note(Verb, frozen=True, kw_only=True):
    """Add a remark."""

    note: Annotated[str, Meta(min_length=1, max_length=512)]


class Claim(Verb, frozen=True, kw_only=True):
    """Reserve the clue for yourself, for 15 minutes."""


class Keep(Verb, frozen=True, kw_only=True):
    """Keep the clue beyond the retention of the log, at least until then, for a legal reason."""

    until: Millis
    why: Text


class Report(Verb, frozen=True, kw_only=True):
    """Open a clue about a parcel that a courier or somebody else has reported."""

    parcel: Parcel
    adcode: Adcode
    note: Text
    tier: Tier = "medium"


VERBS: Final[dict[str, type[Verb]]] = {
    "claim": Claim,
    "accept": Accept,
    "refuse": Refuse,
    "transfer": Transfer,
    "check": Check,
    "answer": Answer,
    "judge": Judge,
    "confirm": Confirm,
    "dispute": Dispute,
    "reopen": Reopen,
    "hold": Hold,
    "extend": Extend,
    "second": Second,
    "release": Release,
    "monitor": Monitor,
    "grade": Grade,
    "close": Close,
    "escalate": Escalate,
    "due": MoveDue,
    "note": Note,
    "keep": Keep,
}
_NAMES: Final = {kind: name for name, kind in VERBS.items()}


def impersonal(name: str, text: str, *, empty: bool = False) -> None:
    """Raise ActError for a text that may name a person, and unless it may be empty, for one that is."""
    if _PERSON.search(text):
        raise ActError(f"{name}: holds what may be an ID number or a mobile; no personal data goes into the log")
    if not empty and not text.strip():
        raise ActError(f"{name}: is empty")


def name_of(verb: Verb) -> str:
    """The name of a verb."""
    return _NAMES[type(verb)]


def act(verb: Verb, clue: Clue, at_ms: int, station: str | None) -> Act:
    """The act of a verb on a clue at a time; station: for which its author acts. Raises ActError if it does not fit."""
    _check_texts(verb)
    if blind(clue, station):
        if isinstance(verb, Answer) and (verb.rules or verb.unsure_rules):
            raise ActError("rules: are judged after the answer, by `judge`")
        if isinstance(verb, Grade):
            raise ActError("tier: a station sees it after its answer, and does not change it before")
    return _ACTS[type(verb)](verb, clue, at_ms)


def report(verb: Report, at_ms: int) -> Act:
    """The act that opens a clue of a report. Raises ActError."""
    _check_texts(verb)
    if not _PARCEL.fullmatch(verb.parcel):
        raise ActError("parcel: is not CARRIER:NUMBER")
    # An id like that of an alert: who gets the clue must not tell one from the other.
    clue_id = "wa-" + sha256(uuid7(at_ms).encode()).hexdigest()[:24]
    return Act(log.Opened, clue_id, {"origin": "reported", **msgspec.structs.asdict(verb)})


def _check_texts(verb: Verb) -> None:
    for name, value in msgspec.structs.asdict(verb).items():
        if not isinstance(value, str) or name == "parcel":  # a waybill number may look like anything
            continue
        impersonal(name, value, empty=name not in ("why", "reason", "basis", "note"))
        if name.endswith("adcode") and not re.fullmatch(ADCODE_FORM, value):
            raise ActError(f"{name}: is no code of six digits (GB/T 2260)")


def _plain(kind: type[log.ClueEvent], **more: Any) -> Callable[[Verb, Clue, int], Act]:
    """A function that makes an event with the fields of its verb."""
    return lambda verb, clue, at_ms: Act(kind, clue.clue_id, {**msgspec.structs.asdict(verb), **more})


def _check(verb: Check, clue: Clue, at_ms: int) -> Act:
    at = at_ms if verb.checked_at is None else verb.checked_at
    return Act(log.Checked, clue.clue_id, {"check_kind": verb.check_kind, "checked_at": at})


def _answer(verb: Answer, clue: Clue, at_ms: int) -> Act:
    _check_rules(clue, verb.rules or (), verb.unsure_rules)
    rules = verb.rules
    if rules is None and verb.outcome in ("no_finding", "wrong_alert"):
        rules = ()  # nothing was found, so no rule was right
    fields = {**msgspec.structs.asdict(verb), "rules": rules, "feedback_id": uuid7(at_ms)}
    return Act(log.Answered, clue.clue_id, fields)


def _judge(verb: Judge, clue: Clue, at_ms: int) -> Act:
    if clue.answer is None:
        raise ActError("rules: are judged after the answer")
    if clue.alert is None:
        raise ActError("rules: this clue has none")
    _check_rules(clue, verb.rules, verb.unsure_rules)
    return Act(log.Judged, clue.clue_id, {**msgspec.structs.asdict(verb), "feedback_id": uuid7(at_ms)})


def _check_rules(clue: Clue, right: tuple[str, ...], unsure: tuple[str, ...]) -> None:
    given = {reason.rule for reason in clue.alert.reasons} if clue.alert is not None else set()
    if {*right, *unsure} - given:  # which the message does not repeat: they may be anything
        known = ", ".join(sorted(given)) or "it has none"
        raise ActError(f"rules: one of those named is no rule of this clue ({known})")
    if set(right) & set(unsure):
        raise ActError("a rule is either right or unsure")


def _escalate(verb: Escalate, clue: Clue, at_ms: int) -> Act:
    level = clue.level + 1
    if level > LEVEL_MAX:
        raise ActError("the province knows already")
    place = clue.adcode[:4] + "00" if level == 1 else clue.adcode[:2] + "0000"
    return Act(log.Escalated, clue.clue_id, {"level": level, "adcode": place, "step": verb.step})


_ACTS: Final[dict[type[Verb], Callable[[Any, Clue, int], Act]]] = {
    Accept: _plain(log.Accepted),
    Refuse: _plain(log.Refused),
    Transfer: _plain(log.Transferred),
    Check: _check,
    Answer: _answer,
    Judge: _judge,
    Confirm: _plain(log.Confirmed),
    Dispute: _plain(log.Disputed),
    Reopen: _plain(log.Reopened),
    Hold: _plain(log.Held, action="request"),
    Extend: _plain(log.Held, action="extend"),
    Second: _plain(log.Held, action="second"),
    Release: _plain(log.Held, action="release"),
    Monitor: _plain(log.Monitor),
    Grade: _plain(log.Graded),
    Close: _plain(log.Closed),
    Escalate: _escalate,
    MoveDue: _plain(log.DueMoved),
    Note: _plain(log.Noted),
    Claim: _plain(log.Claimed),
    Keep: _plain(log.Kept),
}
