"""What folding asks of a store, and the store that lives in memory alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol


class Store(Protocol):
    """Values by (partition, key). A reader sees every earlier `put`, committed or not."""

    def get(self, partitions: Sequence[int], keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, None where there is none."""

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set each key's value."""


class MemoryStore:
    """A store for one run: judging files, testing rules."""

    def __init__(self) -> None:
        self._values: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)

    def get(self, partitions: Sequence[int], keys: Sequence[bytes]) -> list[bytes | None]:
        values = self._values
        return [values[partition].get(key) for partition, key in zip(partitions, keys, strict=True)]

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        for partition, key, value in zip(partitions, keys, values, strict=True):
            self._values[partition][key] = value
