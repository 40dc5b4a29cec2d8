"""What stands for rocksdict: folders that remember what a kill, or a loss of power, leaves of them.

RocksDB as `streams.state.partition` uses it: batches are atomic; those written without its log live in the memtables,
which reach the disk in their order, by themselves at any time or on a flush; what is written with the log survives a kill,
though not a loss of power, as nothing is synced. So a kill leaves a prefix of all writes, and of those behind it the
ones with a log; a loss of power leaves a prefix of the latter as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.simulator.node import Node, here

Change = list[tuple[bytes, bytes | None]]


@dataclass(slots=True)
class Folder:
    """What is on one disk of one database."""

    flushed: dict[bytes, bytes] = field(default_factory=dict)
    waiting: list[tuple[bool, Change]] = field(default_factory=list)  # with a log?
    owner: Node | None = None
    values: dict[bytes, bytes] = field(default_factory=dict)  # as its owner sees them
    damaged: bool = False  # a block of it, which holds no notes about the folder

    def write(self, logged: bool, change: Change) -> None:
        self.waiting.append((logged, change))
        _apply(self.values, change)

    def flush(self, count: int) -> None:
        """So many of the writes that wait reach the disk."""
        for _, change in self.waiting[:count]:
            _apply(self.flushed, change)
        del self.waiting[:count]

    def crash(self, rng: Random, power: bool) -> None:
        """Leave what is left of it."""
        self.flush(rng.randint(0, len(self.waiting)))
        kept = self.waiting[: rng.randint(0, len(self.waiting))] if power else self.waiting
        for logged, change in kept:
            if logged:
                _apply(self.flushed, change)
        self.waiting, self.values, self.owner = [], dict(self.flushed), None


def _apply(values: dict[bytes, bytes], change: Change) -> None:
    for key, value in change:
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value


class Disks:
    """All folders there are, by path."""

    def __init__(self) -> None:
        self.folders: dict[str, Folder] = {}

    def at(self, path: str) -> Folder:
        """The folder there; a new one where it is not, or was removed."""
        if path not in self.folders or not Path(path).is_dir():
            Path(path).mkdir(parents=True, exist_ok=True)
            self.folders[path] = Folder()
        return self.folders[path]

    def crash(self, node: Node, rng: Random) -> None:
        """Its folders, when a process dies."""
        for folder in self.folders.values():
            if folder.owner is node:
                folder.crash(rng, node.power_lost)

    disks: Disks


class WriteOptions:
    """As rocksdict has it."""

    disable_wal = False


class WriteBatch:
    """As rocksdict has it."""

    def __init__(self, raw_mode: bool = False) -> None:
        self.change: Change = []

    def put(self, key: bytes, value: bytes) -> None:
        self.change.append((key, value))

    def delete(self, key: bytes) -> None:
        self.change.append((key, None))


class Rdict:
    """As rocksdict has it."""

    def __init__(self, path: str, options: object = None) -> None:
        self._node = here()
        self._node.effect("open")
        self._folder = Disks.disks.at(path)
        if self._folder.owner is not None:
            raise OSError(f"IO error: While lock file: {path}/LOCK: Resource temporarily unavailable")
        self._folder.owner = self._node

    def get(self, keys: Any) -> Any:
        self._folder.damaged |= bool(self._node.effect("read", faults=("damaged",), passes=0.5))
        if self._folder.damaged and isinstance(keys, list) and keys[0][:1] != b"\0":
            raise OSError("Corruption: block checksum mismatch")
        values = self._folder.values
        found = [values.get(key) for key in keys] if isinstance(keys, list) else values.get(keys)
        self._node.effect("was read", passes=0.5)
        return found

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._node.effect("note")
        self._folder.write(True, [(key, value)])

    def write(self, batch: WriteBatch, options: WriteOptions) -> None:
        if self._node.effect("write", faults=("full",)):
            raise OSError("IO error: No space left on device")
        self._folder.write(not options.disable_wal, batch.change)
        if self._node.rng.random() < 0.1:
            self._folder.flush(self._node.rng.randint(0, len(self._folder.waiting)))
        self._node.effect("written")

    def items(self, from_key: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """In order; as rocksdict does it, a damaged block is an end."""
        self._folder.damaged |= bool(self._node.effect("scan", faults=("damaged",)))
        rows = sorted(pair for pair in self._folder.values.items() if pair[0] >= from_key)
        yield from rows[: len(rows) // 2] if self._folder.damaged else rows

    def iter(self) -> Last:
        return Last(max(self._folder.values, default=b""))

    def property_int_value(self, name: str) -> int:
        return len(self._folder.values)

    def set_options(self, options: object) -> None:
        pass

    def flush(self) -> None:
        self._node.check()
        self._folder.flush(len(self._folder.waiting))

    def close(self) -> None:
        self._node.check()
        self._folder.owner = None


class Last:
    """An iterator that looks at the last key."""

    def __init__(self, last: bytes) -> None:
        self._last = last

    def seek_to_last(self) -> None:
        pass

    def valid(self) -> bool:
        return bool(self._last)

    def key(self) -> bytes:
        return self._last
