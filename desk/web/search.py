"""Search by token: in which clues the same person, mobile or device occurs. It takes a purpose and a clue.

It finds clues of the user's places, never persons. Every search is on `waybill.access` before anything is shown, also
one that is refused, and nobody searches more than twenty times an hour.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.clues.acts import ActError
from desk.clues.clue import Clue
from desk.limits import Limiter
from desk.verbs import impersonal
from desk.web.core import Desk, ProblemError
from desk.web.rendering import given_in, page
from desk.web.users import User
from schemas.desk import Trace
from schemas.terms import TOKEN_FORM

SEARCHES_MAX: Final = 20
SEARCHES_S: Final = 3_600.0
TRACES_MAX: Final = 20_000
"""Traces in which it is looked for: those of the clues that changed last."""
ROWS_MAX: Final = 200
"""Clues on the page."""
_TOKENS: Final = ("sender_tokens", "sender_phone_tokens", "recipient_tokens", "device_tokens")


class Search:
    """The page, with what users have searched in the last hour."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._limit = Limiter(SEARCHES_MAX, SEARCHES_S)

    async def ask(self, request: Request, user: User) -> Response:
        """The form."""
        return page(request, "search.html", user, given={}, found=None, problem="", rows_max=ROWS_MAX)

    async def answer(self, request: Request, user: User) -> Response:
        """What a filled form finds."""
        given = await given_in(request)
        try:
            found = await run_in_threadpool(self._found, user, given)
        except ProblemError as error:
            if error.status not in (422, 429):
                raise
            return page(
                request,
                "search.html",
                user,
                error.status,
                given=given,
                found=None,
                problem=error.detail,
                rows_max=ROWS_MAX,
            )
        return page(request, "search.html", user, given=given, found=found, problem="", rows_max=ROWS_MAX)

    def _found(self, user: User, given: dict[str, str]) -> list[tuple[Clue, list[str]]]:
        desk, token, why = self._desk, given.get("token", "").strip(), given.get("why", "").strip()
        if not re.fullmatch(TOKEN_FORM, token):
            raise ProblemError(422, "token: is none")
        try:
            impersonal("why", why)
        except ActError as error:
            raise ProblemError(422, str(error)) from None
        scope = user.scope
        clue: Clue = desk.ask(lambda: desk.store.find(given.get("clue", "").strip(), scope))
        allowed = self._limit.allows(user.name)
        desk.note(user, clue, ("token_search",), why, ok=allowed)
        if not allowed:
            raise ProblemError(429, f"at most {SEARCHES_MAX} searches an hour")
        self._limit.note(user.name)
        seen: list[tuple[Clue, Trace]] = desk.ask(lambda: desk.store.carrying(token.encode(), scope, TRACES_MAX))
        carried = [(each, [kind for kind in _TOKENS if token in getattr(trace, kind)]) for each, trace in seen]
        return [(each, kinds) for each, kinds in carried if kinds]
