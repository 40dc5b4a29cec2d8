"""Trailing windows, against what they mean: one row at a time, one comparison after the other."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streams.flow.fold import windows

Row = tuple[int, int, int, bool]  # group, time, value, counted

SPAN = 5
# Few groups, times and values: what goes wrong, goes wrong where they meet.
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-3, 12), st.integers(0, 3), st.booleans()), min_size=1, max_size=40
).map(lambda found: sorted(found, key=lambda row: row[:2]))


def columns(rows: list[Row]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    group, at, value, mask = zip(*rows, strict=True)
    return np.array(group), np.array(at), np.array(value), np.array(mask)


def window(rows: list[Row], i: int, span: int) -> list[Row]:
    """What row `i` sees: itself, and what came before it in its group, less than `span` ago."""
    return [row for row in rows[: i + 1] if row[0] == rows[i][0] and row[1] > rows[i][1] - span]


@given(rows, st.integers(1, 20))
def test_windows_begin_where_they_should(rows: list[Row], span: int) -> None:
    group, at, _, _ = columns(rows)
    lo = windows.starts(group, at, span)
    assert lo.tolist() == [i + 1 - len(window(rows, i, span)) for i in range(len(rows))]


@given(rows)
def test_counts(rows: list[Row]) -> None:
    group, at, _, mask = columns(rows)
    counted = windows.count(windows.starts(group, at, SPAN), mask)
    assert counted.tolist() == [sum(row[3] for row in window(rows, i, SPAN)) for i in range(len(rows))]


@given(rows)
def test_distinct_values(rows: list[Row]) -> None:
    group, at, value, mask = columns(rows)
    counted = windows.distinct(group, windows.starts(group, at, SPAN), value, mask)
    assert counted.tolist() == [len({row[2] for row in window(rows, i, SPAN) if row[3]}) for i in range(len(rows))]


@given(rows)
def test_the_row_before(rows: list[Row]) -> None:
    group, _, _, mask = columns(rows)
    wanted = [
        max((j for j, row in enumerate(rows[:i]) if row[0] == rows[i][0] and row[3]), default=-1)
        for i in range(len(rows))
    ]
    assert windows.previous(group, mask).tolist() == wanted


@given(rows, st.randoms(use_true_random=False))
def test_order_is_that_of_groups_then_time_then_ties(rows: list[Row], random: Random) -> None:
    shuffled = [*rows]
    random.shuffle(shuffled)
    group, at, value, mask = columns(shuffled)
    by = windows.order(group, at, value, mask)
    assert [shuffled[i] for i in by] == sorted(shuffled)


@given(st.lists(st.integers(946_684_800_000, 4_102_444_799_999), min_size=1, max_size=20))
def test_real_times_do_not_run_from_one_group_into_the_next(times: list[int]) -> None:
    """One second wide, one group each: nobody sees anybody."""
    at = np.array(times)
    group = np.arange(len(at))
    assert windows.starts(group, at, 90 * 86_400_000).tolist() == group.tolist()


def test_nothing_gives_nothing() -> None:
    none = np.empty(0, dtype=np.int64)
    assert len(windows.order(none, none)) == len(windows.starts(none, none, SPAN)) == 0
    assert len(windows.count(none, none.astype(np.bool_))) == 0
    assert len(windows.distinct(none, none, none.astype(np.uint64), none.astype(np.bool_))) == 0
    assert len(windows.previous(none, none.astype(np.bool_))) == 0


def test_more_than_fits_is_refused_and_not_wrapped() -> None:
    group, at = np.array([0, 2**22]), np.array([946_684_800_000, 4_102_444_799_999])
    with pytest.raises(OverflowError, match="batch_rows_max"):
        windows.starts(group, at, 1)
    assert windows.starts(np.array([0, 2**20]), at, 90 * 86_400_000).tolist() == [0, 1]
