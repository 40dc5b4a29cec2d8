"""The desk's database on a real broker: killed while it is built, other topics, and two desks with one PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Table, inspect

from desk.clues.book import Book
from desk.store.database import Database
from desk.store.tables import Tables
from desk.verbs import Note
from desk.web.roles import Grant
from desk.web.serving import desk_on
from desk.web.users import User
from schemas import topics
from schemas.records import encode
from streams.kafka.log_reader import LogReader
from streams.kafka.transactions import Outgoing, TransactionalWriter
from streams.settings import Settings
from tests.broker.test_desk import now_ms
from tests.desk.logs import random_log
from tests.desk_site import three_clues
from tests.postgres import Postgres
from tests.repetition import LONG
from tests.waiting import PATIENCE_S, until

pytestmark = [pytest.mark.broker, pytest.mark.xdist_group("postgres")]  # one server

PARCEL = "SF:0000000000001"
# A process that builds the tables in small steps, and says so at each.
BUILDS = """
import sys
from desk.store import projector
from desk.store.database import Database
from streams.kafka import log_reader
projector._ROWS = log_reader._ROWS = 40
made = projector.Projector(Database(sys.argv[2]), sys.argv[1], {})
made.projection.built_so_far = lambda progress: print(progress.done, flush=True)
made.run()
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/desk.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.url


def publish(servers: str, seed: int, events: int) -> None:
    log = random_log(Random(seed), clues=40, events=events)
    writer = TransactionalWriter(servers, "test-publisher", {})
    for start in range(0, events, 20):  # fetches are cut where transactions are: so there are many pieces
        writer.write([Outgoing(topics.CLUES, each.clue_id, encode(each)) for each in log[start : start + 20]])


def book_of(servers: str) -> Book:
    book = Book()
    with LogReader(servers, [topics.CLUES]) as reader:
        for entry in reader.to_end():
            book.read(entry.value)
    return book


@contextmanager
def built(servers: str, url: str) -> Iterator[tuple[Database, Tables]]:
    """The tables in use, built to the end; nobody writes there any more."""
    with desk_on(servers, {}, url, Settings()) as desk:
        tables = desk.store.tables()
    database = Database(url)
    yield database, tables
    database.engine.dispose()


def rows(database: Database, tables: Tables) -> dict[str, list[tuple[object, ...]]]:
    """All rows but the numbers of changes, which depend on the order of the partitions."""

    def of(table: Table) -> list[tuple[object, ...]]:
        wanted = table.select().with_only_columns(*(column for column in table.c if column.name != "seq"))
        return sorted((tuple(row) for row in connection.execute(wanted)), key=repr)

    with database.engine.connect() as connection:
        return {table.name.rsplit("_", 1)[0]: of(table) for table in tables.metadata.sorted_tables}


def test_killed_while_it_is_built_it_goes_on_to_the_same_rows(fresh_kafka: str, url: str, tmp_path: Path) -> None:
    publish(fresh_kafka, 5, 600)
    for kills in range(6 if LONG else 2):
        command = [sys.executable, "-c", BUILDS, fresh_kafka, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
        assert all(each.strip().isdecimal() for each in said), (kills, said)
    with (
        built(fresh_kafka, url) as (database, tables),
        built(fresh_kafka, f"sqlite:///{tmp_path}/fresh.sqlite") as (other, fresh),
    ):
        found = rows(database, tables)
        assert found == rows(other, fresh)
        assert len(found["desk_clues"]) == len(book_of(fresh_kafka).clues)
        assert database.generations() == [(tables.generation, True)]  # what others began is gone


def test_other_topics_are_read_anew(fresh_topics: Callable[[int], str], url: str) -> None:
    servers = fresh_topics(2)
    publish(servers, 6, 100)
    with built(servers, url) as (_, before):
        pass
    with built(servers, url) as (_, again):
        assert again.generation == before.generation
    fresh_topics(4)
    publish(servers, 7, 60)
    with built(servers, url) as (database, after):
        assert after.generation != before.generation
        clues = book_of(servers).clues
        assert len(rows(database, after)["desk_clues"]) == len(clues)
        left = [name for name in inspect(database.engine).get_table_names() if name.endswith(before.generation)]
        assert left == []


def test_two_desks_share_a_postgres_and_one_goes_on_for_the_other(fresh_kafka: str, postgres: Postgres) -> None:
    three_clues(fresh_kafka)
    user, settings = User("u1", "ST-1", (Grant("supervisor"),)), Settings()

    def noted(count: int) -> None:
        other.act(PARCEL, Note(note="called"), user, None, now_ms())
        until(lambda: other.store.find(PARCEL, user.scope).notes == count)

    with ExitStack() as first:
        one = first.enter_context(desk_on(fresh_kafka, {}, postgres.url, settings))
        with desk_on(fresh_kafka, {}, postgres.url, settings) as other:
            assert other.store.tables().generation == one.store.tables().generation
            noted(1)
            first.close()
            noted(2)
            postgres.stop()
            postgres.start()
            noted(3)
