"""The page of measures: figures with their intervals, and plots drawn here. "No data" is never 0."""

from __future__ import annotations

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.measures.report import Measures
from desk.measures.tables import tables
from desk.web.core import Desk
from desk.web.language import language
from desk.web.plots import HEIGHT, WIDTH, bar, curves
from desk.web.rendering import page
from desk.web.users import User
from schemas.rulefile import Language

DAYS: Final = (7, 30, 90, 0)
"""Periods to choose from; 0: everything."""
AGAIN_S: Final = 2
"""After so long a browser asks again for figures that were not there yet."""


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page of clues opened in the newest `days`, of the places of the user."""
    given = request.query_params.get("days", "30")
    days = next((each for each in DAYS if str(each) == given), 30)
    found, coming = await run_in_threadpool(desk.ask, lambda: desk.sources.figures.of(days, user.scope))
    shown = {} if found is None else _shown(desk, found, language(request))
    made = page(request, "measures.html", user, found=found, coming=coming, days=days, choices=DAYS, **shown)
    if coming:
        made.headers["refresh"] = str(AGAIN_S)
    return made


def _shown(desk: Desk, found: Measures, lang: Language) -> dict[str, Any]:
    """What the page says of measures."""
    rules = [(each, bar(each.precision)) for each in (*found.suspicion.rules, *found.compliance.rules)]
    return {
        "rules": rules, "tables": list(tables(found, lang)), "times": curves(found.times), "width": WIDTH,
        "height": HEIGHT, "titles": {rule.id: rule.title for rule in desk.rules.values()},
    }  # fmt: skip
