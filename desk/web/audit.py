"""The page of who read what, for auditors."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.web.chains import AccessLog
from desk.web.core import Desk
from desk.web.rendering import page
from desk.web.users import User

ROWS_MAX: Final = 500


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page; `user` and `clue` in the address filter it."""
    wanted = {key: request.query_params.get(key, "") for key in ("user", "clue")}
    log: AccessLog = await run_in_threadpool(desk.ask, desk.sources.access)
    rows = log.newest(wanted["user"], wanted["clue"], ROWS_MAX)
    return page(
        request, "audit.html", user, rows=rows, chains=log.chains(), wanted=wanted, rows_max=ROWS_MAX,
        unreadable=log.unreadable,
    )  # fmt: skip
