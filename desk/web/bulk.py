"""Several clues at once, a hundred at most: what is safe to do without looking at each. Nobody answers a find here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.verbs import Verb
from desk.web.core import Desk, ProblemError, allowed, body_of, filter_of, now, version_of
from desk.web.forms import FORMS, Field, verb_of
from desk.web.rendering import page
from desk.web.users import User

CLUES_MAX: Final = 100
# Each act: its verb, and the fields of the verb's form that are asked for.
ACTS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "accept": ("accept", ()),
    "no_finding": ("answer", ("check_kind",)),
    "claim": ("claim", ()),
    "note": ("note", ("note",)),
    "grade": ("grade", ("tier", "why")),
    "close": ("close", ("reason",)),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clue. why: why it does not count; empty: it does."""

    clue: str
    why: str


def fields_of(act: str) -> list[Field]:
    """The fields of an act's form."""
    verb, names = ACTS[act]
    return [field for field in FORMS[verb].fields if field.name in names]


async def ask(desk: Desk, request: Request, user: User) -> Response:
    """The clues that were chosen in the queue; if none were, the first of it with the filter in the address."""
    return await _page(desk, request, user, 200, [], "")


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """Do one thing about each of the clues that were chosen; one that does not count stops none of the others."""
    act = request.path_params["act"]
    if act not in ACTS:
        raise ProblemError(404, f"no act {act}")
    allowed(user, ACTS[act][0])
    try:
        sent = parse_qsl((await body_of(request)).decode(), keep_blank_values=True, max_num_fields=2 * CLUES_MAX)
    except ValueError:
        raise ProblemError(422, f"not a form, or more than {CLUES_MAX} clues") from None
    chosen = [text for name, text in sent if name == "clue"]
    if not 0 < len(chosen) <= CLUES_MAX:
        return await _page(desk, request, user, 422, [], f"choose 1 to {CLUES_MAX} clues")
    names = {field.name for field in fields_of(act)}
    given = {name: text for name, text in sent if name in names}
    try:
        verb = verb_of(ACTS[act][0], {**given, "outcome": "no_finding"} if act == "no_finding" else given)
    except msgspec.ValidationError as error:
        return await _page(desk, request, user, 422, [], str(error))
    done = [await run_in_threadpool(_done, desk, user, verb, text) for text in dict.fromkeys(chosen)]
    return await _page(desk, request, user, 200, done, "")


def _done(desk: Desk, user: User, verb: Verb, text: str) -> Outcome:
    clue, _, version = text.rpartition(":")
    expects = version_of(version)
    if expects is None:
        return Outcome(text, "no version")
    try:
        desk.act(clue, verb, user, expects, now())
    except ProblemError as error:
        if error.status == 503:
            raise
        return Outcome(clue, error.detail)
    return Outcome(clue, "")


async def _page(desk: Desk, request: Request, user: User, status: int, done: list[Outcome], problem: str) -> Response:
    which, chosen = filter_of(request.query_params, user), request.query_params.getlist("clue")[:CLUES_MAX]
    found = await run_in_threadpool(desk.ask, lambda: desk.store.queue(which, user.scope, limit=CLUES_MAX, only=chosen))
    acts = {act: fields_of(act) for act, (verb, _) in ACTS.items() if user.may(verb)}
    return page(
        request, "bulk.html", user, status, here="/desk/bulk", clues=found.clues, count=found.count, acts=acts,
        chosen=bool(chosen), done=done, problem=problem, clues_max=CLUES_MAX, now_ms=now(),
    )  # fmt: skip
