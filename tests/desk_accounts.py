"""Accounts of the desk for tests: with a token, since a password takes its time."""

from __future__ import annotations

from desk.web.users import Account, hashed


def account(name: str, token: str, station: str | None, *roles: str) -> Account:
    """An account with a token and these roles."""
    return Account(user=name, station=station, roles=roles, token=hashed(token))
