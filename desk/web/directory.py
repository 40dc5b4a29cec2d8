"""Accounts that others keep: who logs in at an OpenID provider or a proxy, and the roles that their groups give.

The file is JSON, such as {"groups": {"desk-4401": {"roles": ["analyst:4401"]}}, "oidc": {...}, "proxy": {...}}.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from desk.web.roles import ROLES, Grant
from desk.web.users import User
from schemas.errors import WaybillError
from schemas.refusals import UNREADABLE
from schemas.terms import Id, UserId

SECRET_CHARS_MIN: Final = 16
_HERE: Final = ("localhost", "127.0.0.1", "::1")
Names = Annotated[tuple[str, ...], Meta(min_length=1)]


class DirectoryError(WaybillError):
    """A file that cannot be used, or somebody whom nobody knows. The message holds no secret."""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a group gives: roles as of accounts, and the station whose members it holds."""

    roles: Names
    station: Id | None = None


class Oidc(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenID provider. name_claim: an opaque id, no name."""

    issuer: str
    client_id: str
    secret_file: str
    name_claim: str = "sub"
    groups_claim: str = "groups"
    scope: str = "openid groups"


class Proxy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proxy that says in headers who asks. It is believed from these addresses or networks, with the secret."""

    peers: Names
    secret_file: str
    secret_header: str = "x-desk-secret"
    user_header: str = "x-forwarded-user"
    groups_header: str = "x-forwarded-groups"


class Directory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    groups: Annotated[dict[str, Group], Meta(min_length=1)]
    oidc: Oidc | None = None
    proxy: Proxy | None = None

    def user(self, name: object, groups: Iterable[str]) -> User:
        """Who is in these groups. Raises DirectoryError if no group gives a role, or the name is no id."""
        given = [self.groups[each] for each in groups if each in self.groups]
        grants = tuple(grant for group in given for said in group.roles if (grant := Grant.of(said)) is not None)
        if not grants:
            raise DirectoryError("no group of this account gives a role")
        try:
            known: str = msgspec.convert(name, UserId)
        except msgspec.ValidationError:
            raise DirectoryError("the name of this account is no id of 1 to 64 characters") from None
        return User(known, next((group.station for group in given if group.station is not None), None), grants)


def read(path: Path) -> Directory:
    """Read the file. Raises DirectoryError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Directory)
    except UNREADABLE as error:
        raise DirectoryError(f"{path}: {error}") from None
    for name, group in found.groups.items():
        if wrong := [said for said in group.roles if Grant.of(said) is None]:
            raise DirectoryError(f"{path}: groups.{name}: no role {', '.join(wrong)}; {ROLES}")
        if "station" in group.roles and group.station is None:
            raise DirectoryError(f"{path}: groups.{name}: the role station needs a station")
    if found.oidc is None and found.proxy is None:
        raise DirectoryError(f"{path}: names neither oidc nor proxy")
    if found.oidc is not None:
        issuer = urlsplit(found.oidc.issuer)
        if issuer.scheme != "https" and issuer.hostname not in _HERE:
            raise DirectoryError(f"{path}: oidc.issuer is not an https address")
    return found


def secret(path: str) -> str:
    """The secret in a file. Raises DirectoryError if it is too short."""
    text = Path(path).read_text(encoding="utf-8").strip()
    if len(text) < SECRET_CHARS_MIN:
        raise DirectoryError(f"{path}: a secret has at least {SECRET_CHARS_MIN} characters")
    return text
