"""Accounts of the desk: a file with one JSON object a line, which holds hashes of passwords and tokens."""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Meta

from desk.clues.clue import Clue
from desk.scope import Scope
from desk.web.roles import MAY, ROLES, Grant
from schemas.errors import WaybillError
from schemas.refusals import UNREADABLE
from schemas.terms import Id, UserId

log = logging.getLogger(__name__)

TOKEN_CHARS_MIN: Final = 32
PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 1_024
_hasher: Final = PasswordHasher()  # argon2id with the parameters of RFC 9106 for little memory: 64 MiB, three passes


class UsersError(WaybillError):
    """A file of accounts that cannot be used; the message names file and line, never a secret."""


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the file. password: argon2id in the PHC format. token: SHA-256, 64 hex digits."""

    user: UserId
    roles: Annotated[tuple[str, ...], Meta(min_length=1)]
    station: Id | None = None
    password: str | None = None
    token: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None


@dataclass(frozen=True)
class User:
    """Who asks: a name, the station acted for (None: none), and the roles."""

    name: str
    station: str | None
    grants: tuple[Grant, ...]

    def may(self, what: str, clue: Clue | None = None) -> bool:
        """Whether a role allows this: at all, or about a clue."""
        return any(what in MAY[grant.role] and (clue is None or self._covers(grant, clue)) for grant in self.grants)

    def _covers(self, grant: Grant, clue: Clue) -> bool:
        if grant.role == "station":
            return clue.station is not None and clue.station == self.station
        return clue.adcode.startswith(grant.prefix)

    @cached_property
    def scope(self) -> Scope:
        """Whose clues this user may see."""
        reading = [grant for grant in self.grants if "read" in MAY[grant.role]]
        prefixes = tuple(grant.prefix for grant in reading if grant.role != "station")
        of_station = self.station is not None and len(prefixes) < len(reading)
        stations = (self.station,) if of_station and self.station is not None else ()
        return Scope(self.name, prefixes, stations, self.station)


class Users:
    """All accounts, as their file says now; threads share them. Without a file they never change."""

    def __init__(self, accounts: Iterable[Account], path: Path | None = None) -> None:
        self._path = path
        self._stamp, self._reads = _stamp(path), 0
        self._by_name = _by_name(accounts)

    def look(self) -> int:
        """Read the file again if it has changed; if it is spoiled, all stays as it was. Returns how often it did."""
        stamp = _stamp(self._path)
        if self._path is not None and stamp != self._stamp:
            self._stamp = stamp
            try:
                self._by_name = _by_name(read(self._path))
                self._reads += 1
            except (UsersError, OSError, UnicodeDecodeError) as error:
                log.error("accounts stay as they were: %s", error)
        return self._reads

    def _known(self) -> dict[str, tuple[Account, User]]:
        self.look()
        return self._by_name

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All of them."""
        return tuple(account for account, _ in self._known().values())

    def of_name(self, name: str) -> User | None:
        """The user of this name; None: there is none."""
        return self._known().get(name, (None, None))[1]

    def credential(self, name: str) -> str:
        """What changes with the password or the token of a user; empty: there is no such user."""
        account, _ = self._known().get(name, (None, None))
        return "" if account is None else hashed(f"{account.password}\n{account.token}")

    @classmethod
    def of(cls, path: Path) -> Users:
        """The accounts of a file. Raises UsersError."""
        accounts = read(path)
        if not accounts:
            raise UsersError(f"{path}: names no user; nobody could act. `waybill desk user add` adds one")
        return cls(accounts, path)

    def of_header(self, authorization: str | None) -> User | None:
        """The user of an `Authorization: Bearer …` header; None: there is none."""
        scheme, _, token = (authorization or "").partition(" ")
        return self.of_token(token) if scheme.lower() == "bearer" else None

    def of_token(self, token: str) -> User | None:
        """The user of a token; None: there is none."""
        if len(token) < TOKEN_CHARS_MIN:
            return None
        given = hashed(token)
        users = ((account.token, user) for account, user in self._known().values() if account.token is not None)
        return next((user for known, user in users if hmac.compare_digest(known, given)), None)

    def of_password(self, name: str, password: str) -> User | None:
        """The user of this name, if the password is right. It takes as long for a name that nobody has."""
        account, user = self._known().get(name, (None, None))
        known = account.password if account is not None else None
        try:
            _hasher.verify(known or _nobody(), password[:PASSWORD_CHARS_MAX])
        except (VerificationError, InvalidHashError):
            return None
        return user if known is not None else None


def _by_name(accounts: Iterable[Account]) -> dict[str, tuple[Account, User]]:
    return {each.user: (each, _user(each)) for each in accounts}


def _stamp(path: Path | None) -> tuple[int, ...] | None:
    """What is another one when a file has changed; None: there is none."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)


def read(path: Path) -> list[Account]:
    """Read a file of accounts. Raises UsersError."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    accounts = [_account(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    names = [each.user for each in accounts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsersError(f"{path}: has two accounts of {', '.join(sorted(twice))}")
    return accounts


def write(path: Path, accounts: Iterable[Account]) -> None:
    """Write a file of accounts that only its owner may read. Raises UsersError for what `read` would refuse."""
    lines = [msgspec.json.encode(each) for each in accounts]
    for number, line in enumerate(lines, 1):
        _account(path, number, line)
    beside = path.with_name(f"{path.name}.new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(line + b"\n" for line in lines)
    beside.replace(path)


def hashed(token: str) -> str:
    """What the file holds for a token."""
    return sha256(token.encode()).hexdigest()


def password_hash(password: str) -> str:
    """What the file holds for a password. Raises UsersError for one that is too short or too long."""
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise UsersError(f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX:,} characters")
    return _hasher.hash(password)


def _account(path: Path, number: int, line: str | bytes) -> Account:
    try:
        account = msgspec.json.decode(line, type=Account)
    except UNREADABLE as error:
        said = str(error) if isinstance(error, msgspec.ValidationError) else "not a JSON object"
        raise UsersError(f"{path}:{number}: {said}; `waybill desk user add` writes such lines") from None
    if wrong := [said for said in account.roles if Grant.of(said) is None]:
        raise UsersError(f"{path}:{number}: no role {', '.join(wrong)}; {ROLES}")
    if "station" in account.roles and account.station is None:
        raise UsersError(f"{path}:{number}: the role station needs a station")
    return account


def _user(account: Account) -> User:
    grants = (Grant.of(said) for said in account.roles)
    return User(account.user, account.station, tuple(grant for grant in grants if grant is not None))


_made: list[str] = []


def _nobody() -> str:
    """The hash of a password that nobody has."""
    if not _made:
        _made.append(_hasher.hash("nobody has this password"))
    return _made[0]
