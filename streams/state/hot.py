"""The hot set: the newest values in memory, with a bound."""

from __future__ import annotations


class Hot(dict[bytes, "bytes | None"]):
    """A bounded map: when its newer half, the dict itself, is full, the older half is dropped. Missing keys give None.

    It is read several times per event, so a key that is present takes no more than a lookup in a dict.
    """

    def __init__(self, bytes_max: int = 0) -> None:
        self._half = bytes_max // 2
        self._size = 0
        self._old: dict[bytes, bytes | None] = {}

    def bound(self, bytes_max: int) -> None:
        """Hold at most `bytes_max` from the next `put` on."""
        self._half = bytes_max // 2

    def __missing__(self, key: bytes) -> bytes | None:
        return self._old.get(key)

    def put(self, key: bytes, value: bytes) -> bool:
        """Set a value; True if older values had to be dropped."""
        before = self.get(key)
        self[key] = value
        self._size += len(value) - len(before) if before is not None else len(key) + len(value) + _OBJECTS_BYTES
        if self._size < self._half:
            return False
        dropped = bool(self._old)
        self._old, self._size = self.copy(), 0
        self.clear()
        return dropped

    def drop(self, key: bytes) -> None:
        """Remove a value."""
        self._old.pop(key, None)
        value = self.pop(key, None)
        if value is not None:
            self._size -= len(key) + len(value) + _OBJECTS_BYTES


_OBJECTS_BYTES = 150  # two bytes objects and a dict entry
