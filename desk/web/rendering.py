"""How a page is made: its template in the language of who asks; and how a form is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from desk.web.core import ProblemError, body_of, now
from desk.web.guard import PAGES
from desk.web.language import COOKIE, language
from desk.web.users import User
from desk.web.view import View
from schemas.rulefile import Language

# words: path, and the right that it takes
NAV: Final = {
    "queue": ("", "read"), "station view": ("/station", "accept"), "holds": ("/holds", "read"),
    "overdue": ("/overdue", "read"), "measures": ("/measures", "measures"), "rules in force": ("/rules", "rules"),
    "bulk": ("/bulk", "note"), "search": ("/search", "search"), "reveals": ("/reveals", "reveal"),
    "who read what": ("/audit", "audit"),
    "accounts": ("/accounts", "accounts"),
}  # fmt: skip
_FIELDS_MAX: Final = 500
_templates: Final = Environment(
    loader=PackageLoader("desk.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def page(request: Request, name: str, user: User | None, status: int = 200, **context: Any) -> Response:
    """The page of a template. here: address of the page, if it is not that of the request."""
    lang = language(request)
    query = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
    given = {
        "here": request.url.path if request.method == "GET" else PAGES, "user": user, "t": View(lang), "lang": lang,
        "at_ms": now(), "query": query, "nav": {} if user is None else nav(user),
    }  # fmt: skip
    answer = HTMLResponse(_templates.get_template(name).render({**given, **context}), status)
    if "lang" in request.query_params:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, lang, 365 * 86_400, path=PAGES, httponly=True, samesite="lax", secure=secure)
    return answer


def part(name: str, lang: Language, **context: Any) -> str:
    """A part of a page, which needs no user."""
    return _templates.get_template(name).render(t=View(lang), lang=lang, **context)


def nav(user: User) -> dict[str, str]:
    """The pages that a user may open: words and address."""
    return {key: PAGES + path for key, (path, right) in NAV.items() if user.may(right)}


def home(user: User) -> str:
    """The first page for a user; of a station, its own."""
    pages = nav(user)
    return pages.get("station view") or next(iter(pages.values()), PAGES)


async def given_in(request: Request) -> dict[str, str]:
    """The fields of a form; of two of a name, the last. Raises ProblemError."""
    try:
        return dict(parse_qsl((await body_of(request)).decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise ProblemError(422, "not a form") from None


def back_to(given: Mapping[str, str]) -> str | None:
    """The page that a form names as the one to show next; None: it names none."""
    path = f"/{given.get('back', '')}"
    return PAGES + path if path in {path for path, _ in NAV.values()} else None
