"""A station's own page, for a phone at the counter: what to do now, and the answer in two taps.

It shows the same words for every clue, "check as ordered", whether an alert or chance has chosen the parcel.
"""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.clues.clue import Clue
from desk.clues.deadlines import next_due
from desk.web.core import Desk, now
from desk.web.forms import FORMS
from desk.web.listing import seen
from desk.web.rendering import page
from desk.web.users import User

_ASKED: Final = frozenset({"dispatched", "accepted", "checked"})
ROWS_MAX: Final = 50


def owed(clues: list[Clue], now_ms: int) -> list[Clue]:
    """Clues in the order in which a station owes something about them."""

    def by(clue: Clue) -> tuple[int, str]:
        due = next_due(clue, now_ms)
        return due.by if due is not None else now_ms, clue.clue_id

    return sorted(clues, key=by)


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page."""
    at = now()

    def asked(clue: Clue) -> bool:
        return clue.station is not None and clue.station == user.station and clue.state in _ASKED

    found = owed(await run_in_threadpool(seen, desk, user, asked), at)
    return page(
        request, "station.html", user, clues=found[:ROWS_MAX], count=len(found), rows_max=ROWS_MAX, forms=FORMS,
        now_ms=at,
    )  # fmt: skip
