"""In which language a page is: as asked with `?lang=`, else as chosen before, else as the browser prefers."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from schemas.rulefile import LANGUAGES, Language

COOKIE: Final = "lang"


def language(request: Request) -> Language:
    """The language of the answer; Chinese where nothing says otherwise."""
    asked = request.query_params.get("lang"), request.cookies.get(COOKIE)
    for each in (*asked, *preferred(request.headers.get("accept-language", ""))):
        for lang in LANGUAGES:
            if each == lang:
                return lang
    return LANGUAGES[0]


def preferred(header: str) -> list[str]:
    """The languages of an `Accept-Language` header without their regions, the most wanted first (RFC 9110, 12.5.4)."""
    weighed: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, _, weight = part.partition(";q=")
        try:
            weighed.append((float(weight or 1), tag.strip().partition("-")[0].lower()))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighed, key=lambda each: -each[0]) if weight > 0]
