"""Who read what, and whether the chains of the entries are whole: each entry names the one before it by its hash."""

from __future__ import annotations

from collections import Counter, deque
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from schemas.desk import Access

KEPT: Final = 20_000
"""Entries that are kept to show, the newest."""
_FIRST: Final = "0" * 64
_decode = msgspec.json.Decoder(Access).decode


class Chain(NamedTuple):
    """The entries of one process. missing: entries that others name as the one before them, and that are not there.

    Where the beginning of the chain is no longer there, the one before its oldest entry is not counted.
    """

    writer: str
    entries: int
    missing: int


class AccessLog:
    """The newest entries, in the order in which they were read."""

    def __init__(self, kept: int = KEPT) -> None:
        self.unreadable = 0
        self._entries: deque[tuple[Access, str]] = deque(maxlen=kept)

    def take(self, value: bytes) -> None:
        """Add one record. Raises DecodeError, UnicodeDecodeError."""
        self._entries.append((_decode(value), sha256(value).hexdigest()))

    def newest(self, user: str, clue: str, limit: int) -> list[Access]:
        """Entries about a user and a clue, where they are named; the newest first."""
        found = [
            each for each, _ in self._entries if (not user or each.user == user) and (not clue or clue in each.what)
        ]
        return sorted(found, key=lambda each: (-each.at, each.event_id))[:limit]

    def chains(self) -> list[Chain]:
        """Every process that wrote entries; those with gaps first."""
        there = {hashed for _, hashed in self._entries}
        entries = Counter(each.writer for each, _ in self._entries)
        begun = {each.writer for each, _ in self._entries if each.prev == _FIRST}
        gaps = Counter(each.writer for each, _ in self._entries if each.prev != _FIRST and each.prev not in there)
        found = [Chain(writer, count, gaps[writer] - (writer not in begun)) for writer, count in entries.items()]
        return sorted(found, key=lambda each: (-each.missing, each.writer))
