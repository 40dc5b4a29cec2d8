"""Who read what: page by page, whatever is filtered, and that an entry that was removed or changed is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from desk.store.chains import AccessLog, Before, Wanted
from desk.store.database import Database
from desk.store.projection import Projection
from desk.store.reading import Store
from desk.store.sink import Sink
from schemas import topics
from schemas.desk import Access
from schemas.records import encode
from streams.kafka.log_reader import Entry

T0 = 1_760_000_000_000
Read = Callable[[list[bytes]], AccessLog]


def written(writer: str, count: int) -> list[bytes]:
    prev, values = "0" * 64, []
    for number in range(count):
        entry = Access(
            event_id=f"{writer}-{number}", writer=writer, prev=prev, user=f"u{number % 2}", what=(f"c{number % 3}",),
            fields=("log" if number % 4 else "reveal_shown",), why="clue", ok=True, at=T0 + number,
        )  # fmt: skip
        values.append(encode(entry))
        prev = sha256(values[-1]).hexdigest()
    return values


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Makes logs of records, in a database, in one transaction each."""
    database = Database(f"sqlite:///{tmp_path}/desk.sqlite")

    def made(values: list[bytes]) -> AccessLog:
        database.generations()
        tables = database.begin()
        entries = [Entry(topics.ACCESS, 0, number, b"u", value, T0) for number, value in enumerate(values)]
        with database.engine.begin() as connection:
            Sink(database, tables, connection).apply(connection, entries)
        database.finish(tables)
        projection = Projection()
        projection.applied(tables, {})
        return AccessLog(Store(database, projection))

    yield made
    database.engine.dispose()


def ids(log: AccessLog, wanted: Wanted, limit: int = 100, before: Before | None = None) -> list[str]:
    return [each.event_id for each in log.page(wanted, before, limit)[0]]


def test_chains_of_processes_that_wrote_at_the_same_time_are_whole_in_any_order(read: Read) -> None:
    values = [*written("a", 6), *written("b", 4)]
    assert read(values[::-1]).chains() == [("a", 6, 0), ("b", 4, 0)]
    assert read([*values, *values]).chains() == [("a", 6, 0), ("b", 4, 0)]  # a record that is read twice is one


@pytest.mark.parametrize("gone", range(1, 5))
def test_an_entry_that_is_removed_or_changed_is_missed(read: Read, gone: int) -> None:
    values = written("a", 6)
    changed = [*values[:gone], values[gone].replace(b'"c', b'"x'), *values[gone + 1 :]]
    for harmed in (values[:gone] + values[gone + 1 :], changed):
        assert [each.missing for each in read(harmed).chains()] == [1]


def test_a_chain_whose_beginning_is_past_retention_is_whole(read: Read) -> None:
    assert read(written("a", 6)[3:]).chains() == [("a", 3, 0)]


def test_entries_are_filtered_and_the_newest_come_first(read: Read) -> None:
    log = read([*written("a", 6), b"{}", b"\xff"])
    assert ids(log, Wanted(user="u1")) == ["a-5", "a-3", "a-1"]
    assert ids(log, Wanted(clue="c0")) == ["a-3", "a-0"]
    assert ids(log, Wanted(step="reveal_")) == ["a-4", "a-0"]
    assert ids(log, Wanted(since=T0 + 2, until=T0 + 4)) == ["a-3", "a-2"]
    assert ids(log, Wanted(user="u0", clue="c0", step="reveal", since=T0, until=T0 + 1)) == ["a-0"]
    assert ids(log, Wanted(), limit=2) == ["a-5", "a-4"]
    assert log.unreadable() == 2


def test_all_pages_together_are_all_entries_however_many(read: Read) -> None:
    log, found, before = read([*written("a", 15_000), *written("b", 10_000)]), list[str](), None
    while True:
        rows, before = log.page(Wanted(), before, 3_000)
        found += [each.event_id for each in rows]
        if before is None:
            break
        assert Before.of(str(before)) == before
    assert len(found) == len(set(found)) == 25_000
    assert sorted(ids(log, Wanted(user="u1", until=T0 + 2))) == ["a-1", "b-1"]


def test_who_asks_with_an_odd_place_begins_anew() -> None:
    assert [Before.of(each) for each in ("", "x.y", "-1.a", f"{10**30}.a")] == [None] * 4
