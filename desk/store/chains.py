"""Who read what, from the desk's database: page by page, and whether the chains of the entries are whole.

Each entry names the one before it of the same process by its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, and_, case, exists, func, literal, select, tuple_

from desk.access import FIRST
from desk.store.reading import Store
from desk.store.tables import plain
from schemas.desk import Access

_decode = msgspec.json.Decoder(Access).decode


class Chain(NamedTuple):
    """The entries of one process. missing: entries that others name as the one before them, and that are not there.

    Where the beginning of the chain is no longer there, the one before its oldest entry is not counted.
    """

    writer: str
    entries: int
    missing: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries to show. Times: epoch ms UTC. step: the beginning of what was shown, such as `reveal`."""

    user: str = ""
    clue: str = ""
    step: str = ""
    since: int | None = None
    until: int | None = None


class Before(NamedTuple):
    """The place behind which a page begins: that of the last entry of the page before."""

    at_ms: int
    hashed: str

    def __str__(self) -> str:
        return f"{self.at_ms}.{self.hashed}"

    @classmethod
    def of(cls, said: str) -> Before | None:
        """The place that is written there; None: it is none."""
        at, _, hashed = said.partition(".")
        return cls(int(at), hashed) if at.isascii() and at.isdecimal() and len(at) < 19 else None


class AccessLog:
    """The entries that the projection has. Raises StoreError."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, wanted: Wanted, before: Before | None, limit: int) -> tuple[list[Access], Before | None]:
        """Entries, the newest first, and where the next page begins; None: there is none."""
        reads = self._store.tables().reads.c
        rows = self._store.rows(
            select(reads.at_ms, reads.hashed, reads.value)
            .where(*self._fitting(wanted, before))
            .order_by(reads.at_ms.desc(), reads.hashed.desc())
            .limit(limit + 1)
        )
        shown = rows[:limit]
        last = Before(shown[-1].at_ms, shown[-1].hashed) if len(rows) > limit else None
        return [_decode(row.value) for row in shown], last

    def _fitting(self, wanted: Wanted, before: Before | None) -> list[ColumnElement[bool]]:
        reads = self._store.tables().reads.c
        found: list[ColumnElement[bool]] = [reads.writer != ""]
        if wanted.user:
            found.append(reads.user_name == plain(wanted.user))
        if wanted.clue:
            found.append(reads.what == plain(wanted.clue))
        if wanted.step:
            found.append(func.substr(reads.step, 1, len(wanted.step)) == plain(wanted.step))
        if wanted.since is not None:
            found.append(reads.at_ms >= wanted.since)
        if wanted.until is not None:
            found.append(reads.at_ms < wanted.until)
        if before is not None:
            found.append(
                tuple_(reads.at_ms, reads.hashed) < tuple_(literal(before.at_ms), literal(plain(before.hashed)))
            )
        return found

    def chains(self) -> list[Chain]:
        """Every process that wrote entries; those with gaps first."""
        table = self._store.tables().reads
        reads, earlier = table.c, table.alias().c
        torn = and_(reads.prev != FIRST, ~exists().where(earlier.hashed == reads.prev))
        rows = self._store.rows(
            select(
                reads.writer,
                func.count().label("entries"),
                func.sum(case((torn, 1), else_=0)).label("gaps"),
                func.max(case((reads.prev == FIRST, 1), else_=0)).label("begun"),
            )
            .where(reads.writer != "")
            .group_by(reads.writer)
        )
        found = [Chain(row.writer, row.entries, int(row.gaps) - (not row.begun)) for row in rows]
        return sorted(found, key=lambda each: (-each.missing, each.writer))

    def unreadable(self) -> int:
        """Records that are no entries."""
        reads = self._store.tables().reads.c
        return int(self._store.rows(select(func.count()).where(reads.writer == ""))[0][0])
