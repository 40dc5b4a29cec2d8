"""Log in at an OpenID provider: authorization code with PKCE (OpenID Connect Core 1.0; RFC 7636; RFC 9207)."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from httpx2 import HTTPError
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from desk.web.directory import Directory, DirectoryError, Oidc, secret
from desk.web.users import User, hashed

PENDING_S: Final = 600.0
_PENDING_MAX: Final = 1_000
_TIMEOUT_S: Final = 10.0
# Those that verify by a public key; `none`, and those that sign by a shared secret, are not taken.
_ALGORITHMS: Final = [*(f"{kind}{bits}" for kind in ("RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA"]


@dataclass(frozen=True, slots=True)
class Pending:
    """A login that has begun."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    until: float


class Provider:
    """Logins at one provider; threads share it. Raises DirectoryError for a secret that is too short."""

    def __init__(self, directory: Directory, oidc: Oidc) -> None:
        self._directory, self._oidc = directory, oidc
        self._secret = secret(oidc.secret_file)
        self._pending: dict[str, Pending] = {}

    def begin(self, redirect_uri: str) -> tuple[str, str]:
        """Begin a login: the provider's address to go to, and a cookie. Raises DirectoryError."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        pending = Pending(state, nonce, verifier, redirect_uri, time.monotonic() + PENDING_S)
        with self._client(redirect_uri) as client, _troubles():
            address, _ = client.create_authorization_url(
                self._metadata(client)["authorization_endpoint"], state=pending.state, nonce=pending.nonce,
                code_verifier=pending.verifier,
            )  # fmt: skip
        while len(self._pending) >= _PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        cookie = secrets.token_urlsafe(32)
        self._pending[hashed(cookie)] = pending
        return address, cookie

    def end(self, cookie: str, given: Mapping[str, str]) -> tuple[User, tuple[str, ...]]:
        """Who comes back from the provider with this query, and the groups there. Raises DirectoryError."""
        pending = self._pending.pop(hashed(cookie), None)
        if pending is None or pending.until < time.monotonic():
            raise DirectoryError("no login has begun in this browser, or it took too long")
        if not hmac.compare_digest(given.get("state", "").encode(), pending.state.encode()):
            raise DirectoryError("the answer belongs to another login")
        if given.get("iss", self._oidc.issuer) != self._oidc.issuer or "code" not in given:
            raise DirectoryError("the provider has refused the login")
        with self._client(pending.redirect_uri) as client, _troubles():
            claims = self._claims(client, given["code"], pending)
        groups = claims.get(self._oidc.groups_claim)
        named = tuple(each for each in groups if isinstance(each, str)) if isinstance(groups, list) else ()
        return self._directory.user(claims.get(self._oidc.name_claim), named), named

    def _claims(self, client: OAuth2Client, code: str, pending: Pending) -> dict[str, Any]:
        """What the provider says about who logs in: the ID token, and if need be what is told beside."""
        metadata = self._metadata(client)
        token = client.fetch_token(
            metadata["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=pending.verifier
        )
        keys = KeySet.import_key_set(
            client.request("GET", metadata["jwks_uri"], withhold_token=True).raise_for_status().json()
        )
        claims = jwt.decode(token["id_token"], keys, algorithms=_ALGORITHMS).claims
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self._oidc.issuer},
            aud={"essential": True, "value": self._oidc.client_id},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": pending.nonce},
        ).validate(claims)
        wanted = {self._oidc.name_claim, self._oidc.groups_claim}
        if wanted - claims.keys() and "userinfo_endpoint" in metadata:
            more = client.get(metadata["userinfo_endpoint"]).raise_for_status().json()
            if more.get("sub") == claims["sub"]:
                return {**more, **claims}
        return claims

    def _client(self, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            self._oidc.client_id, self._secret, scope=self._oidc.scope, redirect_uri=redirect_uri,
            code_challenge_method="S256", timeout=_TIMEOUT_S,
        )  # fmt: skip

    def _metadata(self, client: OAuth2Client) -> dict[str, Any]:
        where = f"{self._oidc.issuer.rstrip('/')}/.well-known/openid-configuration"
        found: dict[str, Any] = client.request("GET", where, withhold_token=True).raise_for_status().json()
        if found.get("issuer") != self._oidc.issuer:
            raise DirectoryError(f"{where} names another issuer")
        return found


@contextmanager
def _troubles() -> Iterator[None]:
    """Turn what a provider says wrongly, or does not say, into a DirectoryError."""
    try:
        yield
    except (AuthlibBaseError, HTTPError, JoseError, KeyError, ValueError) as error:
        raise DirectoryError(f"the OpenID provider: {type(error).__name__}: {error}") from None
