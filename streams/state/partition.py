"""The folder of one partition: a RocksDB with a part of the hot set, and the formats of the values in it."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from rocksdict import AccessType, Options, Rdict, WriteBatch, WriteOptions

from streams.state.damage import MISSING, DamagedError, StateError, note_of, why_of
from streams.state.format import FORMAT, OLDEST, UPGRADED, refused
from streams.state.memory import Changes
from streams.state.store import END
from streams.state.tuning import BULK, NOT_BULK, Shared, options

log = logging.getLogger(__name__)
OFFSET = b"\x00changelog-offset"
_FORMAT = b"\x00format"
_ORIGIN = b"\x00changelog-id"
OWN = {OFFSET, _FORMAT, _ORIGIN}
"""Keys of the folder that are on no changelog."""
THIS = bytes([FORMAT])
_BEHIND = END * 16  # all keys
Upgrade = Callable[[bytes, bytes], bytes]
"""The value in the present format, from its key and a value in an earlier one."""


def no_upgrade(key: bytes, value: bytes) -> bytes:
    """A store that is given none holds no value of an earlier format."""
    raise StateError(f"a value of format {value[0]} cannot be read here: this is for format {FORMAT} alone")


def stands(path: Path) -> tuple[int, bool]:
    """The format that a folder is of (0: none), and whether no value in it is of an earlier one.

    It may be open elsewhere: then as far as it was written to its files. Raises StateError.
    """
    try:
        folder = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())
        stored, offset, upgraded = folder.get([_FORMAT, OFFSET, UPGRADED])
        folder.close()
    except Exception as error:
        raise StateError(f"state folder {path}: {why_of(error)}") from error
    return _of(stored, offset), upgraded == THIS


def _of(stored: bytes | None, offset: bytes | None) -> int:
    return stored[0] if stored else FORMAT if offset is None else 0


class Partition:
    """One RocksDB folder with its part of the hot set.

    hot: see `streams.state.memory`. complete: the hot set holds all keys. older: it may hold values of an earlier
    format; upgraded: all of them are in an epoch.
    """

    def __init__(self, path: Path, cache: Shared, upgrade: Upgrade, hot: Any) -> None:
        self.path = path
        self.hot = hot
        self.older, self.upgraded = True, False
        self._upgrade, self._upgraded_to = upgrade, b""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = Rdict(str(path), options(cache))
        except Exception as error:
            raise self._unusable(error) from error
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True
        try:
            offset = self._begin()
        except Exception:
            with suppress(Exception):  # the same damage; the first error is reported
                self._db.close()
            raise
        self.offset = int.from_bytes(offset, "big") if offset else 0
        self.complete = offset is None

    def _begin(self) -> bytes | None:
        """Check the format, and set that of this version, which no earlier one opens. Returns the stored offset."""
        try:
            stored, offset, upgraded = self._db.get([_FORMAT, OFFSET, UPGRADED])
        except Exception as error:
            raise self._unusable(error) from error
        was = _of(stored, offset)
        if not OLDEST <= was <= FORMAT:
            raise DamagedError(f"its format is {was or 'none'}, and this version reads {OLDEST} to {FORMAT}")
        try:
            if stored != THIS:
                self._db[_FORMAT] = THIS
        except Exception as error:
            raise self._unusable(error) from error
        self.older = upgraded != THIS
        return bytes(offset) if offset is not None else None

    def origin(self, changelog: bytes) -> bool:
        (stored,) = self._raw([_ORIGIN])
        if stored is None:
            self.write(Changes({_ORIGIN: changelog}), None)
        return stored in (None, changelog)

    def put(self, keys: Sequence[bytes], values: Sequence[bytes], changes: Changes) -> None:
        """Set values in the hot set and in `changes`."""
        if self.hot.put(keys, values, changes):
            self.complete = False

    def warm(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Set values in the hot set alone, of the keys that have one."""
        if self.hot.warm(keys, values):
            self.complete = False

    def read(self, keys: list[bytes]) -> list[bytes | None]:
        values = self._raw(keys)
        if self.older:
            return [value and self._present(key, value) for key, value in zip(keys, values, strict=True)]
        return values

    def _present(self, key: bytes, value: bytes) -> bytes:
        """A value in the present format. Who skips a version may find one in a folder that is older than it reads."""
        if value[0] == FORMAT or key in OWN:
            return value
        if value[0] < OLDEST:
            raise StateError(f"state folder {self.path}: {refused(value[0])}")
        return self._upgrade(key, value)

    def _raw(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            values: list[bytes | None] = self._db.get(keys)
        except Exception as error:
            raise self._failed(error) from error
        return values

    def scan(self, after: bytes, rows_max: int, before: bytes) -> list[tuple[bytes, bytes]]:
        rows = self._scan(after, rows_max, before)
        return [(key, self._present(key, value)) for key, value in rows] if self.older else rows

    def next_older(self, rows_max: int) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Look at the next values: how many there were, and those of an earlier format, in the present one."""
        rows = self._scan(self._upgraded_to, rows_max, _BEHIND)
        self.upgraded = len(rows) < rows_max
        self._upgraded_to = rows[-1][0] if rows else b""
        older = [(key, value) for key, value in rows if value[0] != FORMAT and key not in OWN]
        return len(rows), [(key, self._present(key, value)) for key, value in older]

    def _scan(self, after: bytes, rows_max: int, before: bytes) -> list[tuple[bytes, bytes]]:
        start = after + b"\0"
        end = self._db.iter()
        end.seek_to_last()
        last = end.key() if end.valid() else b""
        del end  # holds the folder open
        items = self._db.items(from_key=start)
        beyond = False
        if before == END:  # in C: a whole partition may be read
            rows = list(islice(items, rows_max))
            beyond = bool(rows) and rows[-1][0] >= END
            if beyond:
                rows = rows[: bisect_left(rows, END, key=itemgetter(0))]
        else:
            rows = []
            for row in items:
                beyond = row[0] >= before
                if beyond or len(rows) == rows_max:
                    break
                rows.append(row)
        # At a damaged block rocksdict stops as if it were the end, so the former last key is looked up.
        reached = rows[-1][0] if rows else after
        if len(rows) < rows_max and not beyond and (not last or (last >= start and reached < last)):
            raise self._failed(Exception("Corruption: a block cannot be read"))
        return rows

    def write(self, changes: Changes, offset: int | None) -> None:
        """Write changes with the changelog offset that they stand for."""
        batch = WriteBatch(raw_mode=True)
        changes.fill(batch)
        if offset is not None:
            batch.put(OFFSET, offset.to_bytes(8, "big"))
            self.offset = offset
        try:
            self._db.write(batch, self._write_options)
        except Exception as error:
            raise self._failed(error) from error
        if UPGRADED in changes:
            self.older = list(changes.over([UPGRADED], [None])) != [THIS]

    def _unusable(self, error: Exception) -> Exception:
        """The error for a folder that cannot be opened."""
        why = why_of(error)
        if why.startswith("Corruption") or MISSING in why:
            return DamagedError(why)
        hint = "another process has it open" if "lock" in why.lower() else "see to the disk, and start the worker anew"
        return StateError(f"state folder {self.path}: {why}; {hint}")

    def _failed(self, error: Exception) -> StateError:
        """The error for an open folder that cannot be read or written."""
        why = why_of(error)
        if not why.startswith("Corruption"):
            return StateError(
                f"state folder {self.path}: {why}; what it lacks is in the changelog: "
                "see to the disk, and start the worker anew"
            )
        with suppress(OSError):
            note_of(self.path).write_text(why, encoding="utf-8")
        return StateError(f"state folder {self.path} is damaged ({why}); the next start builds it anew")

    def bulk(self, begins: bool) -> None:
        try:
            self._db.set_options(BULK if begins else NOT_BULK)
        except Exception as error:
            raise self._failed(error) from error

    def entries(self) -> int:
        return int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0)

    def close(self) -> None:
        try:
            self._db.flush()
            self._db.close()
        except Exception as error:
            log.warning(
                "state folder %s was not brought up to date: %s; the changelog has the rest", self.path, why_of(error)
            )
            with suppress(Exception):  # the same error again
                self._db.close()
            del self._db  # releases the folder
