"""Tells whoever watches of each request how it was answered, and when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from desk.watch import Watch

OTHER: Final = "other"
"""An address that is no route."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})


class Measured:
    """Around all else that answers."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], watch: Watch) -> None:
        self._app, self._routes, self._watch = app, routes, watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, route, method = time.monotonic(), self._route(scope), scope["method"]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":  # an open stream ends much later
                seconds = time.monotonic() - began
                self._watch.asked(route, method if method in _METHODS else OTHER, message["status"], seconds)
            await send(message)

        await self._app(scope, receive, told)

    def _route(self, scope: Scope) -> str:
        """The template of the route: what stands in its place may be a clue's number."""
        matches = ((each, each.matches(scope)[0]) for each in self._routes)
        found = next((each for each, match in matches if match is not Match.NONE), None)
        return str(getattr(found, "path", OTHER))
