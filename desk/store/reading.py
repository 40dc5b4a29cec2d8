"""Questions to the projection: the queue, one clue and its log, what is overdue, traces, and what has changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, literal, not_, or_, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from desk.clues.clue import RANK, Clue
from desk.queue import OPEN, Filter, UnknownClueError, late
from desk.scope import Scope
from desk.store.database import Database, StoreError
from desk.store.projection import Projection
from desk.store.sink import decode_clue
from desk.store.tables import Tables, order_of, plain
from schemas.clues import AnyClueEvent, ClueEvent
from schemas.desk import Trace
from schemas.refusals import UNREADABLE

log = logging.getLogger(__name__)

_event = msgspec.json.Decoder(AnyClueEvent).decode
_trace = msgspec.json.Decoder(Trace).decode
COUNT_MAX: Final = 10_000
"""Up to here it is counted how many clues fit: a longer queue costs no more than this one."""
LISTED_MAX: Final = 1_000
"""Clues in one answer about what is overdue, held, or found by its trace."""
_LAST: Final = chr(0x10FFFF)


class BuildingError(StoreError):
    """The projection is being built; the message says how far it is."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The place of a clue in the queue."""

    rank: int
    due_ms: int
    calm: int
    clue_id: str

    def __str__(self) -> str:
        return f"{self.rank}.{self.due_ms}.{self.calm}.{self.clue_id}"

    @classmethod
    def of_clue(cls, clue: Clue, scope: Scope) -> Key:
        """That of a clue as its reader sees it."""
        rank, due_ms, calm = order_of(clue)
        return cls(rank, due_ms, calm, clue.clue_id) if scope.acts_for is None else cls(0, due_ms, 0, clue.clue_id)

    @classmethod
    def of(cls, said: str) -> Key | None:
        """The key that is written there; None: it is none."""
        try:
            rank, due_ms, calm, clue_id = said.split(".", 3)
            return cls(int(rank), int(due_ms), int(calm), clue_id) if max(map(len, (rank, due_ms, calm))) < 20 else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the queue.

    count: of all clues that fit; one more than COUNT_MAX stands for any more. after: where the next page begins.
    seq: of the last change.
    """

    clues: list[Clue]
    count: int
    after: Key | None
    seq: str


class Store:
    """The projection, to read. Threads may share it. Raises BuildingError, StoreError."""

    def __init__(self, database: Database, projection: Projection) -> None:
        self._database = database
        self._projection = projection

    def tables(self) -> Tables:
        """The tables in use."""
        found = self._projection.tables
        if found is None:
            at = self._projection.progress
            raise BuildingError(f"clues are being read from the topics: {at.done:,} of {at.total:,} records")
        return found

    def queue(
        self, which: Filter, scope: Scope, after: Key | None = None, limit: int = 100, only: Sequence[str] = ()
    ) -> Page:
        """Clues as `desk.queue.queue` gives them, by tier, time left and score; for a station by time left alone.

        only: these alone, as far as they fit; empty: all that fit.
        """
        tables = self.tables()
        clues = tables.clues.c
        blind = scope.acts_for is not None
        order = (clues.due_ms, clues.clue_id) if blind else (clues.rank, clues.due_ms, clues.calm, clues.clue_id)
        named = [clues.clue_id.in_([plain(each) for each in only])] if only else []
        fitting = and_(*within(tables, scope), *_filtered(tables, which, scope), *named)
        wanted = select(*order, clues.value).where(fitting).order_by(*order).limit(limit + 1)
        counted = select(clues.clue_id).where(fitting).limit(COUNT_MAX + 1).subquery()
        if after is not None:
            last_id = plain(after.clue_id)
            key = (after.due_ms, last_id) if blind else (after.rank, after.due_ms, after.calm, last_id)
            wanted = wanted.where(tuple_(*order) > tuple_(*(literal(each) for each in key)))
        with self._connected() as connection:
            seq = connection.scalar(select(func.max(clues.seq))) or 0
            count = connection.scalar(select(func.count()).select_from(counted)) or 0
            rows = connection.execute(wanted).all()
        shown = rows[:limit]
        last = None if len(rows) <= limit else _key(shown[-1], blind)
        found = [scope.shown(decode_clue(row.value)) for row in shown]
        return Page(found, count, last, f"{tables.generation}-{seq}")

    def find(self, wanted: str, scope: Scope) -> Clue:
        """The clue with this id, start of an id, or parcel, with all that it holds.

        Raises UnknownClueError, also for one out of scope.
        """
        tables = self.tables()
        clues, wanted = tables.clues.c, plain(wanted)
        named = or_(and_(clues.clue_id >= wanted, clues.clue_id < wanted + _LAST), clues.parcel == wanted)
        rows = self.rows(select(clues.clue_id, clues.value).where(*within(tables, scope), named).limit(3))
        exact = [row for row in rows if row.clue_id == wanted]
        found = exact or rows
        if len(found) != 1:
            what = "no clue is" if not found else "several clues are"
            raise UnknownClueError(f"{what} called {wanted}; `waybill clues list` shows them")
        return decode_clue(found[0].value)

    def clue(self, clue_id: str) -> Clue:
        """A clue by its id, whoever asks. Raises UnknownClueError."""
        clues = self.tables().clues.c
        for row in self.rows(select(clues.value).where(clues.clue_id == plain(clue_id))):
            return decode_clue(row.value)
        raise UnknownClueError(f"no clue is called {clue_id}")

    def held(self, scope: Scope) -> list[Clue]:
        """Clues whose parcel is held, LISTED_MAX of them; those that are overdue the longest come first."""
        tables = self.tables()
        clues = tables.clues.c
        rows = self.rows(
            select(clues.value)
            .where(*within(tables, scope), clues.held)
            .order_by(clues.listed_ms, clues.clue_id)
            .limit(LISTED_MAX)
        )
        return [scope.shown(decode_clue(row.value)) for row in rows]

    def log(self, clue_id: str) -> list[tuple[ClueEvent, str | None]]:
        """All events of a clue in their order, and why one does not count."""
        events = self.tables().events.c
        rows = self.rows(
            select(events.value, events.why).where(events.clue_id == plain(clue_id)).order_by(events.number)
        )
        return [(_event(row.value), row.why) for row in rows]

    def late(self, scope: Scope, now_ms: int, station: str = "") -> list[tuple[Clue, str, int]]:
        """Overdue clues, LISTED_MAX of them, the longest first, as `desk.queue.late` gives them.

        station: of this one alone.
        """
        tables = self.tables()
        clues = tables.clues.c
        wanted = select(clues.value).where(*within(tables, scope), clues.listed_ms <= now_ms)
        if station:
            wanted = wanted.where(clues.station == plain(station))
        rows = self.rows(wanted.order_by(clues.listed_ms, clues.clue_id).limit(LISTED_MAX))
        return late((scope.shown(decode_clue(row.value)) for row in rows), scope.user, now_ms)

    def trace(self, parcel: str) -> Trace | None:
        """The trace of `CARRIER:NUMBER`; None: there is none that can be read."""
        traces = self.tables().traces.c
        rows = self.rows(select(traces.value).where(traces.parcel == plain(parcel)))
        return _trace_in(rows[0].value) if rows else None

    def carrying(self, text: bytes, scope: Scope, limit: int) -> list[tuple[Clue, Trace]]:
        """Clues whose trace holds this text, the last changed first, LISTED_MAX at most.

        limit: so many clues that changed last are looked at.
        """
        tables = self.tables()
        clues, traces = tables.clues.c, tables.traces.c
        newest = (
            select(clues.clue_id, clues.parcel, clues.seq)
            .where(*within(tables, scope))
            .order_by(clues.seq.desc())
            .limit(limit)
            .subquery()
        )
        holds = (func.instr if self._database.sqlite else func.pg_catalog.position)(traces.value, text) > 0
        found = self.rows(
            select(clues.value, traces.value.label("trace"))
            .select_from(newest)
            .join(tables.traces, traces.parcel == newest.c.parcel)
            .join(tables.clues, clues.clue_id == newest.c.clue_id)
            .where(holds)
            .order_by(newest.c.seq.desc())
            .limit(LISTED_MAX)
        )
        return [
            (scope.shown(decode_clue(row.value)), trace) for row in found if (trace := _trace_in(row.trace)) is not None
        ]

    def last(self) -> int:
        """The number of the last change."""
        return self.rows(select(func.max(self.tables().clues.c.seq)))[0][0] or 0

    def changes(self, after: int, limit: int) -> list[tuple[int, Clue]]:
        """Clues that have changed after this number, each with that of its last change, in its order."""
        clues = self.tables().clues.c
        rows = self.rows(select(clues.seq, clues.value).where(clues.seq > after).order_by(clues.seq).limit(limit))
        return [(row.seq, decode_clue(row.value)) for row in rows]

    def rows(self, wanted: Select[Any]) -> Sequence[Any]:
        """The rows of a question of somebody who need not be asked what he may see."""
        with self._connected() as connection:
            return connection.execute(wanted).all()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._database.engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            failure = self._database.failure(error)
            log.warning("%s", failure)
            raise failure from None


def _trace_in(value: bytes) -> Trace | None:
    """A trace; None: it is of another version."""
    try:
        trace: Trace = _trace(value)
        return trace
    except UNREADABLE:
        return None


def within(tables: Tables, scope: Scope) -> list[ColumnElement[bool]]:
    """Which clues a user may see, in SQL: every question about clues that comes from a person has this condition."""
    clues, watchers, ends = tables.clues.c, tables.watchers.c, tables.ends.c

    def at(adcode: ColumnElement[str], station: ColumnElement[str | None]) -> ColumnElement[bool]:
        there = [_begins(adcode, prefix) for prefix in scope.prefixes]
        theirs = [station.in_([plain(each) for each in scope.stations])] if scope.stations else []
        return or_(false(), *there, *theirs)

    found: list[ColumnElement[bool]] = []
    if "" not in scope.prefixes:
        through = exists().where(ends.clue_id == clues.clue_id, at(ends.adcode, ends.station))
        found.append(or_(at(clues.adcode, clues.station), and_(clues.handed, through)))
    named = exists().where(watchers.clue_id == clues.clue_id, watchers.watcher == plain(scope.user))
    found.append(or_(not_(clues.hidden), named))
    return found


def _key(row: Any, blind: bool) -> Key:
    """The place of a row; of a station's queue it says nothing of tier and score."""
    return Key(0, row.due_ms, 0, row.clue_id) if blind else Key(row.rank, row.due_ms, row.calm, row.clue_id)


def _filtered(tables: Tables, which: Filter, scope: Scope) -> list[ColumnElement[bool]]:
    """What `Filter.takes` says, without the user, in SQL. What the user may not see yet fits no filter."""
    clues, rules = tables.clues.c, tables.rules.c
    found: list[ColumnElement[bool]] = []
    if which.states <= OPEN:
        found.append(clues.open)
    if which.states != OPEN:
        found.append(clues.state.in_(sorted(which.states)))
    if which.tier != "low":
        found.append(clues.rank <= RANK[which.tier])
    if which.station is not None:
        found.append(clues.station == plain(which.station))
    if which.adcode:
        found.append(_begins(clues.adcode, which.adcode))
    if scope.acts_for is not None and (which.rule or which.tier != "low"):
        found.append(or_(clues.settled, clues.answered_by == plain(scope.acts_for)))
    if which.rule:
        found.append(exists().where(rules.rule == plain(which.rule), rules.clue_id == clues.clue_id))
    return found


def _begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Whether a text begins so; LIKE would not tell capitals apart in SQLite."""
    return func.substr(column, 1, len(prefix)) == plain(prefix)
