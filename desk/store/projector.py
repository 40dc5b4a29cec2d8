"""From the topics to the tables: builds them where none fit, and follows.

Rows and the offsets behind them are one transaction, so whenever the process ends, it goes on where the rows are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from desk.log import Client
from desk.store.database import Database, StoreError
from desk.store.projection import Place, Progress, Projection
from desk.store.sink import READ, Sink
from desk.store.tables import Tables
from schemas.errors import WaybillError
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError
from streams.kafka.log_reader import Entry, LogReader

log = logging.getLogger(__name__)

_ROWS: Final = 20_000  # of one transaction while tables are built
_POLL_S: Final = 0.1
_LOOK_S: Final = 0.2  # how often a process that does not write looks for news
_TAKE_OVER_S: Final = 5.0  # and whether nobody writes any more
_AGAIN_S: Final = 1.0


class Projector:
    """Writes a database, or where another process does, sees how far it is."""

    def __init__(self, database: Database, servers: str, client: Client) -> None:
        self.projection = Projection()
        self._database, self._servers, self._client = database, servers, client
        self._stopping = threading.Event()

    def run(self) -> None:
        """Until `stop`, on a thread of its own. Errors of database and broker are noted, and it tries again."""
        while not self._stopping.is_set():
            try:
                with self._database.writing() as mine:
                    if mine:
                        self._write()
                    else:
                        self._watch()
            except (ClientError, StoreError) as error:
                self._failed(error)
            except SQLAlchemyError as error:
                self._failed(self._database.failure(error))

    def stop(self) -> None:
        """End `run`, soon."""
        self._stopping.set()

    def _failed(self, error: WaybillError) -> None:
        log.warning("%s", error)
        self.projection.failed(error)
        self._stopping.wait(_AGAIN_S)

    def _write(self) -> None:
        tables, reader, ids, ready = self._opened()
        with reader, self._database.engine.connect() as connection:
            with connection.begin():
                sink = Sink(self._database, tables, connection)
            writer = _Writer(self._database, tables, sink, connection, ids)
            total = sum(end for _, end in reader.bounds.values()) - sum(reader.positions.values())
            waiting: list[Entry] = []
            done = 0
            for piece in reader.pieces_to_end():
                waiting += piece
                if len(waiting) >= _ROWS:
                    writer.write(waiting, reader.positions)
                    done, waiting = done + len(waiting), []
                    if not ready:
                        self.projection.built_so_far(Progress(done, max(total, done)))
                if self._stopping.is_set():
                    return
            writer.write(waiting, reader.positions)
            if not ready:
                done += len(waiting)
                self.projection.built_so_far(Progress(done, done))
                self._database.finish(tables)
            self.projection.applied(tables, reader.positions)
            while not self._stopping.is_set():
                if entries := reader.poll(_POLL_S):
                    writer.write(entries, reader.positions)
                    self.projection.applied(tables, reader.positions)
                self.projection.looked(reader.unread())

    def _opened(self) -> tuple[Tables, LogReader, dict[str, str], bool]:
        """Tables that fit the topics, a reader behind what they hold, ids of the topics, and whether they are built."""
        generations = self._database.generations()
        ids = Cluster({**self._client, "bootstrap.servers": self._servers}).ids(READ)
        for generation, ready in generations:
            tables = Tables(generation)
            starts, known = self._stored(tables)
            reader = self._reader(starts)
            if _fits(starts, known, reader, ids):
                return tables, reader, ids, ready
            reader.close()
        return self._database.begin(), self._reader({}), ids, False

    def _reader(self, starts: Mapping[Place, int]) -> LogReader:
        return LogReader(self._servers, READ, client=self._client, starts=starts)

    def _stored(self, tables: Tables) -> tuple[dict[Place, int], dict[str, str]]:
        with self._database.engine.connect() as connection:
            rows = connection.execute(select(tables.positions)).all()
        return {(row.topic, row.partition): row.next_offset for row in rows}, {row.topic: row.topic_id for row in rows}

    def _watch(self) -> None:
        """See how far another process is, for a while."""
        for _ in range(int(_TAKE_OVER_S / _LOOK_S)):
            generation = next((name for name, ready in self._database.generations() if ready), None)
            if generation is not None:
                known = self.projection.tables
                tables = known if known is not None and known.generation == generation else Tables(generation)
                self.projection.applied(tables, self._stored(tables)[0])
                self.projection.looked({})
            if self._stopping.wait(_LOOK_S):
                return


class _Writer:
    """One transaction for rows and the offsets behind them."""

    def __init__(
        self, database: Database, tables: Tables, sink: Sink, connection: Connection, ids: Mapping[str, str]
    ) -> None:
        self._database, self._tables, self._sink = database, tables, sink
        self._connection, self._ids = connection, ids

    def write(self, entries: list[Entry], positions: Mapping[Place, int]) -> None:
        with self._connection.begin():
            self._sink.apply(self._connection, entries)
            rows = [
                {"topic": topic, "partition": number, "next_offset": at, "topic_id": self._ids.get(topic, "")}
                for (topic, number), at in positions.items()
            ]
            self._database.add(self._connection, self._tables.positions, rows)


def _fits(starts: Mapping[Place, int], known: Mapping[str, str], reader: LogReader, ids: Mapping[str, str]) -> bool:
    """Whether rows up to these offsets are of the topics that are there. False if records between are gone."""
    same = all(topic_id == ids.get(topic, "") for topic, topic_id in known.items())
    bounds = reader.bounds
    return same and all(place in bounds and bounds[place][0] <= at <= bounds[place][1] for place, at in starts.items())
