"""The page of rules: those by which this desk explains alerts. Limits are shown to those whose role allows it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from desk.web.core import Desk
from desk.web.rendering import page
from desk.web.users import User


async def answer(desk: Desk, request: Request, user: User) -> Response:
    """The page."""
    families: dict[str, list[object]] = {}
    for rule in sorted(desk.rules.values(), key=lambda each: each.id):
        families.setdefault(rule.category, []).append(rule)
    return page(
        request, "rules.html", user, categories=families, fingerprint=desk.catalogue,
        limits=user.may("limits"),
    )  # fmt: skip
