"""Who asks, as a proxy in front says it in headers: believed only from named peers that know the shared secret."""

from __future__ import annotations

import hmac
from ipaddress import ip_address, ip_network

from starlette.requests import Request

from desk.web.directory import Directory, DirectoryError, Proxy, secret
from desk.web.users import User


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
        given = request.headers.get(self._proxy.secret_header, "").encode()
        if request.client is None or not hmac.compare_digest(given, self._secret):
            return None
        peer = ip_address(request.client.host)
        if not any(peer in network for network in self._peers):
            return None
        groups = request.headers.get(self._proxy.groups_header, "").split(",")
        try:
            return self._directory.user(request.headers.get(self._proxy.user_header), (each.strip() for each in groups))
        except DirectoryError:
            return None
