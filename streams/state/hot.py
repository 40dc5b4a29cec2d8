"""The hot set: the newest values in memory, with a bound."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence


class Hot:
    """A bounded map: when its newer half is full, the older half is dropped.

    It is asked for several keys of each event, so it takes many at once, and C does what is done for each. The bound is
    looked at after each `put`, which may exceed it by what it sets.
    """

    def __init__(self, bytes_max: int = 0) -> None:
        self._half = bytes_max // 2
        self._size = 0
        self._new: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def bound(self, bytes_max: int) -> None:
        """Hold at most `bytes_max` from the next `put` on."""
        self._half = bytes_max // 2

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The value of each key, or None."""
        values = list(map(self._new.get, keys))
        if self._old and None in values:
            old = self._old.get
            return [old(key) if value is None else value for key, value in zip(keys, values, strict=True)]
        return values

    def put(self, values: Mapping[bytes, bytes]) -> bool:
        """Set values; True if older ones had to be dropped."""
        again = self._new.keys() & values.keys()
        self._size += _size(values, values.values()) - _size(again, map(self._new.__getitem__, again))
        self._new.update(values)
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
