"""Counts in memory, by partition, outlet and day: rows of numbers that grow with what is kept, and shrink with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.flow.batches import untail
from streams.flow.describe.text import code
from streams.flow.fold.duties import BITS, Bits

Ints = NDArray[np.int64]
_DAY, _PARTITION = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
_U64: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Place:
    """Whose counts they are. outlet: hash of its id in normal form. day: in China, from 1970."""

    partition: int
    outlet: int
    day: int
    outlet_id: str

    @property
    def number(self) -> int:
        """A hash of partition, outlet and day."""
        return self.outlet ^ (self.day * _DAY & _U64) ^ (self.partition * _PARTITION & _U64)


class Counts:
    """Rows by place: how many parcels have each bit, and whether that has changed since it was said."""

    def __init__(self, library: Any | None = None) -> None:
        """library: the native one, or None."""
        self._library = library
        self.numbers = np.zeros((0, BITS), dtype=np.int32)
        self.changed = np.zeros(0, dtype=np.bool_)
        self._rows: dict[int, int] = {}
        self._places: list[Place | None] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def place(self, row: int) -> Place:
        """Whose row it is."""
        place = self._places[row]
        assert place is not None
        return place

    def find(
        self,
        partitions: NDArray[np.integer],
        outlets: NDArray[np.uint64],
        days: NDArray[np.integer],
        tail: Callable[[int], bytes],
    ) -> Ints:
        """The row of each of these places, begun where there is none. tail: of the dossier at a position."""
        keys = (
            outlets
            ^ (days.astype(np.uint64) * np.uint64(_DAY))
            ^ (partitions.astype(np.uint64) * np.uint64(_PARTITION))
        )
        found = list(map(self._rows.get, keys.tolist()))
        for i in [i for i, row in enumerate(found) if row is None]:
            outlet_id = code(untail(tail(i))[3])
            found[i] = self.begin(Place(int(partitions[i]), int(outlets[i]), int(days[i]), outlet_id))
        return np.array(found, dtype=np.int64)

    def begin(self, place: Place) -> int:
        """The row of a place, which may be new."""
        if place.number in self._rows:
            return self._rows[place.number]
        if not self._free:
            size = len(self._places)
            more = max(size, 64)
            self._free = list(range(size + more - 1, size - 1, -1))
            self._places += [None] * more
            self.numbers = np.concatenate([self.numbers, np.zeros((more, BITS), dtype=np.int32)])
            self.changed = np.concatenate([self.changed, np.zeros(more, dtype=np.bool_)])
        self._rows[place.number] = row = self._free.pop()
        self._places[row] = place
        return row

    def add(self, rows: Ints, bits: Bits, sign: int) -> None:
        """Count parcels in, or out."""
        if self._library is not None:
            self._library.add_bits(self.numbers, rows.tobytes(), bits.astype("<u4").tobytes(), sign)
        else:
            add_bits(self.numbers, rows, bits, sign)
        self.changed[rows] = True

    def tidy(self, rows: Iterable[int]) -> None:
        """Drop those of these rows for which nothing counts, and of which nothing is to be said."""
        for row in rows:
            if not self.changed[row] and not self.numbers[row].any():
                del self._rows[self.place(row).number]
                self._places[row] = None
                self._free.append(row)


def add_bits(numbers: NDArray[np.signedinteger], rows: Ints, bits: Bits, sign: int) -> None:
    """Add `sign` to the columns of the bits that are set, each in its row."""
    flags = np.unpackbits(
        np.ascontiguousarray(bits, dtype="<u4").view(np.uint8).reshape(-1, 4), axis=1, bitorder="little"
    )
    at, columns = np.nonzero(flags)
    np.add.at(numbers.reshape(-1), rows[at] * BITS + columns, numbers.dtype.type(sign))
