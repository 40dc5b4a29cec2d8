"""Accounts of the desk: a file with one JSON object a line, which holds hashes of passwords and tokens."""

from __future__ import annotations

import hmac
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
from schemas.terms import Id, UserId

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
    """All accounts."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts = tuple(accounts)
        self._by_name = {each.user: (each, _user(each)) for each in self.accounts}
        self._by_token = {each.token: user for each, user in self._by_name.values() if each.token is not None}

    @classmethod
    def of(cls, path: Path) -> Users:
        """The accounts of a file. Raises UsersError."""
        accounts = read(path)
        if not accounts:
            raise UsersError(f"{path}: names no user; nobody could act. `waybill desk user add` adds one")
        return cls(accounts)

    def of_header(self, authorization: str | None) -> User | None:
        """The user of an `Authorization: Bearer …` header; None: there is none."""
        scheme, _, token = (authorization or "").partition(" ")
        return self.of_token(token) if scheme.lower() == "bearer" else None

    def of_token(self, token: str) -> User | None:
        """The user of a token; None: there is none."""
        if len(token) < TOKEN_CHARS_MIN:
            return None
        given = hashed(token)
        return next((user for known, user in self._by_token.items() if hmac.compare_digest(known, given)), None)

    def of_password(self, name: str, password: str) -> User | None:
        """The user of this name, if the password is right. It takes as long for a name that nobody has."""
        account, user = self._by_name.get(name, (None, None))
        known = account.password if account is not None else None
        try:
            _hasher.verify(known or _nobody(), password[:PASSWORD_CHARS_MAX])
        except (VerificationError, InvalidHashError):
            return None
        return user if known is not None else None


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
