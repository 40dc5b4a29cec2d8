"""When what is kept may be forgotten: a register in the store itself, by hour of event time.

A record of it lists keys that were begun together, so a step adds a few records whatever the number of its keys;
nothing of it is held in memory, and what is due is found without looking at what is not. It is kept and published as
state is: a worker that takes a partition over has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from streams.flow import layout
from streams.state.format import FORMAT
from streams.state.store import END, Store

Ints = NDArray[np.int64]

KEYS_MAX: Final = 2_000
"""Keys of one record: some 40 kB."""
_RECORDS = 64  # looked at together


class ExpiryIndex:
    """The register of one store, all partitions."""

    def __init__(self, store: Store, grain_ms: int = layout.HOUR_MS) -> None:
        """grain_ms: keys that are due within so long are listed together."""
        self._store = store
        self._grain_ms = grain_ms
        # Where the last look ended, by partition: what was taken is passed over, with the deletions that it left.
        self._after: dict[int, bytes] = {}
        self._empty: dict[int, int] = {}

    def note(self, partitions: Sequence[int], keys: Sequence[bytes], due: Ints) -> None:
        """Have keys taken when event time has come to `due`, epoch ms, at the earliest; up to the grain later."""
        if not keys:
            return
        numbers, slots = np.asarray(partitions, dtype=np.int64), due // self._grain_ms + 1
        by = np.lexsort((slots, numbers))
        numbers, slots = numbers[by], slots[by]
        cuts = np.flatnonzero((numbers[1:] != numbers[:-1]) | (slots[1:] != slots[:-1])) + 1
        ends = sorted({0, *cuts.tolist(), *range(0, len(by), KEYS_MAX), len(by)})
        listed = [bytes((len(keys[i]),)) + keys[i] for i in by.tolist()]
        values = [bytes((FORMAT,)) + b"".join(listed[start:end]) for start, end in pairwise(ends)]
        firsts = ends[:-1]
        self._store.put(
            numbers[firsts].tolist(),
            # By content, so that it is the same record when the same input is read again.
            [
                _slot(slot) + xxhash.xxh3_64_digest(value)
                for slot, value in zip(slots[firsts].tolist(), values, strict=True)
            ],
            values,
        )

    def take(self, partition: int, until: int, keys_max: int) -> list[bytes]:
        """Take out keys of a partition that are due by `until`, about so many; none: there are no more."""
        slot = until // self._grain_ms
        if self._empty.get(partition, -1) >= slot:
            return []
        records = self._store.scan(partition, self._after.get(partition, END), _RECORDS, before=_slot(slot + 1))
        if not records:
            self._empty[partition] = slot
            return []
        sizes = accumulate(len(value) for _, value in records)
        enough = next((i for i, size in enumerate(sizes, 1) if size >= keys_max * _KEY_BYTES), len(records))
        taken = [key for key, _ in records[:enough]]
        self._store.delete([partition] * len(taken), taken)
        self._after[partition] = taken[-1]
        return [key for _, value in records[:enough] for key in listed_keys(value)]

    def close(self) -> None:
        """Partitions are gone, or opened anew."""
        self._after.clear()
        self._empty.clear()


_KEY_BYTES = 20


def split(key: bytes, value: bytes, partitions: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
    """A record parted by the partitions of the keys that it lists, given in their order; those of -1 are dropped."""
    listed: dict[int, list[bytes]] = {}
    for each, partition in zip(listed_keys(value), partitions, strict=True):
        if partition >= 0:
            listed.setdefault(partition, []).append(bytes((len(each),)) + each)
    parts = [(partition, value[:1] + b"".join(keys)) for partition, keys in sorted(listed.items())]
    return [(partition, key[:_SLOT_BYTES] + xxhash.xxh3_64_digest(part), part) for partition, part in parts]


_SLOT_BYTES = len(END) + 4


def _slot(number: int) -> bytes:
    return END + min(number, 2**32 - 1).to_bytes(4, "big")


def listed_keys(value: bytes) -> list[bytes]:
    """The keys that a record lists."""
    keys, at = [], 1
    while at < len(value):
        end = at + 1 + value[at]
        keys.append(value[at + 1 : end])
        at = end
    return keys
