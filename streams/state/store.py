"""The protocol of stores that folding uses, and a store in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Protocol

FIRST, END = b"\x01", b"\xff"
"""All parcels lie between these; notes of the worker begin with a zero byte or with `END`."""


class Store(Protocol):
    """Values by (partition, key). A reader sees every earlier `put`, committed or not."""

    def get(self, partitions: Sequence[int], keys: Sequence[bytes], *, keep: bool = True) -> list[bytes | None]:
        """The value of each key, or None. keep: it will be needed again soon."""

    def load(self, partitions: Sequence[int], keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """The same, to be kept, in the form that the native library takes; others find objects in it."""

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set the value of each key. values: a list, or as the native library makes them."""

    def delete(self, partitions: Sequence[int], keys: Sequence[bytes]) -> None:
        """Delete keys."""

    def scan(self, partition: int, after: bytes, rows_max: int, before: bytes = END) -> list[tuple[bytes, bytes]]:
        """Keys between `after` and `before`, by default `END`, with their values, in order; fewer than `rows_max`
        (at least 1) if there are no more.

        A key that is put between two calls of a longer scan may be missed.
        """


def whole(store: Store, partition: int, rows_max: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """Scan a partition to its end, `rows_max` rows at a time."""
    after = FIRST
    while rows := store.scan(partition, after, rows_max):
        yield rows
        after = rows[-1][0]


def runs(partitions: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Which partition follows which, and at which places: whoever has many keys has them by partition."""
    start = 0
    for number, run in groupby(partitions):
        end = start + len(list(run))
        yield number, slice(start, end)
        start = end


class MemoryStore:
    """A store for one run, to judge files or to test rules."""

    def __init__(self) -> None:
        self._values: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)

    def get(self, partitions: Sequence[int], keys: Sequence[bytes], *, keep: bool = True) -> list[bytes | None]:
        values: list[bytes | None] = []
        for number, at in runs(partitions):
            values += map(self._values[number].get, keys[at])
        return values

    def load(self, partitions: Sequence[int], keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return self.get(partitions, keys)

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        for number, at in runs(partitions):
            self._values[number].update(zip(keys[at], values[at], strict=True))

    def delete(self, partitions: Sequence[int], keys: Sequence[bytes]) -> None:
        for partition, key in zip(partitions, keys, strict=True):
            self._values[partition].pop(key, None)

    def scan(self, partition: int, after: bytes, rows_max: int, before: bytes = END) -> list[tuple[bytes, bytes]]:
        return sorted(pair for pair in self._values[partition].items() if after < pair[0] < before)[:rows_max]
