"""What is behind the routes: the clue log, followed on a thread, and what users do with it.

Pages and JSON act by the same functions. Who reads a clue is written on `waybill.access` before the clue is shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, get_args

from msgspec.structs import replace
from starlette.requests import Request

from desk.clues.acts import ActError
from desk.clues.book import Taken
from desk.clues.clue import Clue, State
from desk.clues.table import EXCLUSIVE
from desk.log import ClueLog, LogError
from desk.queue import OPEN, Filter, UnknownClueError, find, queue
from desk.traces.table import Traces
from desk.verbs import Verb, act, name_of
from desk.web.access import Reads
from desk.web.users import User
from rules.engine.catalogue import Catalogue
from schemas.terms import Tier
from streams.kafka.errors import ClientError
from streams.kafka.transactions import WriteError

BODY_BYTES_MAX: Final = 65_536
_POLL_S: Final = 0.1


class ProblemError(Exception):
    """An error answer in the form of RFC 9457."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class Desk:
    """The log behind the application, used by one call at a time. catalogue: explains alerts."""

    def __init__(self, log: ClueLog, traces: Traces, catalogue: Catalogue) -> None:
        self.log, self.traces, self.catalogue = log, traces, catalogue.fingerprint
        self.rules = catalogue.by_id
        self.lock = threading.Lock()
        self._stopping = threading.Event()
        self._failed: Exception | None = None
        self._reads = Reads(log)

    def follow(self) -> None:
        """Follow the log until `stop`, on a thread of its own."""
        try:
            while not self._stopping.wait(_POLL_S):
                with self.lock:
                    self.log.poll(0.0)
                    self.traces.poll()
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

    def queue(self, user: User, which: Filter, now_ms: int) -> list[Clue]:
        """The clues to show, the most urgent first. Raises ProblemError."""
        clues = self.log.book.clues
        found: list[Clue] = self.ask(lambda: queue(filter(user.scope.takes, clues.values()), which, now_ms))
        return found

    def read(self, wanted: str, user: User, fields: tuple[str, ...]) -> Clue:
        """A clue to show; `waybill.access` says so first. fields: which parts of it are shown. Raises ProblemError."""

        def do() -> Clue:
            found = self._find(wanted, user)
            self._reads.note(user.name, found.clue_id, fields, now())
            return found

        clue: Clue = self.ask(do)
        return clue

    def _find(self, wanted: str, user: User) -> Clue:
        found = find(self.log.book.clues, wanted, user.name)
        if not user.scope.takes(found):
            raise UnknownClueError(f"no clue is called {wanted}")
        return found

    def act(self, wanted: str, verb: Verb, user: User, expects: int | None, now_ms: int) -> Taken:
        """Do something about a clue, if need be only at the version `expects`. Raises ProblemError."""

        def do() -> Taken:
            found = self._find(wanted, user)
            allowed(user, name_of(verb), found)
            try:
                made = act(verb, found, now_ms).event(found, user.name, user.station, now_ms)
            except ActError as error:
                raise ProblemError(422, str(error)) from None
            if expects is not None and type(made) in EXCLUSIVE:
                made = replace(made, expects=expects)
            return self.log.act(made)

        taken: Taken = self.ask(do)
        if taken.why is not None:
            raise ProblemError(409, taken.why)
        return taken


@contextmanager
def problems() -> Iterator[None]:
    """Turn what a broker does not do into a ProblemError."""
    try:
        yield
    except (ClientError, WriteError, LogError) as error:
        raise ProblemError(503, str(error)) from None


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
