"""The page of measures: figures with their intervals, and plots drawn here. "No data" is never 0."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.clues.deadlines import DAY_MS
from desk.measures.report import Measures
from desk.measures.tables import tables
from desk.web.core import Desk, now
from desk.web.language import language
from desk.web.plots import HEIGHT, WIDTH, bar, curves
from desk.web.rendering import page
from desk.web.users import User

DAYS: Final = (7, 30, 90, 0)
"""Periods to choose from; 0: everything."""


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page of clues opened in the newest `days`, of the places of the user."""
    given = request.query_params.get("days", "30")
    days = next((each for each in DAYS if str(each) == given), 30)
    at = now()
    since = at - days * DAY_MS if days else 0
    found: Measures = await run_in_threadpool(
        desk.ask, lambda: desk.sources.survey().measures(at, since, user.scope.has)
    )
    rules = [(each, bar(each.precision)) for each in (*found.suspicion.rules, *found.compliance.rules)]
    return page(
        request, "measures.html", user, found=found, days=days, choices=DAYS, width=WIDTH, height=HEIGHT,
        tables=list(tables(found, language(request))), rules=rules, times=curves(found.times),
        titles={rule.id: rule.title for rule in desk.rules.values()},
    )  # fmt: skip
