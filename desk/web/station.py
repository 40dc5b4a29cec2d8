"""A station's own page, for a phone at the counter: what to do now, and the answer in two taps.

It shows the same words for every clue, "check as ordered", whether an alert or chance has chosen the parcel.
"""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.clues.clue import Clue, State
from desk.clues.deadlines import next_due
from desk.queue import Filter
from desk.web.core import Desk, now
from desk.web.forms import FORMS
from desk.web.rendering import page
from desk.web.users import User

_ASKED: Final[frozenset[State]] = frozenset({"dispatched", "accepted", "checked"})
ROWS_MAX: Final = 50
CLUES_MAX: Final = 1_000
"""Clues of a station of which the first are looked for."""


def owed(clues: list[Clue], now_ms: int) -> list[Clue]:
    """Clues in the order in which a station owes something about them."""

    def by(clue: Clue) -> tuple[int, str]:
        due = next_due(clue, now_ms)
        return due.by if due is not None else now_ms, clue.clue_id

    return sorted(clues, key=by)


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page."""
    at = now()
    which = Filter(user.name, station=user.station or "", states=_ASKED)
    asked = await run_in_threadpool(desk.ask, lambda: desk.store.queue(which, user.scope, limit=CLUES_MAX))
    found = owed(asked.clues, at)
    return page(
        request, "station.html", user, clues=found[:ROWS_MAX], count=asked.count, rows_max=ROWS_MAX, forms=FORMS,
        now_ms=at,
    )  # fmt: skip
