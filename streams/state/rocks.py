"""The durable store: one RocksDB per partition, a hot set in memory before it, and the deltas of open epochs.

A value is written to RocksDB only after the transaction that published it on the changelog has committed, together with
its changelog offset. So the folder is never ahead of Kafka. It may lag behind: what was committed waits in memory,
merged over epochs, until somebody calls `write`. Until then the value is in a delta.

RocksDB's own write-ahead log is off, because the changelog is one. If a kill loses values of the memtables, it also
loses their offset, since both were written in one batch; the changelog is then read again from the older offset.

A folder is only a copy. If it is damaged or its format is not read any more, it is deleted when it is opened, and the
changelog is read from its start. Damage that is found later, while a block is read, is noted beside the folder for the
next opening.

A folder holds what the changelog holds, values of earlier formats too. They are upgraded as they are read, so nobody
outside sees them. `upgrade_some` writes them anew, as part of epochs, and at the end a note: from then on the changelog
of this partition holds none. So wherever that is cut off, a value says by itself what is still to be done.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from streams.state import memory
from streams.state.damage import DamagedError, StateError, note_of
from streams.state.format import UPGRADED
from streams.state.memory import Changes
from streams.state.partition import OWN, THIS, Partition, Upgrade, no_upgrade
from streams.state.store import END, runs
from streams.state.tuning import Shared

Delta = dict[int, Changes]
"""What an epoch changes, by partition."""
log = logging.getLogger(__name__)


class RocksStore:
    """One agent's state: open partitions, the hot set, and deltas not yet written."""

    def __init__(
        self,
        name: str,
        folder: Path,
        cache: Shared,
        *,
        hot_bytes_max: int,
        upgrade: Upgrade = no_upgrade,
        library: Any | None = None,
    ) -> None:
        """library: the native one, which then has what is in memory."""
        self.name = name
        self.folder = folder / name
        self._cache = cache
        self._upgrade = upgrade
        self._memory: Any = library or memory
        self._partitions: dict[int, Partition] = {}
        self._hot_bytes_max = hot_bytes_max
        self._open: Delta = {}
        self._closing: list[Delta] = []
        self._committed: Delta = {}
        self._offsets: dict[int, int] = {}  # that what is committed stands for

    def get(self, partitions: Sequence[int], keys: Sequence[bytes], *, keep: bool = True) -> list[bytes | None]:
        """The newest value of each key: from the hot set, an open epoch, or RocksDB. keep: put it into the hot set."""
        return list(self._load(partitions, keys, keep))

    def load(self, partitions: Sequence[int], keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """The same, as the native library takes it."""
        return self._load(partitions, keys, True)

    def _load(self, partitions: Sequence[int], keys: Sequence[bytes], keep: bool) -> Sequence[bytes | None]:
        values: Sequence[bytes | None] = self._memory.Held()
        for number, at in runs(partitions):
            partition = self._partitions[number]
            partition.hot.get(keys[at], values, None if partition.complete else partial(self._cold, number, keep))
        return values

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """Set values in the open epoch. values: a list, or what `load` gives."""
        for number, at in runs(partitions):
            self._partitions[number].put(keys[at], values[at], self._changes(number))

    def delete(self, partitions: Sequence[int], keys: Sequence[bytes]) -> None:
        """Delete keys in the open epoch; they are deleted on the changelog, too."""
        for number, at in runs(partitions):
            self._partitions[number].hot.drop(keys[at])
            self._changes(number).delete(keys[at])

    def _changes(self, number: int) -> Changes:
        """What the open epoch changes in a partition."""
        if number not in self._open:
            self._open[number] = self._memory.Changes()
        return self._open[number]

    def scan(self, partition: int, after: bytes, rows_max: int, before: bytes = END) -> list[tuple[bytes, bytes]]:
        """Keys between `after` and `before` with their newest values, in order; fewer than `rows_max` if there are no
        more."""
        deltas = self._deltas(partition)
        out: list[tuple[bytes, bytes]] = []
        while True:
            stored = self._partitions[partition].scan(after, rows_max, before)
            found: dict[bytes, bytes | None] = dict(stored)
            last = stored[-1][0] if len(stored) == rows_max else before
            for delta in deltas:
                found.update(delta.between(after, last, before))
            out += [(key, value) for key, value in sorted(found.items()) if value is not None and key not in OWN]
            if last == before or len(out) >= rows_max:
                return out[:rows_max]
            after = last

    def close_epoch(self) -> Delta:
        """Close the open epoch. Returns its delta, which stays readable until `close`."""
        delta, self._open = self._open, {}
        self._closing.append(delta)
        return delta

    def committed(self, delta: Delta, offsets: Mapping[int, int]) -> None:
        """Take over a committed delta together with its changelog offsets (next to read), for the next `write`."""
        for number, changes in delta.items():
            if number in self._committed:
                self._committed[number].merge(changes)
            else:
                self._committed[number] = changes
        self._offsets.update(offsets)
        self._closing.remove(delta)

    @property
    def waiting(self) -> dict[int, int]:
        """How many keys of each partition are committed and not written yet."""
        return {number: len(changes) for number, changes in self._committed.items()}

    def write(self, numbers: Collection[int]) -> None:
        """Write to the folders of these partitions what is committed. For the thread that calls `committed`."""
        for number in numbers:
            self._write(number)

    def _write(self, number: int) -> None:
        if changes := self._committed.get(number):
            self._partitions[number].write(changes, self._offsets.get(number))
            del self._committed[number]  # whoever reads meanwhile has it still

    def open(self, number: int) -> int:
        """Open a partition. Returns its changelog offset (next to read), or 0.

        Raises StateError if the folder cannot be used: another process has it, no space, no permission.
        """
        path = self.folder / str(number)
        note = note_of(path)
        try:
            if note.exists():
                raise DamagedError(note.read_text(encoding="utf-8"))
            partition = Partition(path, self._cache, self._upgrade, self._memory.Hot())
        except DamagedError as error:
            log.warning("state folder %s cannot be used (%s): removed, to be built from the changelog", path, error)
            self.rebuild(number)
            try:
                partition = Partition(path, self._cache, self._upgrade, self._memory.Hot())
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
        self._partitions[number].write(Changes(values), offset)
        self._partitions[number].complete = False

    @property
    def older(self) -> list[int]:
        """Open partitions whose changelog may hold values of an earlier format."""
        return sorted(number for number, partition in self._partitions.items() if partition.older)

    def begin_upgraded(self, number: int) -> None:
        """Note in the open epoch that a partition holds no value of an earlier format."""
        self._partitions[number].upgraded = True
        self.put([number], [UPGRADED], [THIS])

    def upgrade_some(self, rows_max: int) -> tuple[int, int]:
        """Put values of an earlier format anew into the open epoch, and a note behind the last of a partition.

        Returns how many values were looked at, and how many of them were put; 0, 0: nothing is left to look at.
        """
        for number, partition in self._partitions.items():
            if partition.older and not partition.upgraded:
                newer = self._deltas(number)
                rows, found = partition.next_older(rows_max)
                news = {key: value for key, value in found if not any(key in changes for changes in newer)}
                if news:  # and not into the hot set, which keeps what events need
                    self._changes(number).put(list(news), list(news.values()))
                if partition.upgraded:
                    self.begin_upgraded(number)
                return max(rows, 1), len(news)
        return 0, 0

    def bulk(self, number: int, begins: bool) -> None:
        """A partition will be filled (begins), or has been: files are merged only once, at the end."""
        if number in self._partitions:
            self._partitions[number].bulk(begins)

    def close(self, number: int) -> None:
        """Close a partition, write what is committed, and drop the rest; the changelog has it."""
        if number in self._partitions:
            try:
                self._write(number)
            except StateError as error:
                log.warning("%s", error)
            self._partitions.pop(number).close()
            self._share()
        for delta in (self._open, *self._closing, self._committed):
            delta.pop(number, None)

    def close_all(self) -> None:
        """Close every partition."""
        for number in list(self._partitions):
            self.close(number)
        self._open = {}
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

    def _deltas(self, number: int) -> list[Changes]:
        """What RocksDB does not have of a partition, the newest last.

        Call it before RocksDB is read: what moves on meanwhile is then found twice, and never missed. So the newest is
        also taken first.
        """
        newest = (self._open.get(number), *(delta.get(number) for delta in reversed(tuple(self._closing))))
        return [delta for delta in reversed((*newest, self._committed.get(number))) if delta]

    def _cold(self, number: int, keep: bool, keys: list[bytes]) -> Sequence[bytes | None]:
        deltas = self._deltas(number)
        found: Sequence[bytes | None] = self._partitions[number].read(keys)
        for delta in deltas:
            found = delta.over(keys, found)
        if keep:
            self._partitions[number].warm(keys, found)
        return found
