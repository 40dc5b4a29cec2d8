"""The page of who read what, for auditors. Looking at it is on record itself, before anything is shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.store.chains import AccessLog, Before, Chain, Wanted
from desk.web.core import AUDIT, Desk, ProblemError
from desk.web.rendering import page
from desk.web.users import User
from schemas.desk import Access
from streams.values import CHINA

ROWS_MAX: Final = 200
KINDS: Final = ("token_search", "reveal_", AUDIT)
"""What the page tells apart; all else is reading clues."""
_FILTERS: Final = ("user", "clue", "kind", "since", "until")


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page; its filters, and where it begins, stand in the address."""
    given = {key: request.query_params.get(key, "").strip() for key in _FILTERS}
    kind = given["kind"] if given["kind"] in KINDS else ""
    wanted = Wanted(given["user"], given["clue"], kind, _day(given["since"]), _day(given["until"], days=1))
    before = Before.of(request.query_params.get("before", ""))
    log = AccessLog(desk.store)

    def do() -> tuple[list[Access], Before | None, list[Chain], int]:
        rows, after = log.page(wanted, before, ROWS_MAX)
        ids = tuple(each for each in (wanted.user, wanted.clue) if each and rows)  # what was typed may be anything
        desk.looks_at_reads(user, tuple(key for key in _FILTERS if given[key]), ids)
        return rows, after, log.chains(), log.unreadable()

    rows, after, chains, unreadable = await run_in_threadpool(desk.ask, do)
    return page(
        request, "audit.html", user, rows=rows, after=after, first=before is None, chains=chains, wanted=given,
        kinds=KINDS, unreadable=unreadable,
    )  # fmt: skip


def _day(text: str, days: int = 0) -> int | None:
    """Midnight in China of a day, or of one some days later; None: none is given. Raises ProblemError."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=CHINA)
        return int((day + timedelta(days=days)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise ProblemError(422, "since, until: a day such as 2026-11-30") from None
