"""From records of the topics to rows: clues as the fold makes them, their logs, traces, and who read what."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, delete, func, select

from desk.clues.book import Book
from desk.clues.clue import Clue
from desk.store.database import Database
from desk.store.tables import Tables, plain, row_of, row_of_read
from schemas import topics
from schemas.clues import AnyClueEvent, ClueEvent
from schemas.refusals import UNREADABLE
from streams.kafka.log_reader import Entry

log = logging.getLogger(__name__)

READ: Final = (topics.CLUES, topics.TRACES, topics.ACCESS)
_KEPT: Final = 20_000  # clues kept in memory between transactions; a folded one is about 4 KB
_KEYS: Final = 500  # of one statement
_event = msgspec.json.Decoder(AnyClueEvent).decode
decode_clue = msgspec.json.Decoder(Clue).decode


@dataclass(slots=True)
class _Changes:
    """What one transaction writes about clues. clues: by id, the last changed last."""

    clues: dict[str, Clue] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, str]] = field(default_factory=list)
    watched: set[str] = field(default_factory=set)
    handed: set[str] = field(default_factory=set)


class Sink:
    """Applies records in their order. One thread; after an error of the database, make a new one."""

    def __init__(self, database: Database, tables: Tables, connection: Connection) -> None:
        self._database, self._tables = database, tables
        self._book = Book()
        self._seq = connection.scalar(select(func.max(tables.clues.c.seq))) or 0

    def apply(self, connection: Connection, entries: Sequence[Entry]) -> list[Clue]:
        """Write what records change. Returns the clues that have changed."""
        changes = self._fold(connection, [entry for entry in entries if entry.topic == topics.CLUES])
        self._write(connection, changes)
        self._trace(connection, [entry for entry in entries if entry.topic == topics.TRACES])
        reads = [row_of_read(entry.value or b"", entry.at_ms) for entry in entries if entry.topic == topics.ACCESS]
        self._database.add(connection, self._tables.reads, list({row["hashed"]: row for row in reads}.values()))
        if len(self._book.clues) > _KEPT:
            self._book.clues = dict(list(changes.clues.items())[-_KEPT // 2 :])
        return list(changes.clues.values())

    def _fold(self, connection: Connection, entries: Sequence[Entry]) -> _Changes:
        read = [(entry, event) for entry in entries if (event := _read(entry)) is not None]
        self._load(connection, {event.clue_id for _, event in read} - self._book.clues.keys())
        changes, clues = _Changes(), self._book.clues
        for entry, event in read:
            before = clues.get(event.clue_id)
            taken = self._book.take(event)
            clue = taken.clue
            if clue is None or clue is before:  # of no clue, or a repeat
                continue
            changes.clues.pop(clue.clue_id, None)
            changes.clues[clue.clue_id] = clue
            changes.events.append(
                {
                    "clue_id": plain(clue.clue_id), "number": clue.events + clue.refused, "value": entry.value,
                    "why": None if taken.why is None else plain(taken.why),
                }
            )  # fmt: skip
            if clue.alert is not None and (before is None or before.alert is None):
                ids = {reason.rule for reason in clue.alert.reasons}
                changes.rules += [{"rule": rule, "clue_id": plain(clue.clue_id)} for rule in sorted(ids)]
            if clue.monitor != (() if before is None else before.monitor):
                changes.watched.add(clue.clue_id)
            if clue.ends != (() if before is None else before.ends):
                changes.handed.add(clue.clue_id)
        return changes

    def _load(self, connection: Connection, wanted: set[str]) -> None:
        """Read clues that are not in memory."""
        clues = self._tables.clues.c
        for ids in _sliced(sorted({plain(clue_id) for clue_id in wanted})):
            for value in connection.scalars(select(clues.value).where(clues.clue_id.in_(ids))):
                clue = decode_clue(value)
                self._book.clues[clue.clue_id] = clue

    def _write(self, connection: Connection, changes: _Changes) -> None:
        tables = self._tables
        rows = [row_of(clue, self._seq + number) for number, clue in enumerate(changes.clues.values(), 1)]
        self._seq += len(rows)
        self._database.add(connection, tables.clues, rows)
        self._database.add(connection, tables.events, changes.events)
        self._database.add(connection, tables.rules, changes.rules)
        clues = changes.clues
        watchers = {(plain(name), plain(user)) for name in changes.watched for user in clues[name].monitor}
        self._replace(
            connection, tables.watchers, changes.watched,
            [{"clue_id": name, "watcher": user} for name, user in sorted(watchers)],
        )  # fmt: skip
        ends = {
            (plain(name), plain(end.adcode), plain(end.station or ""))
            for name in changes.handed
            for end in clues[name].ends
        }
        self._replace(
            connection, tables.ends, changes.handed,
            [{"clue_id": name, "adcode": adcode, "station": station} for name, adcode, station in sorted(ends)],
        )  # fmt: skip

    def _replace(
        self, connection: Connection, table: Table, clue_ids: Iterable[str], rows: Sequence[Mapping[str, str]]
    ) -> None:
        """Put these rows in the place of those of some clues."""
        for keys in _sliced(sorted(map(plain, clue_ids))):
            connection.execute(delete(table).where(table.c.clue_id.in_(keys)))
        self._database.add(connection, table, rows)

    def _trace(self, connection: Connection, entries: Sequence[Entry]) -> None:
        newest = {plain(entry.key.decode("utf-8", "replace")): entry.value for entry in entries}
        traces = self._tables.traces
        gone = sorted(parcel for parcel, value in newest.items() if value is None)
        for parcels in _sliced(gone):
            connection.execute(delete(traces).where(traces.c.parcel.in_(parcels)))
        kept = [{"parcel": parcel, "value": value} for parcel, value in newest.items() if value is not None]
        self._database.add(connection, traces, kept)


def _read(entry: Entry) -> ClueEvent | None:
    try:
        event: ClueEvent = _event(entry.value or b"")
        return event
    except UNREADABLE:
        log.warning("%s is no event of this version; left out", entry.place)
        return None


def _sliced(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _KEYS):
        yield keys[start : start + _KEYS]
