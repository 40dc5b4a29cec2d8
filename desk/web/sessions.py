"""Sessions of browsers: a random cookie stands for a user. They are kept in memory, and end with the process."""

from __future__ import annotations

import secrets
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from desk.web.users import User, hashed

SESSION_S: Final = 8 * 3_600
SESSIONS_MAX: Final = 10_000


class Sessions:
    """Who is logged in. Only hashes of cookies are kept."""

    def __init__(self) -> None:
        self._by_hash: dict[str, tuple[User, float]] = {}

    def begin(self, user: User, request: Request, answer: Response) -> None:
        """Log a user in, with a new cookie."""
        self.end(request, answer)
        while len(self._by_hash) >= SESSIONS_MAX:
            del self._by_hash[next(iter(self._by_hash))]
        secret = secrets.token_urlsafe(32)
        self._by_hash[hashed(secret)] = user, time.monotonic() + SESSION_S
        answer.set_cookie(
            _name(request), secret, SESSION_S, path="/", httponly=True, samesite="lax", secure=_secure(request)
        )

    def end(self, request: Request, answer: Response) -> None:
        """Log the user out."""
        self._by_hash.pop(hashed(request.cookies.get(_name(request), "")), None)
        answer.delete_cookie(_name(request), path="/", httponly=True, samesite="lax", secure=_secure(request))

    def user(self, request: Request) -> User | None:
        """Who sends a request; None: nobody who is logged in."""
        key = hashed(request.cookies.get(_name(request), ""))
        user, until = self._by_hash.get(key, (None, 0.0))
        if time.monotonic() < until:
            return user
        self._by_hash.pop(key, None)
        return None


def remember(request: Request, answer: Response, secret: str, seconds: int) -> None:
    """Give the browser a cookie for a login that has begun elsewhere; without a secret, take it back."""
    answer.set_cookie(
        f"{_name(request)}-login", secret, seconds, path="/", httponly=True, samesite="lax", secure=_secure(request)
    )


def remembered(request: Request) -> str:
    """That cookie; empty: there is none."""
    return request.cookies.get(f"{_name(request)}-login", "")


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request) -> str:
    return "__Host-desk" if _secure(request) else "desk"
