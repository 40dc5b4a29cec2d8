"""Which partitions are written to RocksDB after a commit."""

from __future__ import annotations

from streams.worker.commit import WRITTEN_S, due


def test_one_partition_at_a_time_is_written_for_its_age() -> None:
    waiting, written_at, now = {0: 5, 1: 5, 2: 5}, {1: 90.0, 2: 80.0}, 100.0
    order = []
    while numbers := due(waiting, written_at, now):
        order += numbers
        written_at |= dict.fromkeys(numbers, now)
    assert order == [0, 2, 1], "never, long ago, less long ago"
    assert due(waiting, written_at, now + WRITTEN_S - 0.1) == []
    assert due(waiting, written_at, now + WRITTEN_S) == [0]
    assert due({}, written_at, now) == []


def test_the_fullest_are_written_until_little_waits() -> None:
    now = 100.0
    written_at = dict.fromkeys(range(4), now)
    assert due({0: 10_000, 1: 29_999, 2: 10_000}, written_at, now) == []
    assert due({0: 10_000, 1: 20_000, 2: 10_000, 3: 10_000}, written_at, now) == [1]
    assert due({0: 30_000, 1: 60_000, 2: 10_000, 3: 40_000}, written_at, now) == [1, 3]
    assert due({0: 60_000, 1: 20_000}, {0: now - WRITTEN_S, 1: now}, now) == [0], "what is old is counted off first"
