"""The HTTP application. A bearer token names the user, and the version of a clue is its ETag.

GET reads; POST /clues/{clue}/{verb} acts. With `If-Match`, an act applies to the version that its author has seen;
without it, to the present version. 409 says who came first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, get_args

import msgspec
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from desk.clues.acts import ActError
from desk.clues.clue import State
from desk.clues.table import EXCLUSIVE
from desk.log import ClueLog, LogError
from desk.queue import OPEN, Filter, UnknownClueError, find, late, queue, shown
from desk.verbs import VERBS, act
from desk.web.openapi import document
from desk.web.users import User, Users
from schemas.terms import Tier
from streams.kafka.errors import ClientError
from streams.kafka.transactions import WriteError

BODY_BYTES_MAX: Final = 65_536
ROWS_MAX: Final = 1_000
_POLL_S: Final = 0.1


class ProblemError(Exception):
    """An error answer in the form of RFC 9457."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Desk:
    """The log behind the application, used by one call at a time."""

    def __init__(self, log: ClueLog) -> None:
        self.log = log
        self.lock = threading.Lock()
        self._stopping = threading.Event()
        self._failed: Exception | None = None

    def follow(self) -> None:
        """Follow the log until `stop`, on a thread of its own."""
        try:
            while not self._stopping.wait(_POLL_S):
                with self.lock:
                    self.log.poll(0.0)
        except ClientError as error:
            self._failed = error

    def stop(self) -> None:
        """End `follow`."""
        self._stopping.set()

    def ask(self, what: Callable[[], Any]) -> Any:
        """Call a function with the log up to date. Raises ProblemError."""
        with self.lock:
            try:
                if self._failed is not None:
                    raise self._failed
                self.log.poll(0.0)
                return what()
            except UnknownClueError as error:
                raise ProblemError(404, str(error)) from None
            except ActError as error:
                raise ProblemError(409, str(error)) from None
            except (ClientError, WriteError, LogError) as error:
                raise ProblemError(503, str(error)) from None


def application(log: ClueLog, users: Users) -> Starlette:
    """The application on a log that has been read to its end."""
    desk = Desk(log)
    answers = Answers(desk, users)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        thread = threading.Thread(target=desk.follow, name="clue-log", daemon=True)
        thread.start()
        yield
        desk.stop()
        thread.join()

    return Starlette(
        routes=[
            Route("/openapi.json", answers.openapi),
            Route("/clues", answers.known(answers.clues)),
            Route("/overdue", answers.known(answers.overdue)),
            Route("/clues/{clue}", answers.known(answers.clue)),
            Route("/clues/{clue}/{verb}", answers.known(answers.verb), methods=["POST"]),
        ],
        exception_handlers={ProblemError: _problem},
        lifespan=lifespan,
    )


class Answers:
    """The answers of all routes."""

    def __init__(self, desk: Desk, users: Users) -> None:
        self._desk, self._users = desk, users

    def known(self, answer: Callable[[Request, User], Any]) -> Callable[[Request], Any]:
        """An endpoint only for users with a known token."""

        async def endpoint(request: Request) -> Response:
            user = self._users.of_header(request.headers.get("authorization"))
            if user is None:
                raise ProblemError(401, "who acts? send `Authorization: Bearer TOKEN`")
            made: Response = await answer(request, user)
            return made

        return endpoint

    async def clues(self, request: Request, user: User) -> Response:
        which = _filter(request, user)
        now = _now()
        found = await run_in_threadpool(
            self._desk.ask, lambda: queue(self._desk.log.book.clues.values(), which, now)[:ROWS_MAX]
        )
        return _json([shown(clue, now) for clue in found])

    async def clue(self, request: Request, user: User) -> Response:
        found = await run_in_threadpool(
            self._desk.ask, lambda: find(self._desk.log.book.clues, request.path_params["clue"], user.name)
        )
        return _json(shown(found, _now()), headers={"etag": f'"{found.version}"'})

    async def overdue(self, request: Request, user: User) -> Response:
        now = _now()
        found = await run_in_threadpool(
            self._desk.ask, lambda: late(self._desk.log.book.clues.values(), user.name, now)[:ROWS_MAX]
        )
        return _json([{"clue_id": c.clue_id, "station": c.station, "owed": w, "since": s} for c, w, s in found])

    async def verb(self, request: Request, user: User) -> Response:
        kind = VERBS.get(request.path_params["verb"])
        if kind is None:
            raise ProblemError(404, f"no verb {request.path_params['verb']}; there are {', '.join(VERBS)}")
        wanted = _body(await _bytes(request), kind)
        expects, now = _expects(request), _now()

        def do() -> Any:
            found = find(self._desk.log.book.clues, request.path_params["clue"], user.name)
            try:
                made = act(wanted, found, now).event(found, user.name, user.station, now)
            except ActError as error:
                raise ProblemError(422, str(error)) from None
            if expects is not None and type(made) in EXCLUSIVE:
                made = replace(made, expects=expects)
            return self._desk.log.act(made)

        taken = await run_in_threadpool(self._desk.ask, do)
        if taken.why is not None:
            raise ProblemError(409, taken.why)
        return _json(shown(taken.clue, now), headers={"etag": f'"{taken.clue.version}"'})

    async def openapi(self, request: Request) -> Response:
        return _json(document())


def _filter(request: Request, user: User) -> Filter:
    asked = request.query_params
    named = asked.get("state", ",".join(OPEN)).split(",")
    states = frozenset(state for state in get_args(State) if state in named)
    tier = next((tier for tier in get_args(Tier) if tier == asked.get("tier", "low")), None)
    if tier is None or not states:
        raise ProblemError(
            422, f"tier is one of {', '.join(get_args(Tier))}, state some of {', '.join(get_args(State))}"
        )
    return Filter(user.name, asked.get("station"), states, tier, asked.get("adcode", ""))


async def _bytes(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise ProblemError(413, f"at most {BODY_BYTES_MAX:,} bytes")
    return bytes(body)


def _body(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = str(error) if isinstance(error, msgspec.ValidationError) else "not JSON"
        raise ProblemError(422, said) from None


def _expects(request: Request) -> int | None:
    said = request.headers.get("if-match")
    if said is None:
        return None
    number = said.strip().strip('"')
    if not (number.isascii() and number.isdecimal()):
        raise ProblemError(422, "If-Match holds the ETag of the clue")
    return int(number)


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    headers = {"cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(document), status, headers, "application/json")


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
    body = msgspec.json.encode({"title": error.detail, "status": error.status})
    return Response(body, error.status, headers, "application/problem+json")


def _now() -> int:
    return int(time.time() * 1_000)
