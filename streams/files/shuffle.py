"""Rows shuffled into buckets, in memory or in files, so that what belongs together can be taken back bucket by bucket.

Each parcel, and each entity of the histories, has its bucket: all its rows are there, whenever they were read. A piece
holds what one step gave, sorted by bucket; a span of buckets is then one slice of each piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.files.opening import FilesError
from streams.flow import layout

Ints = NDArray[np.int64]
Buckets = NDArray[np.uint16]
Column = NDArray[Any]

BUCKETS = 1_024  # at 100 million parcels a bucket is some 100 MB
ROWS_MIN = 50_000  # folded together: below it a call costs more than its rows, far above it they leave the cache
SLICE_ROWS_MIN = 16  # on average: with very many pieces, smaller slices cost more than what is in them
_ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], dtype="<u8")
_HALF, _TOP = np.uint64(32), np.uint64(64 - 10)


@dataclass(frozen=True, slots=True)
class Stored:
    """Columns in a file: where each starts, and what it holds."""

    path: Path
    columns: tuple[tuple[np.dtype[Any], int], ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """Columns in step, sorted by bucket."""

    bounds: NDArray[np.int32]  # where each bucket starts, the end included
    held: tuple[Column, ...] | Stored


@dataclass(frozen=True, slots=True)
class Cut:
    """The rows of a span of buckets, still where they are: small enough to hand to another process."""

    none: tuple[Column, ...]
    slices: list[tuple[tuple[Column, ...] | Stored, int, int]]

    def columns(self) -> list[Column]:
        """All rows, column by column."""
        read = [self.none, *(_slice(held, start, stop) for held, start, stop in self.slices)]
        return [_joined(parts) for parts in zip(*read, strict=True)]


@dataclass(slots=True)
class Shuffled:
    """Pieces of the same columns."""

    dtypes: Sequence[Any]
    pieces: list[Piece] = field(default_factory=list)
    sizes: Ints = field(default_factory=lambda: np.zeros(BUCKETS, dtype=np.int64))
    """Rows by bucket."""

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.sizes += np.diff(piece.bounds)

    def cut(self, low: int, high: int) -> Cut:
        """The rows of the buckets from `low` up to `high`."""
        none = tuple(np.empty(0, dtype=dtype) for dtype in self.dtypes)
        ends = ((piece, int(piece.bounds[low]), int(piece.bounds[high])) for piece in self.pieces)
        slices = [(_cut(piece.held, start, stop), start, stop) for piece, start, stop in ends if stop > start]
        return Cut(none, slices)

    def drop(self) -> None:
        """Forget all rows, and remove their files."""
        for piece in self.pieces:
            if isinstance(piece.held, Stored):
                piece.held.path.unlink()
        self.pieces.clear()
        self.sizes[:] = 0


def bucketed(buckets: Buckets, columns: Sequence[Column], folder: Path | None) -> Piece:
    """A piece of these columns, in a file of its own in `folder`, or in memory. Raises FilesError if that is full."""
    by = np.argsort(buckets, kind="stable")
    bounds = np.concatenate(([0], np.cumsum(np.bincount(buckets, minlength=BUCKETS)))).astype(np.int32)
    held = tuple(column.take(by) for column in columns)
    return Piece(bounds, held if folder is None or len(buckets) == 0 else _store(held, folder))


def parcel_buckets(parcels: NDArray[np.bytes_]) -> Buckets:
    """The bucket of each parcel reference: any even-handed function of it will do."""
    words = np.ascontiguousarray(parcels).view("<u8").reshape(len(parcels), len(_ODD))
    mixed = np.bitwise_xor.reduce(words * _ODD, axis=1)
    return hash_buckets((mixed ^ (mixed >> _HALF)) * _ODD[0])


def hash_buckets(hashes: NDArray[np.uint64]) -> Buckets:
    """The bucket of what has a hash already."""
    buckets: Buckets = (hashes >> _TOP).astype(np.uint16)
    return buckets


def spans(*shuffled: Shuffled) -> list[tuple[int, int]]:
    """Runs of buckets that hold `ROWS_MIN` rows at least, together all."""
    rows_min = max(ROWS_MIN, SLICE_ROWS_MIN * sum(len(each.pieces) for each in shuffled))
    sizes = sum((each.sizes for each in shuffled), np.zeros(BUCKETS, dtype=np.int64))
    starts, rows = [0], 0
    for bucket, size in enumerate(sizes.tolist()):
        if rows >= rows_min:
            starts.append(bucket)
            rows = 0
        rows += size
    return list(pairwise([*starts, BUCKETS]))


def _joined(parts: Sequence[Column]) -> Column:
    dtype = parts[0].dtype
    return np.concatenate(parts) if dtype.names is None else layout.joined(parts, dtype)


def _cut(held: tuple[Column, ...] | Stored, start: int, stop: int) -> tuple[Column, ...] | Stored:
    return held if isinstance(held, Stored) else tuple(column[start:stop] for column in held)


def _slice(held: tuple[Column, ...] | Stored, start: int, stop: int) -> tuple[Column, ...]:
    if not isinstance(held, Stored):
        return held
    with held.path.open("rb", buffering=0) as file:
        read = []
        for dtype, offset in held.columns:
            file.seek(offset + start * dtype.itemsize)
            read.append(np.fromfile(file, dtype=dtype, count=stop - start))
    return tuple(read)


def _store(columns: tuple[Column, ...], folder: Path) -> Stored:
    places = []
    descriptor, name = mkstemp(suffix=".rows", dir=folder)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            for column in columns:
                places.append((column.dtype, file.tell()))
                rest = column.view(np.uint8).data
                while rest:
                    rest = rest[file.write(rest) :]
    except OSError as error:
        raise FilesError(f"{folder}: {error.strerror} (TMPDIR names another folder)") from error
    return Stored(Path(name), tuple(places))
