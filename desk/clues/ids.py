"""Ids of events: UUID version 7 (RFC 9562), which sort by time."""

from __future__ import annotations

import os
from uuid import UUID


def uuid7(at_ms: int) -> str:
    """A new id for an event at a time (epoch ms): 48 bits of time, the rest random."""
    random = int.from_bytes(os.urandom(10), "big")
    value = (at_ms & (1 << 48) - 1) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(UUID(int=value))
