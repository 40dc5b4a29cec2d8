"""The page of accounts, for admins: who may log in, and with which roles. It changes none; `waybill desk user` does."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from desk.web.rendering import page
from desk.web.roles import MAY
from desk.web.users import User, Users


async def answer(users: Users, request: Request, user: User) -> Response:
    """The page."""
    rights = {role: sorted(may) for role, may in MAY.items()}
    return page(request, "accounts.html", user, accounts=users.accounts, rights=rights)
