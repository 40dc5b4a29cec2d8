"""What every answer forbids a browser, and what the pages take: nothing that another site has sent."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGES: Final = "/desk"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send `Origin: null` with our own forms
    "x-content-type-options": "nosniff",
}


class Guard:
    """Adds the headers to every answer, and refuses forms of other sites with 403.

    Only pages are open to forged requests: the JSON interface takes no cookie.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(PAGES) and scope["method"] not in _SAFE and not own(Headers(scope=scope)):
            refused = PlainTextResponse("403: not from a page of this desk · 请求并非来自本站页面\n", 403)
            await refused(scope, receive, guarded)
        else:
            await self._app(scope, receive, guarded)


def own(headers: Headers) -> bool:
    """Whether a page of ours sent this. Browsers say so by Sec-Fetch-Site, or else by Origin."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "-")
