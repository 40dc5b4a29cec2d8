"""Who may act over HTTP: a file of users, each with a station and the hash of a token."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from schemas.errors import WaybillError

TOKEN_CHARS_MIN = 32


class UsersError(WaybillError):
    """A file of users that cannot be used; the message names file and line, never a token."""


@dataclass(frozen=True, slots=True)
class User:
    """Who acts, and for which station; None: for none."""

    name: str
    station: str | None


class Users:
    """Users by token. The file holds hashes, so whoever reads it cannot act."""

    def __init__(self, by_hash: dict[str, User]) -> None:
        self._by_hash = by_hash

    @classmethod
    def of(cls, path: Path) -> Users:
        """Read lines of `user station sha256-of-token`; station - for none, # begins a remark. Raises UsersError."""
        by_hash: dict[str, User] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
            parts = line.partition("#")[0].split()
            if not parts:
                continue
            if len(parts) != 3 or len(parts[2]) != 64 or set(parts[2].lower()) - set("0123456789abcdef"):
                raise UsersError(f"{path}:{number}: not `user station sha256-of-token`")
            by_hash[parts[2].lower()] = User(parts[0], None if parts[1] == "-" else parts[1])
        if not by_hash:
            raise UsersError(f"{path}: names no user; nobody could act")
        return cls(by_hash)

    def of_header(self, authorization: str | None) -> User | None:
        """The user of an `Authorization: Bearer …` header; None: there is none."""
        scheme, _, token = (authorization or "").partition(" ")
        return self.of_token(token) if scheme.lower() == "bearer" else None

    def of_token(self, token: str) -> User | None:
        """The user of a token; None: there is none."""
        if len(token) < TOKEN_CHARS_MIN:
            return None
        given = hashed(token)
        return next((user for known, user in self._by_hash.items() if hmac.compare_digest(known, given)), None)


def hashed(token: str) -> str:
    """What the file holds for a token."""
    return sha256(token.encode()).hexdigest()
