"""The durable store: one RocksDB per partition, a hot set in memory before it, and the deltas of open epochs.

A value is written to RocksDB only after the transaction that published it on the changelog has committed, together with
its changelog offset. So the folder is never ahead of Kafka. Until then the value is in a delta.

RocksDB's own write-ahead log is off, because the changelog is one. If a kill loses values of the memtables, it also
loses their offset, since both were written in one batch; the changelog is then read again from the older offset.

A folder is only a copy. If it is damaged or has another format, it is deleted when it is opened, and the changelog is
read from its start. Damage that is found later, while a block is read, is noted beside the folder for the next opening.
"""

from __future__ import annotations

import logging
import os
import shutil
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path

from rocksdict import Rdict, WriteBatch, WriteOptions

from schemas.errors import WaybillError
from streams.state.damage import MISSING, DamagedError, note_of, why_of
from streams.state.format import FORMAT
from streams.state.hot import Hot
from streams.state.store import END, runs
from streams.state.tuning import BULK, NOT_BULK, Shared, options

Delta = dict[int, dict[bytes, bytes | None]]
"""By partition and key; None: deleted."""
log = logging.getLogger(__name__)
_OFFSET = b"\x00changelog-offset"
_FORMAT = b"\x00format"
_ORIGIN = b"\x00changelog-id"
_OWN = {_OFFSET, _FORMAT, _ORIGIN}  # of the folder, on no changelog


class StateError(WaybillError):
    """State cannot be used. The message names the folder and says what to do."""


class RocksStore:
    """One agent's state: open partitions, the hot set, and deltas not yet written."""

    def __init__(self, name: str, folder: Path, cache: Shared, *, hot_bytes_max: int) -> None:
        self.name = name
        self.folder = folder / name
        self._cache = cache
        self._partitions: dict[int, _Partition] = {}
        self._hot_bytes_max = hot_bytes_max
        self._open: Delta = defaultdict(dict)
        self._closing: list[Delta] = []

    def get(self, partitions: Sequence[int], keys: Sequence[bytes], *, keep: bool = True) -> list[bytes | None]:
        """The newest value of each key: from the hot set, an open epoch, or RocksDB. keep: put it into the hot set."""
        values: list[bytes | None] = []
        cold: defaultdict[int, list[int]] = defaultdict(list)
        for number, at in runs(partitions):
            partition = self._partitions[number]
            found = partition.hot.get(keys[at])
            if not partition.complete and None in found:
                cold[number] += [i for i, value in enumerate(found, at.start) if value is None]
            values += found
        for number, rows in cold.items():
            for i, value in zip(rows, self._cold(number, [keys[i] for i in rows], keep), strict=True):
                values[i] = value
        return values

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set values in the open epoch."""
        for number, at in runs(partitions):
            news = dict(zip(keys[at], values[at], strict=True))
            self._partitions[number].put(news)
            self._open[number].update(news)

    def delete(self, partitions: Sequence[int], keys: Sequence[bytes]) -> None:
        """Delete keys in the open epoch; they are deleted on the changelog, too."""
        for number, at in runs(partitions):
            self._partitions[number].hot.drop(keys[at])
            self._open[number].update(dict.fromkeys(keys[at]))

    def scan(self, partition: int, after: bytes, rows_max: int, before: bytes = END) -> list[tuple[bytes, bytes]]:
        """Keys between `after` and `before` with their newest values, in order; fewer than `rows_max` if there are no
        more."""
        deltas = (*self._closing, self._open)  # taken first, as in `_cold`
        out: list[tuple[bytes, bytes]] = []
        while True:
            stored = self._partitions[partition].scan(after, rows_max, before)
            found: dict[bytes, bytes | None] = dict(stored)
            last = stored[-1][0] if len(stored) == rows_max else before
            for delta in deltas:
                waiting = delta.get(partition, {}).items()
                found |= {key: value for key, value in waiting if after < key <= last and key < before}
            out += [(key, value) for key, value in sorted(found.items()) if value is not None and key not in _OWN]
            if last == before or len(out) >= rows_max:
                return out[:rows_max]
            after = last

    def close_epoch(self) -> Delta:
        """Close the open epoch. Returns its delta, which stays readable until `write` or `close`."""
        delta, self._open = self._open, defaultdict(dict)
        self._closing.append(delta)
        return delta

    def write(self, delta: Delta, offsets: Mapping[int, int]) -> None:
        """Write a committed delta together with its changelog offsets (next to read)."""
        for number, values in delta.items():
            self._partitions[number].write(values.items(), offsets.get(number))
        self._closing.remove(delta)

    def open(self, number: int) -> int:
        """Open a partition. Returns its changelog offset (next to read), or 0.

        Raises StateError if the folder cannot be used: another process has it, no space, no permission.
        """
        path = self.folder / str(number)
        note = note_of(path)
        try:
            if note.exists():
                raise DamagedError(note.read_text(encoding="utf-8"))
            partition = _Partition(path, self._cache)
        except DamagedError as error:
            log.warning("state folder %s cannot be used (%s): removed, to be built from the changelog", path, error)
            self.rebuild(number)
            try:
                partition = _Partition(path, self._cache)
            except DamagedError as again:
                raise StateError(f"state folder {path} cannot be used ({again}), nor removed; remove it") from again
        self._partitions[number] = partition
        self._share()
        return partition.offset

    def _share(self) -> None:
        """Divide the bound of the hot set among the open partitions."""
        for partition in self._partitions.values():
            partition.hot.bound(self._hot_bytes_max // len(self._partitions))

    def origin(self, number: int, changelog: bytes) -> bool:
        """Whether the state of a partition came from the changelog with this id; a state without an id takes it."""
        return self._partitions[number].origin(changelog)

    def restore(self, number: int, values: Mapping[bytes, bytes | None], offset: int) -> None:
        """Apply changelog records up to `offset` (next to read)."""
        self._partitions[number].write(values.items(), offset)
        self._partitions[number].complete = False

    def bulk(self, number: int, begins: bool) -> None:
        """A partition will be filled (begins), or has been: files are merged only once, at the end."""
        if number in self._partitions:
            self._partitions[number].bulk(begins)

    def close(self, number: int) -> None:
        """Close a partition and drop what was not written; the changelog has it."""
        partition = self._partitions.pop(number, None)
        if partition is not None:
            partition.close()
            self._share()
        for delta in (self._open, *self._closing):
            delta.pop(number, None)

    def close_all(self) -> None:
        """Close every partition."""
        for number in list(self._partitions):
            self.close(number)
        self._open = defaultdict(dict)
        self._closing.clear()

    def rebuild(self, number: int) -> None:
        """Delete the folder of a partition, so that the changelog is read from its start."""
        self.close(number)
        path = self.folder / str(number)
        shutil.rmtree(path, ignore_errors=True)
        note_of(path).unlink(missing_ok=True)

    def entries(self) -> int:
        """Estimated entries of all open partitions."""
        return sum(partition.entries() for partition in self._partitions.values())

    def disk_bytes(self) -> int:
        """Bytes of all files in its folder, also of partitions that are not open, and of RocksDB's logs."""
        total = 0
        for folder, _, files in os.walk(self.folder):
            for name in files:
                with suppress(FileNotFoundError):  # merged away meanwhile
                    total += os.stat(os.path.join(folder, name)).st_size
        return total

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._partitions)

    def _cold(self, number: int, keys: list[bytes], keep: bool) -> list[bytes | None]:
        deltas = (*self._closing, self._open)  # taken first, so that a delta that is written meanwhile is not missed
        found: list[bytes | None] = self._partitions[number].read(keys)
        for delta in deltas:
            waiting = delta.get(number)
            if waiting:
                found = [waiting.get(key, value) for key, value in zip(keys, found, strict=True)]
        if keep:
            self._partitions[number].put(
                {key: value for key, value in zip(keys, found, strict=True) if value is not None}
            )
        return found


