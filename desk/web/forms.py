"""The forms of a clue's page: which verbs it offers whom, their fields, and the verb that a filled form means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

import msgspec

from desk.clues.clue import Clue
from desk.clues.table import FROM, OF_STATION
from desk.verbs import VERBS, Verb
from desk.web.users import User
from schemas import clues as log
from schemas.terms import CheckKind, NoiseReason, Outcome

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
FORMS: Final[dict[str, Form]] = {
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
    "note": Form(log.Noted, (Field("note", required=True),)),
}


def offered(clue: Clue, user: User) -> dict[str, Form]:
    """The forms that this user can send with success, as the clue is now."""
    return {
        verb: form
        for verb, form in FORMS.items()
        if clue.state in FROM[form.event]
        and (form.event not in OF_STATION or user.station == clue.station)
        and (form.event is not log.Judged or _judgeable(clue))
        and not (form.event in (log.Confirmed, log.Disputed) and clue.answer and clue.answer.by == user.name)
    }


def _judgeable(clue: Clue) -> bool:
    """Whether it has rules, and an answer that stands."""
    return clue.alert is not None and clue.answer is not None and clue.closed_for in (None, "answered")


def verb_of(name: str, given: Mapping[str, str]) -> Verb:
    """The verb that a filled form means; empty fields are left out. Raises msgspec.ValidationError."""
    fields: dict[str, Any] = {
        field.name: given[field.name] for field in FORMS[name].fields if given.get(field.name, "").strip()
    }
    if name in ("answer", "judge"):
        fields |= _judged({key.removeprefix("rule:"): said for key, said in given.items() if key.startswith("rule:")})
    made: Verb = msgspec.convert(fields, VERBS[name], strict=False)
    return made


def _judged(said: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Rules by judgement. One left open beside others that are judged is unsure; if all are open, none is judged."""
    if not any(judgement in JUDGEMENTS for judgement in said.values()):
        return {}
    return {
        "rules": tuple(rule for rule, judgement in said.items() if judgement == "right"),
        "unsure_rules": tuple(rule for rule, judgement in said.items() if judgement not in ("right", "wrong")),
    }
