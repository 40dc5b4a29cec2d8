"""The hot set: newest values in memory, within bounds."""

from __future__ import annotations


class Hot(dict[bytes, "bytes | None"]):
    """A bounded map that forgets its older half when the younger, the dict itself, is full; None for what is not there.

    It is asked several times an event, so a key that is there costs a dict's own lookup and no more.
    """

    def __init__(self, bytes_max: int = 0) -> None:
        self._half = bytes_max // 2
        self._size = 0
        self._old: dict[bytes, bytes | None] = {}

    def bound(self, bytes_max: int) -> None:
        """Hold at most so much from the next `put` on."""
        self._half = bytes_max // 2

    def __missing__(self, key: bytes) -> bytes | None:
        return self._old.get(key)

    def put(self, key: bytes, value: bytes) -> bool:
        """Remember a value; True where older ones had to be forgotten."""
        before = self.get(key)
        self[key] = value
        self._size += len(value) - len(before) if before is not None else len(key) + len(value) + _OBJECTS_BYTES
        if self._size < self._half:
            return False
        forgot = bool(self._old)
        self._old, self._size = self.copy(), 0
        self.clear()
        return forgot

    def drop(self, key: bytes) -> None:
        """Forget a value."""
        self._old.pop(key, None)
        value = self.pop(key, None)
        if value is not None:
            self._size -= len(key) + len(value) + _OBJECTS_BYTES


_OBJECTS_BYTES = 150  # two bytes objects and a dict entry
