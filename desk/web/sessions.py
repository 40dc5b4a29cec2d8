"""Sessions of browsers: a random cookie stands for somebody who has logged in.

What a user may do is asked anew with every request: of the file of accounts, or of the groups that a provider named at
the login. So who is removed from the file is logged out at once, and who has lost a role there has lost it here.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from desk.store.sessions import Session, SessionStore
from desk.web.directory import Directory, DirectoryError
from desk.web.users import User, Users, hashed

SESSION_MS: Final = 8 * 3_600_000
IDLE_MS: Final = 2 * 3_600_000
"""Without a page asked for in that time, a session ends; an open queue alone does not keep it. A choice of ours."""
_NOTED_MS: Final = 60_000  # how exactly it is known when a session was last used
_FRESH_S: Final = 1.0  # so long another desk may take to learn that a session has ended
_CACHED_MAX: Final = 10_000


class Sessions:
    """Who is logged in. Only hashes of cookies are kept. clock: epoch ms UTC. Raises StoreError."""

    def __init__(
        self, store: SessionStore, users: Users, directory: Directory | None, clock: Callable[[], int]
    ) -> None:
        self._store, self._users, self._directory, self._clock = store, users, directory, clock
        self._cached: dict[str, tuple[Session, float]] = {}

    def begin(self, user: User, request: Request, answer: Response, groups: tuple[str, ...] | None = None) -> None:
        """Log a user in, with a new cookie. groups: of an account that others keep."""
        self.end(request, answer)
        now = self._clock()
        self._store.forget(now - SESSION_MS, now - IDLE_MS)
        secret = secrets.token_urlsafe(32)
        credential = "" if groups is not None else self._users.credential(user.name)
        self._store.begin(hashed(secret), Session(user.name, groups, credential, now, now))
        answer.set_cookie(
            _name(request), secret, SESSION_MS // 1_000, path="/", httponly=True, samesite="lax",
            secure=_secure(request),
        )  # fmt: skip

    def end(self, request: Request, answer: Response) -> None:
        """Log the user out."""
        if (key := _key(request)) is not None:
            self._cached.pop(key, None)
            self._store.end(key)
        answer.delete_cookie(_name(request), path="/", httponly=True, samesite="lax", secure=_secure(request))

    async def user(self, request: Request, *, active: bool = True) -> User | None:
        """Who sends a request; None: nobody who is logged in. active: it shows that somebody is there."""
        key = _key(request)
        if key is None:
            return None
        session, read_at = self._cached.get(key, (None, 0.0))
        if session is None or time.monotonic() > read_at + _FRESH_S:
            read_at = time.monotonic()
            session = await run_in_threadpool(self._store.find, key)
        now = self._clock()
        if session is None or now - session.begun_ms >= SESSION_MS or now - session.seen_ms >= IDLE_MS:
            self._cached.pop(key, None)
            return None
        if active and now - session.seen_ms >= _NOTED_MS:
            await run_in_threadpool(self._store.seen, key, now)
            session = replace(session, seen_ms=now)
        while len(self._cached) >= _CACHED_MAX:
            del self._cached[next(iter(self._cached))]
        self._cached[key] = session, read_at
        return self._known(session)

    def _known(self, session: Session) -> User | None:
        """The user of a session with the roles of now."""
        if session.groups is None:
            same = session.credential == self._users.credential(session.user)
            return self._users.of_name(session.user) if same else None
        try:
            return None if self._directory is None else self._directory.user(session.user, session.groups)
        except DirectoryError:
            return None


def remember(request: Request, answer: Response, secret: str, seconds: int) -> None:
    """Give the browser a cookie for a login that has begun elsewhere; without a secret, take it back."""
    answer.set_cookie(
        f"{_name(request)}-login", secret, seconds, path="/", httponly=True, samesite="lax", secure=_secure(request)
    )


def remembered(request: Request) -> str:
    """That cookie; empty: there is none."""
    return request.cookies.get(f"{_name(request)}-login", "")


def _key(request: Request) -> str | None:
    secret = request.cookies.get(_name(request))
    return hashed(secret) if secret else None


def _secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _name(request: Request) -> str:
    return "__Host-desk" if _secure(request) else "desk"
