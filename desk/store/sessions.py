"""Sessions of browsers, in the desk's database: they outlive the process, and several desks know the same.

They are not of the projection: no topic has them, and whoever deletes the database logs everybody out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from desk.store.database import Database
from desk.store.tables import SESSIONS, plain

_groups: Final = msgspec.json.Decoder(tuple[str, ...] | None).decode


@dataclass(frozen=True, slots=True)
class Session:
    """Who has logged in. Times: epoch ms UTC.

    groups: as others say who keep the account; None: it is one of the desk's own. credential: hash of what a session of
    an own account was begun with.
    """

    user: str
    groups: tuple[str, ...] | None
    credential: str
    begun_ms: int
    seen_ms: int


class SessionStore:
    """All sessions, by the hash of their cookie. Threads share it. Raises StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with self._writing() as connection:
            SESSIONS.create(connection, checkfirst=True)

    def begin(self, key: str, session: Session) -> None:
        """Keep one."""
        row = {
            "session": key, "user_name": plain(session.user), "groups": msgspec.json.encode(session.groups).decode(),
            "credential": session.credential, "begun_ms": session.begun_ms, "seen_ms": session.seen_ms,
        }  # fmt: skip
        with self._writing() as connection:
            connection.execute(insert(SESSIONS), row)

    def find(self, key: str) -> Session | None:
        """One by its key; None: there is none."""
        with self._writing() as connection:
            row = connection.execute(select(SESSIONS).where(SESSIONS.c.session == key)).one_or_none()
        if row is None:
            return None
        return Session(row.user_name, _groups(row.groups), row.credential, row.begun_ms, row.seen_ms)

    def seen(self, key: str, at_ms: int) -> None:
        """Note that its browser has asked for something."""
        with self._writing() as connection:
            connection.execute(update(SESSIONS).where(SESSIONS.c.session == key).values(seen_ms=at_ms))

    def end(self, key: str) -> None:
        """Forget one."""
        with self._writing() as connection:
            connection.execute(delete(SESSIONS).where(SESSIONS.c.session == key))

    def forget(self, begun_ms: int, seen_ms: int) -> None:
        """Forget those that have begun before a time, or were last seen before another."""
        old = or_(SESSIONS.c.begun_ms < begun_ms, SESSIONS.c.seen_ms < seen_ms)
        with self._writing() as connection:
            connection.execute(delete(SESSIONS).where(old))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            with self._database.engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._database.failure(error) from None
