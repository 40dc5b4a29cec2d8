"""The page of holds: what carriers are asked to stop, sorted by what needs a person first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.clues.clue import Clue, Hold
from desk.clues.holds import overdue, unconfirmed
from desk.store.reading import LISTED_MAX
from desk.web.core import Desk, now
from desk.web.forms import offered
from desk.web.rendering import page
from desk.web.users import User

Stage = Literal["breached", "over", "unconfirmed", "ending", "requested", "effective"]
ENDING_MS: Final = 2 * 3_600_000
"""A hold that ends within this time is listed as ending; a choice of ours."""
ROWS_MAX: Final = 100
"""Holds on the page, each with its forms."""


def stage(hold: Hold, now_ms: int) -> Stage:
    """What a hold that stands needs: the first of the stages that is true of it."""
    if hold.state == "breached":
        return "breached"
    if overdue(hold, now_ms):
        return "over"
    if unconfirmed(hold, now_ms):
        return "unconfirmed"
    if hold.until - now_ms < ENDING_MS:
        return "ending"
    return "effective" if hold.state == "effective" else "requested"


def standing(clues: Iterable[Clue], now_ms: int) -> dict[Stage, list[Clue]]:
    """Clues whose parcel is held, by stage; the soonest end first."""
    stages: dict[Stage, list[Clue]] = {each: [] for each in get_args(Stage)}
    held = [(clue.hold.until, clue.clue_id, clue) for clue in clues if clue.hold and clue.hold.state != "released"]
    for _, _, clue in sorted(held, key=lambda each: each[:2]):
        assert clue.hold is not None
        stages[stage(clue.hold, now_ms)].append(clue)
    return stages


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page."""
    at = now()
    found: list[Clue] = await run_in_threadpool(desk.ask, lambda: desk.store.held(user.scope))
    stages = standing(found, at)
    shown = [clue for clues in stages.values() for clue in clues][:ROWS_MAX]
    forms = {clue.clue_id: offered(clue, user) for clue in shown}
    return page(
        request, "holds.html", user, stages=stages, forms=forms, now_ms=at, count=len(found), most=LISTED_MAX - 1,
        rows_max=ROWS_MAX,
    )  # fmt: skip
