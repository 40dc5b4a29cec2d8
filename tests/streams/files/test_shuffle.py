"""Rows shuffled into buckets: nothing is lost, in memory or in files, and a full disk is told."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from streams.files import shuffle
from streams.files.opening import FilesError
from streams.files.shuffle import BUCKETS, Shuffled, Stored, bucketed, hash_buckets, parcel_buckets, spans
from streams.flow import layout

RNG = np.random.default_rng(5)


def rows(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Movements, parcels and texts of different lengths, in step."""
    moves = np.zeros(count, dtype=layout.MOVEMENT)
    moves["at"], moves["id"] = np.arange(count), RNG.integers(0, 2**63, count)
    parcels = np.array([f"YTO:{number % 700:015}" for number in range(count)], dtype=layout.PARCEL)
    return moves, parcels, np.array([b"x" * (number % (count // 3 + 2)) for number in range(count)], dtype=np.bytes_)


@pytest.mark.parametrize("stored", [False, True])
def test_every_row_comes_back_in_its_bucket_and_in_step(stored: bool, tmp_path: Path) -> None:
    table = Shuffled([layout.MOVEMENT, layout.PARCEL, "S1"])
    given = [rows(count) for count in (0, 1, 5_000, 40)]
    for columns in given:
        table.add(bucketed(parcel_buckets(columns[1]), columns, tmp_path if stored else None))
    assert len(list(tmp_path.iterdir())) == (3 if stored else 0)  # no file for no rows
    expected = [
        (move.tobytes(), parcel, text) for columns in given for move, parcel, text in zip(*columns, strict=True)
    ]
    found = []
    for low, high in ((0, 1), (1, 300), (300, 300), (300, BUCKETS)):
        moves, parcels, texts = pickle.loads(pickle.dumps(table.cut(low, high))).columns()
        buckets = parcel_buckets(parcels)
        assert ((low <= buckets) & (buckets < high)).all()
        assert len(moves) == table.sizes[low:high].sum()
        found += [(move.tobytes(), parcel, text) for move, parcel, text in zip(moves, parcels, texts, strict=True)]
    assert sorted(found) == sorted(expected)
    table.drop()
    assert not list(tmp_path.iterdir())
    assert [len(column) for column in table.cut(0, BUCKETS).columns()] == [0, 0, 0]


def test_a_cut_of_files_is_small_to_hand_on(tmp_path: Path) -> None:
    columns = rows(5_000)
    table = Shuffled([layout.MOVEMENT, layout.PARCEL, "S1"])
    table.add(bucketed(parcel_buckets(columns[1]), columns, tmp_path))
    assert isinstance(table.pieces[0].held, Stored)
    assert len(pickle.dumps(table.cut(0, BUCKETS))) < 5_000


def test_buckets_are_even() -> None:
    parcels = np.array([f"ZTO:{number:015}" for number in range(100_000)], dtype=layout.PARCEL)
    for buckets in (parcel_buckets(parcels), hash_buckets(RNG.integers(0, 2**64, 100_000, dtype=np.uint64))):
        sizes = np.bincount(buckets, minlength=BUCKETS)
        assert len(sizes) == BUCKETS
        assert sizes.min() > 40
        assert sizes.max() < 180


def test_spans_hold_enough_and_together_all(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = rows(5_000)
    table = Shuffled([layout.MOVEMENT, layout.PARCEL, "S1"])
    table.add(bucketed(parcel_buckets(columns[1]), columns, None))
    for least in (1, 700, 20_000):
        monkeypatch.setattr(shuffle, "ROWS_MIN", least)
        found = spans(table, table)
        assert [low for low, _ in found] == [0, *(high for _, high in found[:-1])]
        assert found[-1][1] == BUCKETS
        sizes = [2 * int(table.sizes[low:high].sum()) for low, high in found]
        assert all(size >= least for size in sizes[:-1])
        assert (len(found) == 1) == (least == 20_000)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    columns = rows(5_000)
    with pytest.raises(FilesError, match=r"File too large \(TMPDIR names another folder\)$"), files_of_at_most(50_000):
        bucketed(parcel_buckets(columns[1]), columns, tmp_path)
