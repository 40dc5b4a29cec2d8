"""For how many partitions a state is kept: a mark in each partition of each changelog, and so in each folder.

State belongs to a partition by a hash of its key. Kept for another count of partitions it would never be found, in
silence; so whoever opens it compares. While a state is brought to another count, the mark says that nobody may use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.state.format import FORMAT

MARK: Final = b"\x00partitions"  # before all keys, as notes of ours are
_BYTES = 4


@dataclass(frozen=True, slots=True)
class Parted:
    """partitions: for how many a state is kept; growing_to: to how many it is being brought, 0: that is not so."""

    partitions: int
    growing_to: int = 0

    def encode(self) -> bytes:
        """As it is kept."""
        return bytes([FORMAT]) + b"".join(
            each.to_bytes(_BYTES, "little") for each in (self.partitions, self.growing_to)
        )

    @classmethod
    def decode(cls, value: bytes) -> Parted:
        """The same, read."""
        first, second = (int.from_bytes(value[at : at + _BYTES], "little") for at in (1, 1 + _BYTES))
        return cls(first, second)
