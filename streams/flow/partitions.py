"""Which partition a key belongs to: murmur2, as Java clients have it and all producers of events must."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_SEED, _M, _R = np.uint32(0x9747B28C), np.uint32(0x5BD1E995), np.uint32(24)
_WORD = 4


def partition_of(keys: Sequence[bytes], partitions: int) -> Ints:
    """The partition of each key, where its topic has so many: that of Java's default partitioner.

    Equal to `murmur2_random` of librdkafka for keys that are not empty. About 1 µs a key.
    """
    sizes = np.array([len(key) for key in keys], dtype=np.int64)
    width = max(int(sizes.max(initial=0)) // _WORD + 1, 1) * _WORD
    raw = np.frombuffer(b"".join(key.ljust(width, b"\0") for key in keys), dtype=np.uint8).reshape(len(keys), width)
    words = raw.view("<u4")
    found = _SEED ^ sizes.astype(np.uint32)
    for i in range(width // _WORD - 1):
        k = words[:, i] * _M
        k = (k ^ (k >> _R)) * _M
        found = np.where(sizes >= (i + 1) * _WORD, (found * _M) ^ k, found)
    rest = words[np.arange(len(keys)), sizes // _WORD]  # padded with zeros, which change nothing
    found = np.where(sizes % _WORD != 0, (found ^ rest) * _M, found)
    found = (found ^ (found >> np.uint32(13))) * _M
    found ^= found >> np.uint32(15)
    return (found & np.uint32(0x7FFF_FFFF)).astype(np.int64) % partitions


def present(numbers: NDArray[np.integer]) -> list[int]:
    """The partitions among these numbers, in order. They are small, so that counting is faster than sorting."""
    found: list[int] = np.flatnonzero(np.bincount(numbers)).tolist()
    return found
