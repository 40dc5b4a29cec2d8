"""What folding asks of a store, and the store that lives in memory alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

FIRST, END = b"\x01", b"\xff"
"""All parcels lie between these; notes of our own begin with a zero byte, or with `END`."""


class Store(Protocol):
    """Values by (partition, key). A reader sees every earlier `put`, committed or not."""

    def get(self, partitions: Sequence[int], keys: Sequence[bytes], *, keep: bool = True) -> list[bytes | None]:
        """The value of each key, None where there is none. keep: it will be asked for again soon."""

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set each key's value."""

    def delete(self, partitions: Sequence[int], keys: Sequence[bytes]) -> None:
        """Forget keys."""

    def scan(self, partition: int, after: bytes, rows_max: int, before: bytes = END) -> list[tuple[bytes, bytes]]:
        """Keys between `after` and `before`, by default `END`, with their values, in order; fewer than `rows_max`
        (at least 1) where there are no more.

        A key that is put while a scan goes on from key to key may be passed over.
        """


def whole(store: Store, partition: int, rows_max: int) -> Iterator[list[tuple[bytes, bytes]]]:
    """A scan of a partition to its end, so many rows at a time."""
    after = FIRST
    while rows := store.scan(partition, after, rows_max):
        yield rows
        after = rows[-1][0]


class MemoryStore:
    """A store for one run: judging files, testing rules."""

    def __init__(self) -> None:
        self._values: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)

    def get(self, partitions: Sequence[int], keys: Sequence[bytes], *, keep: bool = True) -> list[bytes | None]:
        values = self._values
        return [values[partition].get(key) for partition, key in zip(partitions, keys, strict=True)]

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        for partition, key, value in zip(partitions, keys, values, strict=True):
            self._values[partition][key] = value

    def delete(self, partitions: Sequence[int], keys: Sequence[bytes]) -> None:
        for partition, key in zip(partitions, keys, strict=True):
            self._values[partition].pop(key, None)

    def scan(self, partition: int, after: bytes, rows_max: int, before: bytes = END) -> list[tuple[bytes, bytes]]:
        return sorted(pair for pair in self._values[partition].items() if after < pair[0] < before)[:rows_max]
