"""The page of what is overdue, by station."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.clues.clue import Clue
from desk.store.reading import LISTED_MAX
from desk.web.core import Desk, now
from desk.web.rendering import page
from desk.web.users import User

ROWS_MAX = 200


def by_station(found: list[tuple[Clue, str, int]]) -> dict[str, list[tuple[Clue, str, int]]]:
    """Overdue clues by station, the station with most of them first; of none: "" last."""
    stations: dict[str, list[tuple[Clue, str, int]]] = {}
    for each in found:
        stations.setdefault(each[0].station or "", []).append(each)
    return dict(sorted(stations.items(), key=lambda each: (not each[0], -len(each[1]), each[0])))


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page."""
    at = now()
    wanted = request.query_params.get("station", "")
    found = await run_in_threadpool(desk.ask, lambda: desk.store.late(user.scope, at, wanted))
    stations = by_station(found[:ROWS_MAX])
    return page(
        request, "overdue.html", user, stations=stations, count=len(found), most=LISTED_MAX - 1, rows_max=ROWS_MAX,
        wanted=wanted, now_ms=at,
    )  # fmt: skip
