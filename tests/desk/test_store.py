"""The projection: the same in both dialects as in memory, whoever asks for what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from desk.clues.book import Book
from desk.clues.clue import Clue, State
from desk.queue import Filter, UnknownClueError, late, queue
from desk.scope import Scope
from desk.store.database import Database, StoreError
from desk.store.projection import Projection
from desk.store.projector import Projector
from desk.store.reading import Key, Store
from desk.store.sink import Sink
from desk.store.tables import Tables
from schemas import clues as log
from schemas import topics
from schemas.clues import ClueEvent
from schemas.records import encode
from schemas.terms import Tier
from streams.kafka.log_reader import Entry
from tests.desk.logs import STATIONS, T0, USERS, applied, event, opened, random_log
from tests.postgres import Postgres
from tests.repetition import examples
from tests.schemas.desk_samples import TRACE

PLACES = ("440111", "310115", "440100")


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Database]]:
    with Postgres() as server:
        both = [Database(f"sqlite:///{tmp_path_factory.mktemp('desk')}/desk.sqlite"), Database(server.url)]
        yield both
        for each in both:
            each.engine.dispose()


class Filled:
    """A new generation of tables, filled with records as they come."""

    def __init__(self, database: Database) -> None:
        database.generations()
        self.database, self.tables = database, database.begin()
        self.read = 0
        with database.engine.begin() as connection:
            self._sink = Sink(database, self.tables, connection)
        projection = Projection()
        projection.applied(self.tables, {})
        self.store = Store(database, projection)

    def add(self, values: list[bytes], *, anew: bool = False) -> None:
        """One transaction; anew: by a sink that knows nothing yet."""
        entries = [Entry(topics.CLUES, 0, self.read + n, b"k", value, 0) for n, value in enumerate(values)]
        self.read += len(values)
        with self.database.engine.begin() as connection:
            if anew:
                self._sink = Sink(self.database, self.tables, connection)
            self._sink.apply(connection, entries)

    def trace(self, traces: dict[str, bytes]) -> None:
        """One transaction."""
        entries = [Entry(topics.TRACES, 0, n, key.encode(), value, 0) for n, (key, value) in enumerate(traces.items())]
        with self.database.engine.begin() as connection:
            self._sink.apply(connection, entries)

    def finish(self) -> Store:
        self.database.finish(self.tables)
        return self.store


@given(seed=st.integers(0, 2**32), slices=st.lists(st.integers(1, 60), min_size=1, max_size=8))
@examples(8)
def test_both_dialects_say_what_memory_says(databases: list[Database], seed: int, slices: list[int]) -> None:
    chance = Random(seed)
    events = random_log(chance, clues=12, events=sum(slices))
    book = Book()
    for each in events:
        book.take(each)
    stores = []
    for database in databases:
        filled, rest = Filled(database), [encode(each) for each in events]
        for number, size in enumerate(slices):
            filled.add(rest[:size], anew=number % 2 == 1)
            rest = rest[size:]
        stores.append(filled.finish())
    for store in stores:
        same(store, book, chance)
    assert rows(stores[0], stores[0].tables()) == rows(stores[1], stores[1].tables())


def same(store: Store, book: Book, chance: Random) -> None:
    """Whatever is asked of a store has the answer of the book."""
    clues = list(book.clues.values())
    for clue in clues:
        assert store.clue(clue.clue_id) == clue
    for _ in range(6):
        user, prefixes = chance.choice((*USERS, "u9")), chance.choice((("",), (), ("44",), ("310115", "4401")))
        station = chance.choice((None, *STATIONS))
        scope = Scope(user, prefixes, chance.choice(((), STATIONS[:1])), station)
        inside = [clue for clue in clues if scope.takes(clue)]
        states: frozenset[State] = frozenset(chance.sample(get_args(State), chance.randrange(1, 7)))
        which = Filter(
            user, chance.choice((None, *STATIONS)), states, chance.choice(get_args(Tier)),
            chance.choice(("", "44", "3101")), chance.choice(("", "identity.many_names", "goods.none")),
        )  # fmt: skip
        wanted = queue(inside, which, T0, station)
        assert paged(store, which, scope, chance.randrange(1, 6)) == wanted
        assert store.queue(which, scope).count == len(wanted)
        now = T0 + chance.randrange(0, 10**10)
        assert store.late(scope, now) == late(map(scope.shown, inside), user, now)
        held = {clue.clue_id for clue in inside if clue.hold and clue.hold.state != "released"}
        assert {clue.clue_id for clue in store.held(scope)} == held
    newest = store.changes(0, 1_000)
    assert {clue.clue_id: clue for _, clue in newest} == book.clues
    assert [seq for seq, _ in newest] == sorted({seq for seq, _ in newest})


def paged(store: Store, which: Filter, scope: Scope, limit: int) -> list[Clue]:
    """The queue, page by page."""
    found: list[Clue] = []
    after: Key | None = None
    while True:
        page = store.queue(which, scope, after, limit)
        found += page.clues
        if page.after is None:
            return found
        after = Key.of(str(page.after))
        assert after == page.after


def rows(store: Store, tables: Tables) -> dict[str, list[tuple[object, ...]]]:
    """All rows by table."""
    names = {table.name.rsplit("_", 1)[0]: table for table in tables.metadata.sorted_tables}
    with store._database.engine.connect() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for name, table in names.items()
        }


def test_a_log_shows_each_event_once_in_its_order(databases: list[Database]) -> None:
    first = opened()
    clue = Book().take(first).clue
    assert clue is not None

    events: list[ClueEvent] = [
        first,
        event(log.Noted, 1, clue),
        event(log.Accepted, 2, clue),
        event(log.Noted, 3, clue),
    ]
    for database in databases:
        filled = Filled(database)
        filled.add([encode(each) for each in (*events, events[1])])
        filled.add([encode(events[3]), b"{}", b"\xff"], anew=True)
        store = filled.finish()
        found = store.log("c1")
        assert [each for each, _ in found] == events
        assert [why is None for _, why in found] == [True, True, False, True]


def test_traces_are_searched_in_the_database_for_clues_in_scope(databases: list[Database]) -> None:
    one, two = f"k_:{'0a' * 16}", f"kx:{'0b' * 16}"
    for database in databases:
        filled = Filled(database)
        for name, place in (("c1", "440111"), ("c2", "440111"), ("c3", "310115"), ("c4", "440111")):
            filled.add([encode(opened(name, parcel=f"SF:{name}", adcode=place))])
        traces = {f"SF:{name}": {**TRACE, "sender_tokens": (one,)} for name in ("c1", "c3")}
        filled.trace({"SF:c4": one.encode(), **{key: msgspec.json.encode(value) for key, value in traces.items()}})
        store = filled.finish()

        def found(text: str, scope: Scope, limit: int, store: Store = store) -> list[str]:
            return [clue.clue_id for clue, _ in store.carrying(text.encode(), scope, limit)]

        assert found(one, Scope("u1"), 10) == ["c3", "c1"]  # c4 has one of another version
        assert found(one, Scope("u1"), 3) == ["c3"]  # others changed later
        assert found(one, Scope("u1", ("44",)), 10) == ["c1"]
        assert found(two, Scope("u1"), 10) == found("%", Scope("u1"), 10) == []


def test_both_ends_of_a_transfer_see_the_clue_in_sql_as_in_memory(databases: list[Database]) -> None:
    first = opened()  # in 440111; it goes to ST-1, from there to 310115, and the parcel moves on
    events: list[ClueEvent] = [first]
    clue = applied(None, first)
    kinds: list[tuple[type[ClueEvent], dict[str, str]]] = [
        (log.Dispatched, {}), (log.Transferred, {}), (log.Standing, {"adcode": "110101"}),
    ]  # fmt: skip
    for number, (kind, fields) in enumerate(kinds, 1):
        events.append(event(kind, number, clue, **fields))
        clue = applied(clue, events[-1])
    seen_by = {
        Scope("u1", ("4401",)): True, Scope("u1", ("31",)): True, Scope("u1", ("11",)): True,
        Scope("u1", ("12",)): False,
        Scope("u1", (), ("ST-1",)): True, Scope("u1", (), ("ST-2",)): False, Scope("u1", ()): False,
    }  # fmt: skip
    for database in databases:
        filled = Filled(database)
        filled.add([encode(each) for each in events[:3]])
        filled.add([encode(events[3])], anew=True)
        store = filled.finish()
        for scope, seen in seen_by.items():
            assert scope.takes(clue) is seen, scope
            assert store.queue(Filter("u1"), scope).count == seen, scope
    assert [scope.prefixes for scope in seen_by if scope.has(clue)] == [("11",)]


def test_text_that_a_database_does_not_take_is_no_obstacle(databases: list[Database]) -> None:
    odd = "S\0'\"%_\\\u2028😀"
    for database in databases:
        filled = Filled(database)
        filled.add([encode(opened(f"c-{odd}", parcel=f"SF:{odd}")), encode(opened("c-%"))])
        store = filled.finish()
        assert store.find(f"c-{odd}", Scope("u1")).parcel == f"SF:{odd}"
        assert store.find(f"SF:{odd}", Scope(odd)).clue_id == f"c-{odd}"
        assert store.queue(Filter(odd, odd, adcode=odd[:6], rule=odd), Scope(odd, (odd,), (odd,))).clues == []
        with pytest.raises(UnknownClueError):
            store.find("c", Scope("u1"))


def test_who_asks_with_an_odd_key_begins_anew() -> None:
    assert Key.of("0.5.-3.c.1") == Key(0, 5, -3, "c.1")
    assert [Key.of(each) for each in ("", "1.2.3", "a.1.2.c", f"{10**30}.1.2.c")] == [None] * 4


def test_a_file_serves_one_desk(tmp_path: Path) -> None:
    first, second = (Database(f"sqlite:///{tmp_path}/desk.sqlite") for _ in range(2))
    with first.writing() as mine:
        assert mine
        with pytest.raises(StoreError, match="another desk writes there"), second.writing():
            pass
    with second.writing() as mine:
        assert mine


def test_one_process_writes_to_postgres(databases: list[Database]) -> None:
    _, postgres = databases
    with postgres.writing() as mine:
        assert mine
        with postgres.writing() as other:
            assert not other
    with postgres.writing() as mine:
        assert mine


def test_postgres_that_goes_away_amid_rows_is_an_error_of_the_database(databases: list[Database]) -> None:
    _, postgres = databases
    tables = postgres.begin()
    row = {"clue_id": "c1", "number": 1, "value": b"{}", "why": None}
    with postgres.engine.connect() as connection:
        ended = connection.scalar(text("SELECT pg_backend_pid()"))
        with postgres.engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:ended)"), {"ended": ended})
        with pytest.raises(SQLAlchemyError) as told:
            postgres.add(connection, tables.events, [row] * 2)
        assert "{}" not in str(postgres.failure(told.value))


def test_a_database_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    spoiled = tmp_path / "desk.sqlite"
    spoiled.write_bytes(b"no database" * 1_000)
    wrong = {
        "postgresql://desk:secret@127.0.0.1:1/desk": "connection",
        f"sqlite:///{spoiled}": "delete the file",
        f"sqlite:///{tmp_path}": "unable to open",
    }
    for url, said in wrong.items():
        projector = Projector(Database(url), "127.0.0.1:1", {})
        threading.Thread(target=projector.run, daemon=True).start()
        with pytest.raises(StoreError, match=said) as told:
            projector.projection.wait_until_built(lambda progress: None)
        projector.stop()
        assert "secret" not in str(told.value)
        assert "\n" not in str(told.value)


def test_other_addresses_are_refused_by_name() -> None:
    for url in ("desk.sqlite", "sqlite://", "mysql://x", "oracle://x/y"):
        with pytest.raises(StoreError, match="desk_store_url"):
            Database(url)