class _Partition:
    """One RocksDB folder with its part of the hot set. `complete`: the hot set holds all keys."""

    def __init__(self, path: Path, cache: Shared) -> None:
        self.path = path
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
        self.hot = Hot()

    def _begin(self) -> bytes | None:
        """Check the format, or set it in a new folder. Returns the stored offset."""
        try:
            stored, offset = self._db.get([_FORMAT, _OFFSET])
            if stored is None and offset is None:
                self._db[_FORMAT] = stored = bytes([FORMAT])
        except Exception as error:
            raise self._unusable(error) from error
        if stored != bytes([FORMAT]):
            was = stored[0] if stored else "none"
            raise DamagedError(f"its format is {was}, this worker's is {FORMAT}")
        return bytes(offset) if offset is not None else None

    def origin(self, changelog: bytes) -> bool:
        (stored,) = self.read([_ORIGIN])
        if stored is None:
            self.write([(_ORIGIN, changelog)], None)
        return stored in (None, changelog)

    def put(self, values: Mapping[bytes, bytes]) -> None:
        if self.hot.put(values):
            self.complete = False

    def read(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            values: list[bytes | None] = self._db.get(keys)
        except Exception as error:
            raise self._failed(error) from error
        return values

    def scan(self, after: bytes, rows_max: int, before: bytes) -> list[tuple[bytes, bytes]]:
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

    def write(self, values: Iterable[tuple[bytes, bytes | None]], offset: int | None) -> None:
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in values:
            if value is None:
                delete(key)
            else:
                put(key, value)
        if offset is not None:
            put(_OFFSET, offset.to_bytes(8, "big"))
            self.offset = offset
        try:
            self._db.write(batch, self._write_options)
        except Exception as error:
            raise self._failed(error) from error

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
