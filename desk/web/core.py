"""What is behind the routes: the projection of the clue log, and what users do with it.

Pages and JSON act by the same functions. Who reads a clue is written on `waybill.access` before the clue is shown. Who
acts sees his act: the answer waits until the projection has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from msgspec.structs import replace
from starlette.requests import Request

from desk.access import Reads
from desk.clues.acts import ActError, checked
from desk.clues.clue import Clue, State
from desk.clues.table import EXCLUSIVE
from desk.log import records_of
from desk.pen import Pen
from desk.queue import OPEN, Filter, UnknownClueError
from desk.rulebook import InForce, Rulebook
from desk.store.database import StoreError
from desk.store.projection import Place, Projection
from desk.store.reading import Store
from desk.store.sessions import SessionStore
from desk.verbs import Report, Verb, act, name_of, report
from desk.watch import Unwatched, Watch
from desk.web.live import Live
from desk.web.sources import Sources
from desk.web.users import User
from schemas.clues import ClueEvent, Opened
from schemas.rulefile import Rule
from schemas.terms import Tier
from streams.kafka.errors import ClientError

BODY_BYTES_MAX: Final = 65_536
READ_BACK_S: Final = 2.0
AUDIT: Final = "audit"
"""What reading the entries of `waybill.access` is called there."""
_AS_ORDERED: Final = ("log",)


class ProblemError(Exception):
    """An error answer in the form of RFC 9457."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass(frozen=True, slots=True)
class Done:
    """An act that counts: the clue after it. read_back False: it is written, but the clue does not show it yet."""

    clue: Clue
    read_back: bool


class Desk:
    """What pages and JSON ask and do; threads share it.

    rulebook: the rules that explain alerts. sources: what single pages read from the topics. sessions: of browsers.
    watch: who is told how requests end.
    """

    def __init__(
        self,
        store: Store,
        projection: Projection,
        pen: Pen,
        rulebook: Rulebook,
        sources: Sources,
        sessions: SessionStore,
        watch: Watch | None = None,
    ) -> None:
        self.watch = watch or Unwatched()
        self.store, self.projection, self.sources, self.sessions = store, projection, sources, sessions
        self._rulebook = rulebook
        self._pen, self._reads = pen, Reads(pen)
        self.live = Live(store)
        projection.listen(self.live.changed)
        self._waiting: dict[str, tuple[Place, int]] = {}

    @property
    def in_force(self) -> InForce:
        """The rules in force, and what workers say of them."""
        return self._rulebook.in_force

    @property
    def rules(self) -> Mapping[str, Rule]:
        """Those rules by id."""
        return self.in_force.catalogue.by_id

    def ask(self, what: Callable[[], Any]) -> Any:
        """Call a function of store or broker. Raises ProblemError."""
        try:
            return what()
        except UnknownClueError as error:
            raise ProblemError(404, str(error)) from None
        except ActError as error:
            raise ProblemError(409, str(error)) from None
        except (ClientError, StoreError) as error:
            raise ProblemError(503, str(error)) from None

    def waiting(self) -> frozenset[str]:
        """Clues about which something was written that they do not show yet."""
        for clue_id, (place, offset) in list(self._waiting.items()):
            if self.projection.has(place, offset):
                self._waiting.pop(clue_id, None)
        return frozenset(self._waiting)

    def read(self, wanted: str, user: User, fields: tuple[str, ...]) -> Clue:
        """A clue as a user may see it; `waybill.access` says so first. Raises ProblemError.

        fields: which parts of it are shown, unless its station has not answered it yet.
        """

        def do() -> Clue:
            found = user.scope.shown(self.store.find(wanted, user.scope))
            self._reads.note(user.name, found.clue_id, _AS_ORDERED if found.as_ordered else fields, now())
            return found

        clue: Clue = self.ask(do)
        return clue

    def note(self, user: User, clue: Clue, fields: tuple[str, ...], why: str, *, ok: bool) -> None:
        """Write on `waybill.access` that a user looks for something because of a clue. Raises ProblemError."""
        self.ask(lambda: self._reads.note(user.name, clue.clue_id, fields, now(), why, ok=ok))

    def looks_at_reads(self, user: User, filters: tuple[str, ...], ids: tuple[str, ...]) -> None:
        """Write that a user reads who read what, with which filters, and about whom. Raises ProblemError."""
        self.ask(lambda: self._reads.note(user.name, AUDIT, (AUDIT, *filters), now(), AUDIT, also=ids))

    def act(self, wanted: str, verb: Verb, user: User, expects: int | None, now_ms: int) -> Done:
        """Do something about a clue, if need be only at the version `expects`. Raises ProblemError."""

        def do() -> Done:
            found = self.store.find(wanted, user.scope)
            allowed(user, name_of(verb), found)
            try:
                made = act(verb, found, now_ms, user.station).event(found, user.name, user.station, now_ms)
            except ActError as error:
                raise ProblemError(422, str(error)) from None
            if expects is not None and type(made) in EXCLUSIVE:
                made = replace(made, expects=expects)
            checked(found, made)
            return self._written(found, made)

        done: Done = self.ask(do)
        return done

    def report(self, said: Report, user: User, now_ms: int) -> Done:
        """Open a clue of a report. Raises ProblemError."""

        def do() -> Done:
            try:
                made = report(said, now_ms).event(None, user.name, user.station, now_ms)
            except ActError as error:
                raise ProblemError(422, str(error)) from None
            return self._written(checked(None, made), made)

        done: Done = self.ask(do)
        return done

    def _written(self, found: Clue, event: ClueEvent) -> Done:
        """Write an event, and read it back: only its place in the log says whether it counts. Raises ActError.

        found: the clue before it; of one that opens a clue, after it.
        """
        before = None if isinstance(event, Opened) else found
        (topic, partition, offset), *_ = self._pen.write(records_of(event, before))
        if not self.projection.wait_for((topic, partition), offset, READ_BACK_S):
            self._waiting[found.clue_id] = (topic, partition), offset
            return Done(found, read_back=False)
        clue = self.store.clue(found.clue_id)
        refused = next((late for late in clue.late if late.event_id == event.event_id), None)
        if refused is not None:
            raise ActError(refused.why)
        return Done(clue, read_back=True)


def allowed(user: User, right: str, clue: Clue | None = None) -> None:
    """Raise ProblemError unless a role of the user has this right, if need be about this clue."""
    if not user.may(right, clue):
        raise ProblemError(403, f"{right}: your roles do not allow it")


async def body_of(request: Request) -> bytes:
    """The body of a request. Raises ProblemError if it is too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_BYTES_MAX:
            raise ProblemError(413, f"at most {BODY_BYTES_MAX:,} bytes")
    return bytes(body)


def filter_of(asked: Mapping[str, str], user: User) -> Filter:
    """The filter that a query string asks for; what is empty filters nothing. Raises ProblemError."""
    named = (asked.get("state") or ",".join(OPEN)).split(",")
    states = frozenset(state for state in get_args(State) if state in named)
    tier = next((tier for tier in get_args(Tier) if tier == (asked.get("tier") or "low")), None)
    if tier is None or not states:
        raise ProblemError(
            422, f"tier is one of {', '.join(get_args(Tier))}, state some of {', '.join(get_args(State))}"
        )
    station = asked.get("station") or None
    return Filter(user.name, station, states, tier, asked.get("adcode", ""), asked.get("rule", ""))


def version_of(text: str) -> int | None:
    """The version of a clue that is written there; None: it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def now() -> int:
    """The wall clock, epoch ms UTC."""
    return int(time.time() * 1_000)
