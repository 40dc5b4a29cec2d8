"""Who asks, and whether by TLS, as a proxy in front says in headers.

It is believed only from named peers that know the shared secret.
"""

from __future__ import annotations

import hmac
from ipaddress import ip_address, ip_network
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from desk.web.directory import Directory, DirectoryError, Proxy, secret
from desk.web.users import User

_SCHEMES: Final = ("http", "https")


class Headers:
    """Reads the headers. Raises DirectoryError for peers that are no addresses, and for a short secret."""

    def __init__(self, directory: Directory, proxy: Proxy) -> None:
        self._directory, self._proxy = directory, proxy
        self._secret = secret(proxy.secret_file).encode()
        try:
            self._peers = [ip_network(peer) for peer in proxy.peers]
        except ValueError as error:
            raise DirectoryError(f"proxy.peers: {error}") from None

    def user(self, request: Request) -> User | None:
        """Who asks; None: no such header, or it is not to be believed."""
        if not self._believed(request):
            return None
        groups = request.headers.get(self._proxy.groups_header, "").split(",")
        try:
            return self._directory.user(request.headers.get(self._proxy.user_header), (each.strip() for each in groups))
        except DirectoryError:
            return None

    def scheme(self, asked: HTTPConnection) -> str | None:
        """How the browser asks the proxy; None: no such header, or it is not to be believed."""
        said = asked.headers.get("x-forwarded-proto")
        return said if said in _SCHEMES and self._believed(asked) else None

    def _believed(self, asked: HTTPConnection) -> bool:
        """Whether a named peer that knows the secret sends this."""
        given = asked.headers.get(self._proxy.secret_header, "").encode()
        if asked.client is None or not hmac.compare_digest(given, self._secret):
            return False
        peer = ip_address(asked.client.host)
        return any(peer in network for network in self._peers)


class Forwarded:
    """Takes a request as the browser has sent it to the proxy: behind TLS, cookies and addresses are those of TLS."""

    def __init__(self, app: ASGIApp, headers: Headers) -> None:
        self._app, self._headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and (scheme := self._headers.scheme(HTTPConnection(scope))) is not None:
            scope = {**scope, "scheme": scheme}
        await self._app(scope, receive, send)
