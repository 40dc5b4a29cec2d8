"""The stream of one open queue."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from desk.clues.clue import Clue
from desk.store.reading import Key
from desk.web.core import Desk, ProblemError, filter_of, now
from desk.web.language import language
from desk.web.live import Watch
from desk.web.rendering import part
from desk.web.sessions import Sessions
from desk.web.users import User


async def answer(desk: Desk, sessions: Sessions, request: Request, user: User) -> Response:
    """News of the queue with the filter in the address, after what the browser has."""
    if desk.live.full:
        raise ProblemError(503, "too many pages are open")
    lang, scope = language(request), user.scope

    def row(clue: Clue) -> str:
        return part("row.html", lang, clue=clue, now_ms=now(), waiting=desk.waiting())

    after = Key.of(request.query_params.get("after", ""))
    watch = Watch(filter_of(request.query_params, user), scope, after, row, (lang, scope.acts_for or ""))
    since = request.headers.get("last-event-id") or request.query_params.get("since", "")
    messages = desk.live.stream(since, watch, lambda: sessions.user(request) is not None)
    return StreamingResponse(messages, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
