"""What is in memory of a partition: the hot set, and what epochs change. The native library has the same
(`memory.rs`), in which values are no objects; this is its reference, and is used where the library is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

from rocksdict import WriteBatch

Held = list
"""Values, None for keys that have none."""
Cold = Callable[[list[bytes]], Sequence[bytes | None]]


class Changes(dict[bytes, bytes | None]):
    """What an epoch changes in a partition: values by key, None for one that is deleted.

    One thread alone changes it; others may read it meanwhile.
    """

    def put(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set values."""
        self.update(zip(keys, values, strict=True))

    def delete(self, keys: Sequence[bytes]) -> None:
        """Delete keys."""
        self.update(dict.fromkeys(keys))

    def over(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> Sequence[bytes | None]:
        """These values of keys, but for those that are changed."""
        return [self.get(key, value) for key, value in zip(keys, values, strict=True)]

    def between(self, after: bytes, last: bytes, before: bytes) -> list[tuple[bytes, bytes | None]]:
        """Changes of keys behind `after`, up to `last`, and before `before`."""
        return [row for row in self.copy().items() if after < row[0] <= last and row[0] < before]

    def behind(self, first: int) -> list[tuple[bytes, bytes | None]]:
        """All but the first ones; keys are in the order in which they were changed first."""
        return list(islice(self.items(), first, None))

    def fill(self, batch: WriteBatch) -> None:
        """Put all into a batch of RocksDB, in order: it takes neighbours several times faster."""
        put, delete = batch.put, batch.delete
        for key, value in sorted(self.items()):
            if value is None:
                delete(key)
            else:
                put(key, value)

    def merge(self, newer: Changes) -> None:
        """Take over newer changes."""
        self.update(newer)


class Hot:
    """A bounded map: when its newer half is full, the older half is dropped.

    It is asked for several keys of each event, so it takes many at once, and C does what is done for each. The bound is
    looked at after each `put`, which may exceed it by what it sets.
    """

    def __init__(self) -> None:
        self._half = 0
        self._size = 0
        self._new: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def bound(self, bytes_max: int) -> None:
        """Hold at most `bytes_max` from the next `put` on."""
        self._half = bytes_max // 2

    def get(self, keys: Sequence[bytes], into: list[bytes | None], cold: Cold | None) -> None:
        """Append the value of each key to `into`. cold: asked for the values that are not here; None: they are None."""
        values = list(map(self._new.get, keys))
        if self._old and None in values:
            old = self._old.get
            values = [old(key) if value is None else value for key, value in zip(keys, values, strict=True)]
        if cold is not None and None in values:
            lacking = [i for i, value in enumerate(values) if value is None]
            for i, value in zip(lacking, cold([keys[i] for i in lacking]), strict=True):
                values[i] = value
        into += values

    def put(self, keys: Sequence[bytes], values: Sequence[bytes], changes: Changes) -> bool:
        """Set values, also in `changes`; True if older ones had to be dropped."""
        news = dict(zip(keys, values, strict=True))
        changes.update(news)
        return self._put(news)

    def warm(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> bool:
        """The same here alone, and for keys that have a value."""
        return self._put({key: value for key, value in zip(keys, values, strict=True) if value is not None})

    def _put(self, news: Mapping[bytes, bytes]) -> bool:
        again = self._new.keys() & news.keys()
        self._size += _size(news, news.values()) - _size(again, map(self._new.__getitem__, again))
        self._new.update(news)
        if self._size < self._half:
            return False
        dropped = bool(self._old)
        self._old, self._new, self._size = self._new, {}, 0
        return dropped

    def drop(self, keys: Iterable[bytes]) -> None:
        """Remove values."""
        for key in keys:
            self._old.pop(key, None)
            value = self._new.pop(key, None)
            if value is not None:
                self._size -= _size((key,), (value,))


def _size(keys: Collection[bytes], values: Iterable[bytes]) -> int:
    return sum(map(len, keys)) + sum(map(len, values)) + _OBJECTS_BYTES * len(keys)


_OBJECTS_BYTES = 150  # two bytes objects and a dict entry
