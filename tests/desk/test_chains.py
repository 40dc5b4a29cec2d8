"""Who read what: what is filtered, and that an entry that was removed or changed is missed."""

from __future__ import annotations

from hashlib import sha256

import pytest

from desk.web.chains import AccessLog
from schemas.desk import Access
from schemas.records import encode


def written(writer: str, count: int) -> list[bytes]:
    prev, values = "0" * 64, []
    for number in range(count):
        entry = Access(
            event_id=f"{writer}-{number}", writer=writer, prev=prev, user=f"u{number % 2}", what=(f"c{number % 3}",),
            fields=("log",), why="clue", ok=True, at=1_760_000_000_000 + number,
        )  # fmt: skip
        values.append(encode(entry))
        prev = sha256(values[-1]).hexdigest()
    return values


def read(values: list[bytes], kept: int = 100) -> AccessLog:
    log = AccessLog(kept)
    for value in values:
        log.take(value)
    return log


def test_chains_of_processes_that_wrote_at_the_same_time_are_whole_in_any_order() -> None:
    values = [*written("a", 6), *written("b", 4)]
    assert read(values[::-1]).chains() == [("a", 6, 0), ("b", 4, 0)]


@pytest.mark.parametrize("gone", range(1, 5))
def test_an_entry_that_is_removed_or_changed_is_missed(gone: int) -> None:
    values = written("a", 6)
    changed = [*values[:gone], values[gone].replace(b'"c', b'"x'), *values[gone + 1 :]]
    for harmed in (values[:gone] + values[gone + 1 :], changed):
        assert [each.missing for each in read(harmed).chains()] == [1]


def test_a_chain_whose_beginning_is_past_retention_is_whole() -> None:
    values = written("a", 6)
    assert read(values[3:]).chains() == [("a", 3, 0)]
    assert read(values, kept=2).chains() == [("a", 2, 0)]


def test_entries_are_filtered_and_the_newest_come_first() -> None:
    log = read(written("a", 6))
    assert [each.event_id for each in log.newest("u1", "", 9)] == ["a-5", "a-3", "a-1"]
    assert [each.event_id for each in log.newest("", "c0", 9)] == ["a-3", "a-0"]
    assert [each.event_id for each in log.newest("", "", 2)] == ["a-5", "a-4"]
