"""The expiry index: which keys may expire when, by hour of event time, kept in the store itself.

One record lists keys that one step noted for the same hour, so a step adds a few records, however many keys it has.
Nothing of the index is held in memory, and keys that are due are found without looking at the others. The index is
stored and published with the state: a worker that takes over a partition has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

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
_LENGTHS: Final = [bytes((length,)) for length in range(256)]


class ExpiryIndex:
    """The index of one store, all partitions."""

    def __init__(self, store: Store, grain_ms: int = layout.HOUR_MS, library: Any | None = None) -> None:
        """grain_ms: keys that are due within so long are listed together. library: the native one, or None."""
        self._store = store
        self._grain_ms = grain_ms
        self._listed = list_keys if library is None else library.list_keys
        # Where the last look ended, by partition. The next look starts there and skips the tombstones before it.
        self._after: dict[int, bytes] = {}
        self._empty: dict[int, int] = {}

    def note(self, partitions: Sequence[int], keys: Sequence[bytes], due: Ints) -> None:
        """Note that keys may expire once event time reaches `due`, epoch ms. They are taken up to `grain_ms` later."""
        if not keys:
            return
        numbers, buckets = np.asarray(partitions, dtype=np.int64), due // self._grain_ms + 1
        self._store.put(*self._listed(numbers.tobytes(), buckets.tobytes(), keys, KEYS_MAX))

    def take(self, partition: int, until: int, keys_max: int) -> list[bytes]:
        """Take out about `keys_max` keys of a partition that are due by `until`; an empty list: there are no more."""
        bucket = until // self._grain_ms
        if self._empty.get(partition, -1) >= bucket:
            return []
        records = self._store.scan(partition, self._after.get(partition, END), _RECORDS, before=_bucket(bucket + 1))
        if not records:
            self._empty[partition] = bucket
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


Records = tuple[list[int], list[bytes], list[bytes]]
"""Their partitions, keys and values."""


def list_keys(partitions: bytes, times: bytes, keys: Sequence[bytes], keys_max: int) -> Records:
    """Records that list keys by partition and bucket (both packed), at most `keys_max` in each."""
    numbers, buckets = np.frombuffer(partitions, dtype=np.int64), np.frombuffer(times, dtype=np.int64)
    by = np.lexsort((buckets, numbers))
    numbers, buckets = numbers[by], buckets[by]
    cuts = np.flatnonzero((numbers[1:] != numbers[:-1]) | (buckets[1:] != buckets[:-1])) + 1
    ends = sorted({0, *cuts.tolist(), *range(0, len(by), keys_max), len(by)})
    listed: list[bytes] = [b""] * (2 * len(by))  # each key behind its length
    listed[1::2] = map(keys.__getitem__, by.tolist())
    listed[::2] = map(_LENGTHS.__getitem__, map(len, listed[1::2]))
    values = [bytes((FORMAT,)) + b"".join(listed[2 * start : 2 * end]) for start, end in pairwise(ends)]
    firsts = ends[:-1]
    # By content, so that it is the same record when the same input is read again.
    names = [
        _bucket(bucket) + xxhash.xxh3_64_digest(value)
        for bucket, value in zip(buckets[firsts].tolist(), values, strict=True)
    ]
    return numbers[firsts].tolist(), names, values


_KEY_BYTES = 20


def split(key: bytes, value: bytes, partitions: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
    """A record split by partition. partitions: of its keys, in their order; keys of partition -1 are dropped."""
    listed: dict[int, list[bytes]] = {}
    for each, partition in zip(listed_keys(value), partitions, strict=True):
        if partition >= 0:
            listed.setdefault(partition, []).append(bytes((len(each),)) + each)
    parts = [(partition, value[:1] + b"".join(keys)) for partition, keys in sorted(listed.items())]
    return [(partition, key[:_BUCKET_BYTES] + xxhash.xxh3_64_digest(part), part) for partition, part in parts]


_BUCKET_BYTES = len(END) + 4


def _bucket(number: int) -> bytes:
    return END + min(number, 2**32 - 1).to_bytes(4, "big")


def listed_keys(value: bytes) -> list[bytes]:
    """The keys that a record lists."""
    keys, at = [], 1
    while at < len(value):
        end = at + 1 + value[at]
        keys.append(value[at + 1 : end])
        at = end
    return keys
