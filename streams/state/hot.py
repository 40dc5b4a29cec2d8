"""The hot set: newest values in memory, within bounds."""

from __future__ import annotations


class Hot:
    """A bounded map that forgets its older half when the younger is full."""

    def __init__(self, bytes_max: int) -> None:
        self._half = bytes_max // 2
        self._size = 0
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        value = self._young.get(key)
        return value if value is not None else self._old.get(key)

    def put(self, key: bytes, value: bytes) -> bool:
        """Remember a value; True where older ones had to be forgotten."""
        before = self._young.get(key)
        self._young[key] = value
        self._size += len(value) - len(before) if before is not None else len(key) + len(value) + _OBJECTS_BYTES
        if self._size < self._half:
            return False
        forgot = bool(self._old)
        self._young, self._old, self._size = {}, self._young, 0
        return forgot

    def drop(self, key: bytes) -> None:
        """Forget a value."""
        self._old.pop(key, None)
        value = self._young.pop(key, None)
        if value is not None:
            self._size -= len(key) + len(value) + _OBJECTS_BYTES


_OBJECTS_BYTES = 150  # two bytes objects and a dict entry
