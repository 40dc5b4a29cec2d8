"""The HTTP application. A bearer token names the user, and the version of a clue is its ETag.

GET reads; POST /clues/{clue}/{verb} acts. With `If-Match`, an act applies to the version that its author has seen;
without it, to the present version. 409 says who came first; 202, that the act is written and not read back yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from desk.queue import shown
from desk.verbs import VERBS, Report
from desk.web.core import Desk, Done, ProblemError, allowed, body_of, filter_of, now, version_of
from desk.web.directory import Directory
from desk.web.guard import Guard
from desk.web.measured import Measured
from desk.web.openapi import document
from desk.web.pages import pages
from desk.web.proxy import Forwarded, Headers
from desk.web.users import User, Users
from schemas.refusals import UNREADABLE

ROWS_MAX: Final = 1_000
_LOOK_S: Final = 1.0


def application(desk: Desk, users: Users, directory: Directory | None = None, door: Path | None = None) -> Starlette:
    """The application on a desk. directory: accounts that others keep. door: the socket of a tracer, for reveals."""
    answers = Answers(desk, users)
    proxy = None if directory is None else directory.proxy
    headers = Headers(directory, proxy) if directory is not None and proxy is not None else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(desk.live.run()), asyncio.create_task(_watched(desk, users))]
        yield
        for task in tasks:
            task.cancel()

    routes = [
        Route("/openapi.json", answers.openapi),
        Route("/clues", answers.known(answers.clues, "read")),
        Route("/clues", answers.known(answers.report, "report"), methods=["POST"]),
        Route("/overdue", answers.known(answers.overdue, "read")),
        Route("/clues/{clue}", answers.known(answers.clue, "read")),
        Route("/clues/{clue}/{verb}", answers.known(answers.verb, "read"), methods=["POST"]),
        *pages(desk, users, directory, headers, door),
    ]
    measured = Middleware(Measured, routes, desk.watch)
    return Starlette(
        routes=routes,
        middleware=[measured, *([] if headers is None else [Middleware(Forwarded, headers)]), Middleware(Guard)],
        exception_handlers={ProblemError: _problem},
        lifespan=lifespan,
    )


async def _watched(desk: Desk, users: Users) -> None:
    """Whoever has a page open is asked who he is when the accounts have changed."""
    known = users.look()
    while True:
        await asyncio.sleep(_LOOK_S)
        if users.look() != known:
            known = users.look()
            desk.live.look()


class Answers:
    """The answers of all routes."""

    def __init__(self, desk: Desk, users: Users) -> None:
        self._desk, self._users = desk, users

    def known(self, answer: Callable[[Request, User], Any], right: str) -> Callable[[Request], Any]:
        """An endpoint only for users with a known token, and a role that has this right."""

        async def endpoint(request: Request) -> Response:
            user = self._users.of_header(request.headers.get("authorization"))
            if user is None:
                self._desk.watch.refused("bearer")
                raise ProblemError(401, "who acts? send `Authorization: Bearer TOKEN`")
            allowed(user, right)
            made: Response = await answer(request, user)
            return made

        return endpoint

    async def clues(self, request: Request, user: User) -> Response:
        which, at = filter_of(request.query_params, user), now()
        desk = self._desk
        found = await run_in_threadpool(desk.ask, lambda: desk.store.queue(which, user.scope, limit=ROWS_MAX))
        return _json([shown(clue, at) for clue in found.clues])

    async def clue(self, request: Request, user: User) -> Response:
        found = await run_in_threadpool(self._desk.read, request.path_params["clue"], user, ("json",))
        return _json(shown(found, now()), headers={"etag": f'"{found.version}"'})

    async def overdue(self, request: Request, user: User) -> Response:
        desk = self._desk
        found = await run_in_threadpool(desk.ask, lambda: desk.store.late(user.scope, now())[:ROWS_MAX])
        return _json([{"clue_id": c.clue_id, "station": c.station, "owed": w, "since": s} for c, w, s in found])

    async def verb(self, request: Request, user: User) -> Response:
        name = request.path_params["verb"]
        kind = VERBS.get(name)
        if kind is None:
            raise ProblemError(404, f"no verb {name}; there are {', '.join(VERBS)}")
        allowed(user, name)
        wanted, at = _body(await body_of(request), kind), now()
        done = await run_in_threadpool(self._desk.act, request.path_params["clue"], wanted, user, _expects(request), at)
        return self._done(done, user, at)

    async def report(self, request: Request, user: User) -> Response:
        wanted, at = _body(await body_of(request), Report), now()
        done = await run_in_threadpool(self._desk.report, wanted, user, at)
        return self._done(done, user, at, 201)

    def _done(self, done: Done, user: User, at_ms: int, status: int = 200) -> Response:
        etag = {"etag": f'"{done.clue.version}"'}
        return _json(shown(user.scope.shown(done.clue), at_ms), status if done.read_back else 202, etag)

    async def openapi(self, request: Request) -> Response:
        return _json(document())


def _body(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except UNREADABLE as error:
        said = str(error) if isinstance(error, msgspec.ValidationError) else "not JSON"
        raise ProblemError(422, said) from None


def _expects(request: Request) -> int | None:
    said = request.headers.get("if-match")
    if said is None:
        return None
    version = version_of(said.strip().strip('"'))
    if version is None:
        raise ProblemError(422, "If-Match holds the ETag of the clue")
    return version


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, "application/json")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    body = msgspec.json.encode({"title": error.detail, "status": error.status})
    return Response(body, error.status, headers, "application/problem+json")
