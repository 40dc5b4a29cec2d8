"""The desk in a browser: queue, clue and forms, rendered here and without scripts.

Forms act by the functions of the JSON interface. A form carries the version of the clue that its author has seen, so
whoever comes second is told so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, get_args
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from desk.clues.clue import State
from desk.limits import Limiter
from desk.store.database import StoreError
from desk.store.reading import Key
from desk.web import accounts, audit, bulk, holds, measures, overdue, rules, station, stream
from desk.web.core import Desk, ProblemError, allowed, filter_of, now, version_of
from desk.web.directory import Directory, DirectoryError
from desk.web.forms import FORMS, JUDGEMENTS, RARE, offered, verb_of
from desk.web.guard import PAGES
from desk.web.oidc import PENDING_S, Provider
from desk.web.proxy import Headers
from desk.web.rendering import back_to, given_in, home, page
from desk.web.reveals import Door, Reveals
from desk.web.route import sketch
from desk.web.search import Search
from desk.web.sessions import Sessions, remember, remembered
from desk.web.since import since_dispatch
from desk.web.users import User, Users
from desk.web.view import explained
from schemas.terms import Tier

ATTEMPTS_MAX: Final = 10  # wrong passwords for one name
ATTEMPTS_S: Final = 15 * 60.0
_SHOWN: Final = ("alert", "evidence", "trace", "sender_masked", "recipient_masked", "tokens", "log")
Answer = Callable[[Request, User], Awaitable[Response]]
LISTS: Final[Mapping[str, tuple[Callable[[Desk, Request, User], Awaitable[Response]], str]]] = {
    "holds": (holds.answer, "read"), "overdue": (overdue.answer, "read"), "station": (station.answer, "accept"),
    "measures": (measures.answer, "measures"), "rules": (rules.answer, "rules"), "audit": (audit.answer, "audit"),
}  # fmt: skip


def pages(
    desk: Desk, users: Users, directory: Directory | None, headers: Headers | None, door: Path | None
) -> list[BaseRoute]:
    """The routes of all pages."""
    shown, search = Pages(desk, users, directory, headers, reveals=door is not None), Search(desk)
    reveals = Reveals(desk, None if door is None else Door(door))
    return [
        Route("/", lambda request: RedirectResponse(PAGES, 303)),
        Mount(f"{PAGES}/static", StaticFiles(packages=[("desk.web", "static")])),
        Route(PAGES, shown.known(shown.queue, "read")),
        Route(f"{PAGES}/live", shown.known(partial(stream.answer, desk, shown.who), "read")),
        Route(f"{PAGES}/login", shown.ask_who),
        Route(f"{PAGES}/login", shown.log_in, methods=["POST"]),
        Route(f"{PAGES}/login/oidc", shown.go_to_provider),
        Route(f"{PAGES}/login/oidc/back", shown.come_from_provider),
        Route(f"{PAGES}/logout", shown.log_out, methods=["POST"]),
        *(
            Route(f"{PAGES}/{name}", shown.known(partial(answer, desk), right))
            for name, (answer, right) in LISTS.items()
        ),
        Route(f"{PAGES}/accounts", shown.known(partial(accounts.answer, users), "accounts")),
        Route(f"{PAGES}/bulk", shown.known(partial(bulk.ask, desk), "read")),
        Route(f"{PAGES}/bulk/{{act}}", shown.known(partial(bulk.answer, desk), "read"), methods=["POST"]),
        Route(f"{PAGES}/search", shown.known(search.ask, "search")),
        Route(f"{PAGES}/search", shown.known(search.answer, "search"), methods=["POST"]),
        Route(f"{PAGES}/reveals", shown.known(reveals.look, "reveal")),
        Route(f"{PAGES}/reveals", shown.known(reveals.ask, "reveal"), methods=["POST"]),
        Route(f"{PAGES}/reveals/{{reveal}}/show", shown.known(reveals.show, "reveal"), methods=["POST"]),
        Route(f"{PAGES}/reveals/{{reveal}}/{{step}}", shown.known(reveals.decide, "reveal"), methods=["POST"]),
        Route(f"{PAGES}/clues/{{clue}}", shown.known(shown.clue, "read")),
        Route(f"{PAGES}/clues/{{clue}}/{{verb}}", shown.known(shown.act, "read"), methods=["POST"]),
    ]


class Pages:
    """The answers of all pages."""

    def __init__(
        self, desk: Desk, users: Users, directory: Directory | None, headers: Headers | None, *, reveals: bool
    ) -> None:
        self._desk, self._users, self._headers, self._reveals = desk, users, headers, reveals
        oidc = None if directory is None else directory.oidc
        self._provider = Provider(directory, oidc) if directory is not None and oidc is not None else None
        self._sessions = Sessions(desk.sessions, users, directory, now)
        self._attempts = Limiter(ATTEMPTS_MAX, ATTEMPTS_S)

    async def who(self, request: Request, *, active: bool = True) -> User | None:
        """Who asks; None: nobody who is logged in. active: it shows that somebody is there. Raises StoreError."""
        user = await self._sessions.user(request, active=active)
        return self._headers.user(request) if user is None and self._headers is not None else user

    def known(self, answer: Answer, right: str) -> Callable[[Request], Awaitable[Response]]:
        """A page only for who is logged in and has a role with this right. Problems become pages, too."""

        async def endpoint(request: Request) -> Response:
            user = None
            try:
                user = await self.who(request, active=not stream.wanted(request))
                if user is None:
                    return stream.ended() if stream.wanted(request) else RedirectResponse(f"{PAGES}/login", 303)
                allowed(user, right)
                return await answer(request, user)
            except StoreError as error:
                return page(request, "error.html", user, 503, detail=str(error), code=503)
            except ProblemError as error:
                return page(request, "error.html", user, error.status, detail=error.detail, code=error.status)

        return endpoint

    async def ask_who(self, request: Request) -> Response:
        """The form to log in."""
        return self._login(request, 200, "")

    async def go_to_provider(self, request: Request) -> Response:
        """Begin a login at the OpenID provider."""
        if self._provider is None:
            return self._login(request, 404, "no provider")
        back = f"{request.url.scheme}://{request.url.netloc}{PAGES}/login/oidc/back"
        try:
            address, cookie = await run_in_threadpool(self._provider.begin, back)
        except DirectoryError as error:
            return self._login(request, 503, "failed", str(error))
        answer = RedirectResponse(address, 303)
        remember(request, answer, cookie, int(PENDING_S))
        return answer

    async def come_from_provider(self, request: Request) -> Response:
        """End a login at the OpenID provider."""
        if self._provider is None:
            return self._login(request, 404, "no provider")
        try:
            user, groups = await run_in_threadpool(self._provider.end, remembered(request), dict(request.query_params))
        except DirectoryError as error:
            self._desk.watch.refused("provider")
            return self._login(request, 401, "failed", str(error))
        answer = RedirectResponse(home(user), 303)
        remember(request, answer, "", 0)
        return await self._begun(user, request, answer, groups)

    def _login(self, request: Request, status: int, refused: str, detail: str = "") -> Response:
        return page(
            request, "login.html", None, status, here=f"{PAGES}/login", refused=refused, detail=detail,
            provider=self._provider is not None,
        )  # fmt: skip

    async def log_in(self, request: Request) -> Response:
        """Begin a session for the user of a password or a token."""
        try:
            given = await given_in(request)
        except ProblemError as error:
            return page(request, "error.html", None, error.status, detail=error.detail, code=error.status)
        name, token = given.get("user", "").strip(), given.get("token", "").strip()
        tried = f"{name} {request.client.host if request.client else ''}"
        if not self._attempts.allows(tried):
            self._desk.watch.refused("password")
            return self._login(request, 429, "too many")
        if token:
            user = self._users.of_token(token)
        else:
            user = await run_in_threadpool(self._users.of_password, name, given.get("password", ""))
        if user is None:
            self._desk.watch.refused("token" if token else "password")
            if not token:  # nobody guesses one
                self._attempts.note(tried)
            return self._login(request, 401, "unknown")
        return await self._begun(user, request, RedirectResponse(home(user), 303))

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        answer = RedirectResponse(f"{PAGES}/login", 303)
        try:
            await run_in_threadpool(self._sessions.end, request, answer)
        except StoreError as error:
            return page(request, "error.html", None, 503, detail=str(error), code=503)
        self._desk.live.look()
        return answer

    async def _begun(
        self, user: User, request: Request, answer: Response, groups: tuple[str, ...] | None = None
    ) -> Response:
        try:
            await run_in_threadpool(self._sessions.begin, user, request, answer, groups)
        except StoreError as error:
            return page(request, "error.html", None, 503, detail=str(error), code=503)
        self._desk.live.look()  # a browser has one session: whose it was before is logged out
        return answer

    async def queue(self, request: Request, user: User) -> Response:
        """Open clues, the most urgent first; the filter is in the address."""
        desk, which = self._desk, filter_of(request.query_params, user)
        after = Key.of(request.query_params.get("after", ""))
        found = await run_in_threadpool(desk.ask, lambda: desk.store.queue(which, user.scope, after))
        return page(
            request, "queue.html", user, which=which, now_ms=now(), found=found, waiting=desk.waiting(),
            rules=desk.rules, boxes=user.may("note"), tiers=get_args(Tier), states=get_args(State),
            state=request.query_params.get("state", ""), first=after is None,
        )  # fmt: skip

    async def clue(self, request: Request, user: User) -> Response:
        """One clue with all that is known of it, and what its reader may do."""
        return await self._clue(request, user, 200, None, {})

    async def act(self, request: Request, user: User) -> Response:
        """Do what a form says; then the clue again, with what was typed where it does not count."""
        name, wanted = request.path_params["verb"], request.path_params["clue"]
        if name not in FORMS:
            raise ProblemError(404, f"no form {name}")
        allowed(user, name)
        given = await given_in(request)
        expects = version_of(given.get("expects", ""))
        if expects is None:
            raise ProblemError(422, "expects: is missing")
        try:
            verb = verb_of(name, given)
            done = await run_in_threadpool(self._desk.act, wanted, verb, user, expects, now())
        except msgspec.ValidationError as error:
            return await self._clue(request, user, 422, str(error), given)
        except ProblemError as error:
            if error.status not in (409, 422):
                raise
            return await self._clue(request, user, error.status, error.detail, given)
        if not done.read_back:
            return await self._clue(request, user, 202, None, {})
        clue = quote(done.clue.clue_id, safe="")  # the focus goes to its row, or on the clue's own page to what is next
        back = back_to(given)
        return RedirectResponse(f"{PAGES}/clues/{clue}#acts" if back is None else f"{back}#clue-{clue}", 303)

    async def _clue(
        self, request: Request, user: User, status: int, problem: str | None, given: Mapping[str, str]
    ) -> Response:
        desk = self._desk
        found = await run_in_threadpool(desk.read, request.path_params["clue"], user, _SHOWN)
        past, trace = await run_in_threadpool(
            desk.ask, lambda: (desk.store.log(found.clue_id), desk.store.trace(found.parcel))
        )
        trace = None if found.as_ordered else trace  # an order of the random arm has none
        reasons = () if found.alert is None else found.alert.reasons
        return page(
            request, "clue.html", user, status, here=f"{PAGES}/clues/{quote(found.clue_id, safe='')}", clue=found,
            past=past, trace=trace, forms=offered(found, user), given=given, now_ms=now(), problem=problem,
            raced=status == 409 and version_of(given["expects"]) != found.version, judgements=JUDGEMENTS,
            sketch=sketch(trace), since=since_dispatch(found, trace),
            verb=request.path_params.get("verb", ""), rare=RARE, waits=found.clue_id in desk.waiting(),
            rules=desk.rules, reveals=self._reveals and user.may("reveal", found) and not found.as_ordered,
            explained={reason.rule: explained(desk.rules, reason) for reason in reasons},
            same_rules=found.alert is None or found.alert.catalogue == desk.in_force.catalogue.fingerprint,
        )  # fmt: skip
