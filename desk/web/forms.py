"""The forms of a clue's page: which verbs it offers whom, their fields, and the verb that a filled form means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, get_args

import msgspec

from desk.clues.clue import Clue
from desk.clues.table import FROM, OF_STATION
from desk.verbs import LEVEL_MAX, VERBS, Verb
from desk.web.users import User
from schemas import clues as log
from schemas.terms import CheckKind, NoiseReason, Outcome, Step, Tier
from streams.values import CHINA

JUDGEMENTS: Final = ("right", "wrong", "unsure")
_FOUND: Final = tuple(each for each in get_args(Outcome) if each != "transferred")  # for which there is a verb


@dataclass(frozen=True, slots=True)
class Field:
    """One field. options: of a list, named by the words of `group`."""

    name: str
    required: bool = False
    group: str = ""
    options: tuple[str, ...] = ()
    kind: str = "text"
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The form of one verb, which makes an event of this kind."""

    event: type[log.ClueEvent]
    fields: tuple[Field, ...] = ()


_WHY: Final = Field("why", required=True)
_NOTE: Final = Field("note")
_STEP: Final = Field("step", required=True, group="step", options=get_args(Step))
_HOLD: Final = (
    Field("reason", required=True),
    Field("basis", required=True),
    Field("until", required=True, kind="time"),
)
FORMS: Final[dict[str, Form]] = {
    "claim": Form(log.Claimed),
    "accept": Form(log.Accepted),
    "answer": Form(
        log.Answered,
        (
            Field("outcome", required=True, group="outcome", options=_FOUND),
            Field("check_kind", group="check", options=get_args(CheckKind)),
            Field("found_g", kind="number"),
            Field("noise_reason", group="noise", options=get_args(NoiseReason)),
            _NOTE,
        ),
    ),
    "judge": Form(log.Judged),
    "check": Form(log.Checked, (Field("check_kind", required=True, group="check", options=get_args(CheckKind)),)),
    "confirm": Form(log.Confirmed, (_NOTE,)),
    "dispute": Form(log.Disputed, (_WHY, Field("outcome", group="outcome", options=_FOUND))),
    "refuse": Form(log.Refused, (_WHY,)),
    "transfer": Form(log.Transferred, (Field("to_adcode", required=True, pattern="[1-9][0-9]{5}"), _WHY)),
    "hold": Form(log.Held, _HOLD),
    "extend": Form(log.Held, _HOLD),
    "second": Form(log.Held),
    "release": Form(log.Held, (Field("reason", required=True),)),
    "note": Form(log.Noted, (Field("note", required=True),)),
    "grade": Form(log.Graded, (Field("tier", required=True, group="tier", options=get_args(Tier)), _WHY)),
    "due": Form(log.DueMoved, (_STEP, Field("due", required=True, kind="time"), _WHY)),
    "escalate": Form(log.Escalated, (_STEP,)),
    "close": Form(log.Closed, (Field("reason", required=True, group="closed", options=("duplicate", "out_of_reach")),)),
    "reopen": Form(log.Reopened, (_WHY,)),
    "keep": Form(log.Kept, (Field("until", required=True, kind="time"), _WHY)),
    "monitor": Form(
        log.Monitor, (Field("on", required=True, group="monitor", options=("true", "false")), Field("users"), _WHY)
    ),
}
RARE: Final = frozenset({"claim", "keep", "note", "grade", "due", "escalate", "close", "reopen", "monitor"})
"""Forms that a clue's page folds away."""


def offered(clue: Clue, user: User) -> dict[str, Form]:
    """The forms that this user can send with success, as the clue is now."""
    return {
        verb: form
        for verb, form in FORMS.items()
        if user.may(verb, clue)
        and clue.state in FROM[form.event]
        and (form.event not in OF_STATION or user.station == clue.station)
        and (form.event is not log.Judged or (clue.settled and clue.alert is not None))
        and not (form.event in (log.Confirmed, log.Disputed) and clue.answer and clue.answer.by == user.name)
        and (form.event is not log.Held or _of_hold(verb, clue, user))
        and not (form.event is log.Graded and clue.as_ordered)
        and not (form.event is log.Escalated and clue.level == LEVEL_MAX)
    }


def _of_hold(verb: str, clue: Clue, user: User) -> bool:
    """Whether the next step of a clue's hold can be this verb."""
    hold = clue.hold
    if hold is None or hold.state == "released":
        return verb == "hold" and clue.state != "closed"
    if verb == "second":
        return hold.wanted_until is not None and hold.wanted_by != user.name
    return verb != "hold"


def verb_of(name: str, given: Mapping[str, str]) -> Verb:
    """The verb that a filled form means; empty fields are left out. Raises msgspec.ValidationError."""
    fields: dict[str, Any] = {
        field.name: _typed(field, given[field.name])
        for field in FORMS[name].fields
        if given.get(field.name, "").strip()
    }
    if name in ("answer", "judge"):
        fields |= _judged({key.removeprefix("rule:"): said for key, said in given.items() if key.startswith("rule:")})
    made: Verb = msgspec.convert(fields, VERBS[name], strict=False)
    return made


def _typed(field: Field, text: str) -> str | int | list[str]:
    """What was typed. A time is one in China; users stand between commas or blanks."""
    if field.kind == "time":
        try:
            return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp() * 1_000)
        except ValueError:
            raise msgspec.ValidationError(f"{field.name}: not a time such as 2026-11-30T14:05") from None
    return re.split(r"[,，、\s]+", text.strip()) if field.name == "users" else text


def _judged(said: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Rules by judgement. One left open beside others that are judged is unsure; if all are open, none is judged."""
    if not any(judgement in JUDGEMENTS for judgement in said.values()):
        return {}
    return {
        "rules": tuple(rule for rule, judgement in said.items() if judgement == "right"),
        "unsure_rules": tuple(rule for rule, judgement in said.items() if judgement not in ("right", "wrong")),
    }
