"""Reveals in the browser: who asks for a field of a record, who agrees, and the page that shows it for ten minutes.

The desk cannot read records. It asks the tracer at its door (`desk.traces.door`), which decides by itself; here it is
only checked whether a user's roles reach the clue. Nothing that comes through the door is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

import httpx2
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from desk.clues.clue import Clue
from desk.reveals import Ask, Field, Reveal, Shown
from desk.web.core import Desk, ProblemError, now
from desk.web.guard import PAGES
from desk.web.rendering import given_in, page
from desk.web.users import User

HERE: Final = f"{PAGES}/reveals"
_TIMEOUT_S: Final = 30.0  # the tracer reads alerts to find the record


class Door:
    """The tracer's door, as the desk sees it. Raises ProblemError. path: of its socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[Reveal]:
        """Reveals that are not over."""
        return msgspec.json.decode(self._ask("GET", ""), type=list[Reveal])

    def ask(self, ask: Ask) -> None:
        """Ask for a field."""
        self._ask("POST", "", ask)

    def decide(self, reveal_id: str, user: str, *, agree: bool) -> None:
        """Agree or refuse, as a second person."""
        self._ask("POST", f"/{reveal_id}/decide", {"user": user, "agree": agree})

    def show(self, reveal_id: str, user: str) -> Shown:
        """The field."""
        return msgspec.json.decode(self._ask("POST", f"/{reveal_id}/show", {"user": user}), type=Shown)

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        try:
            with (
                httpx2.HTTPTransport(uds=str(self._path), verify=False) as way,
                httpx2.Client(base_url="http://tracer", transport=way, timeout=_TIMEOUT_S) as client,
            ):
                answer = client.request(method, f"/reveals{path}", content=msgspec.json.encode(body))
        except httpx2.HTTPError:
            raise ProblemError(503, "the tracer does not answer at its door") from None
        if answer.status_code == 200:
            return bytes(answer.content)
        raise ProblemError(answer.status_code, str(answer.json().get("title", "")))


class Reveals:
    """The pages."""

    def __init__(self, desk: Desk, door: Door | None) -> None:
        self._desk, self._door = desk, door

    async def look(self, request: Request, user: User) -> Response:
        """What is asked for about clues that this user may see, and the form to ask."""
        return await self._page(request, user, 200, {"clue": request.query_params.get("clue", "")}, "")

    async def ask(self, request: Request, user: User) -> Response:
        """Ask for a field."""
        given = await given_in(request)
        return await self._done(request, user, given, lambda: self._asked(user, given))

    async def decide(self, request: Request, user: User) -> Response:
        """Agree or refuse."""
        agree = request.path_params["step"] == "grant"

        def do() -> None:
            reveal, _ = self._of(request, user, "grant")
            self._opened().decide(reveal.reveal_id, user.name, agree=agree)

        return await self._done(request, user, {}, do)

    async def show(self, request: Request, user: User) -> Response:
        """The field, on a page that leaves by itself when the ten minutes are over."""

        def do() -> tuple[Reveal, Clue, Shown]:
            reveal, clue = self._of(request, user, "reveal")
            return reveal, clue, self._opened().show(reveal.reveal_id, user.name)

        try:
            reveal, clue, shown = await run_in_threadpool(do)
        except ProblemError as error:
            return await self._problem(request, user, {}, error)
        answer = page(
            request, "revealed.html", user, here=HERE, reveal=reveal, clue=clue, value=shown.value, now_ms=now()
        )  # fmt: skip
        answer.headers["refresh"] = f"{shown.left_ms // 1_000}; url={HERE}"
        return answer

    def _asked(self, user: User, given: dict[str, str]) -> None:
        desk, why = self._desk, given.get("why", "").strip()
        clue: Clue = desk.ask(lambda: desk.store.find(given.get("clue", "").strip(), user.scope))
        field = given.get("field", "")
        if field not in get_args(Field) or not why:
            raise ProblemError(422, "field: is none" if why else "why: is empty")
        if not user.may("reveal", clue) or user.scope.shown(clue).as_ordered:
            desk.note(user, clue, ("reveal_asked", field), "reveal", ok=False)
            raise ProblemError(403, "reveal: your roles do not allow it for this clue")
        try:
            ask = msgspec.convert(
                {"clue": clue.clue_id, "parcel": clue.parcel, "field": field, "user": user.name, "why": why}, Ask
            )
        except msgspec.ValidationError as error:
            raise ProblemError(422, str(error)) from None
        self._opened().ask(ask)

    def _of(self, request: Request, user: User, right: str) -> tuple[Reveal, Clue]:
        """The reveal of an address, and its clue, if the user has this right about it. Raises ProblemError."""
        wanted = request.path_params["reveal"]
        for reveal, clue in self._seen(user):
            if reveal.reveal_id == wanted:
                if not user.may(right, clue):
                    self._desk.note(user, clue, (f"reveal_{right}", reveal.ask.field), "reveal", ok=False)
                    raise ProblemError(403, f"{right}: your roles do not allow it for this clue")
                return reveal, clue
        raise ProblemError(410, "it is over, or nobody has asked for it")

    def _seen(self, user: User) -> list[tuple[Reveal, Clue]]:
        """Reveals about clues that a user sees, and not blindly."""
        found = []
        for reveal in self._opened().all():
            clue = self._clue(reveal)
            if clue is not None and user.scope.takes(clue) and not user.scope.shown(clue).as_ordered:
                found.append((reveal, clue))
        return found

    def _clue(self, reveal: Reveal) -> Clue | None:
        try:
            clue: Clue = self._desk.ask(lambda: self._desk.store.clue(reveal.ask.clue))
        except ProblemError as error:
            if error.status == 404:  # another desk knows it, and this one not yet
                return None
            raise
        return clue

    def _opened(self) -> Door:
        if self._door is None:
            raise ProblemError(503, "this desk has no door to a tracer")
        return self._door

    async def _done(self, request: Request, user: User, given: dict[str, str], do: Any) -> Response:
        try:
            await run_in_threadpool(do)
        except ProblemError as error:
            return await self._problem(request, user, given, error)
        return RedirectResponse(HERE, 303)

    async def _problem(self, request: Request, user: User, given: dict[str, str], error: ProblemError) -> Response:
        if error.status not in (403, 409, 410, 422, 429):
            raise error
        return await self._page(request, user, error.status, given, error.detail)

    async def _page(self, request: Request, user: User, status: int, given: dict[str, str], problem: str) -> Response:
        seen = [] if self._door is None else await run_in_threadpool(self._seen, user)
        return page(
            request, "reveals.html", user, status, here=HERE, given=given, problem=problem, seen=seen,
            fields=get_args(Field), door=self._door is not None, now_ms=now(),
        )  # fmt: skip
