"""The page of rules: those by which this desk explains alerts. Limits are shown to those whose role allows it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from desk.web.rendering import page
from desk.web.users import User
from rules.engine.catalogue import Catalogue


async def answer(catalogue: Catalogue, request: Request, user: User) -> Response:
    """The page."""
    families: dict[str, list[object]] = {}
    for rule in sorted(catalogue.rules, key=lambda each: each.id):
        families.setdefault(rule.category, []).append(rule)
    return page(
        request, "rules.html", user, categories=families, fingerprint=catalogue.fingerprint,
        limits=user.may("limits"),
    )  # fmt: skip
