"""The stream of one open queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from desk.clues.clue import Clue
from desk.store.reading import Key
from desk.web.core import Desk, ProblemError, filter_of, now
from desk.web.language import language
from desk.web.live import ENDED, Watch
from desk.web.rendering import part
from desk.web.users import User

KIND: Final = "text/event-stream"


def wanted(request: Request) -> bool:
    """Whether it is a stream that a browser asks for, and no page."""
    return request.headers.get("accept") == KIND


def ended() -> Response:
    """A stream that says that its reader is not logged in any more, as a redirection would not."""
    return Response(ENDED, media_type=KIND)


async def answer(desk: Desk, who: Callable[..., Awaitable[User | None]], request: Request, user: User) -> Response:
    """News of the queue with the filter in the address, after what the browser has. who: asks now, as it is then."""
    if desk.live.full:
        raise ProblemError(503, "too many pages are open")
    lang, scope, boxes = language(request), user.scope, user.may("note")

    def row(clue: Clue) -> str:
        return part("row.html", lang, clue=clue, now_ms=now(), waiting=desk.waiting(), boxes=boxes)

    after = Key.of(request.query_params.get("after", ""))
    watch = Watch(filter_of(request.query_params, user), scope, after, row, (lang, scope.acts_for or "", str(boxes)))
    since = request.headers.get("last-event-id") or request.query_params.get("since", "")

    async def alive() -> bool:
        return await who(request, active=False) == user

    messages = desk.live.stream(since, watch, alive)
    return StreamingResponse(messages, media_type=KIND, headers={"x-accel-buffering": "no"})
