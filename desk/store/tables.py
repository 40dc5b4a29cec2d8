"""The tables, the same for SQLite and PostgreSQL.

Each generation of tables has names of its own, so a new one is built beside the one in use. A generation fits a desk if
its fingerprint is that of the desk's tables and fold.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table, text

from desk.clues.clue import RANK, Clue
from desk.clues.deadlines import next_due
from desk.clues.holds import CONFIRM_MS
from schemas.desk import Access
from schemas.refusals import UNREADABLE

NEVER: Final = 2**62  # a time, epoch ms, that does not come
_Text: Final = String().with_variant(String(collation="C"), "postgresql")  # in the order of code points, as in Python
_CODE: Final = ("desk.store", "desk.clues", "schemas")  # what rows depend on

GENERATIONS: Final = Table(
    "desk_generations",
    MetaData(),
    Column("generation", _Text, primary_key=True),
    Column("fingerprint", _Text, nullable=False),
    Column("ready", Boolean, nullable=False),
)


def _key(name: str) -> Column[str]:
    """A text that is a key, or a part of one."""
    return Column(name, _Text, primary_key=True)


SESSIONS: Final = Table(
    "desk_sessions",
    MetaData(),
    _key("session"),
    Column("user_name", _Text, nullable=False),
    Column("groups", _Text, nullable=False),
    Column("credential", _Text, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)


class Tables:
    """One generation.

    clues      seq: number of the last change, over all clues; rank, due_ms, calm: order of the queue; listed_ms: from
               when it is overdue; settled, answered_by: who may see why the parcel is checked (`desk.blind`);
               handed: it has `ends`.
    ends       those of transfers; without a station: the receiving one.
    events     the log of each clue in the order of `number`; `why`: why an event does not count.
    reads      who read what; step: the first of the fields shown. A record that is no entry has no writer.
    positions  next offset to read of each partition, and the id of its topic.
    """

    def __init__(self, generation: str) -> None:
        self.generation = generation
        self.metadata = MetaData()

        def table(name: str, *columns: Column[Any]) -> Table:
            return Table(f"desk_{name}_{generation}", self.metadata, *columns)

        self.clues = table(
            "clues",
            _key("clue_id"),
            Column("seq", BigInteger, nullable=False),
            Column("parcel", _Text, nullable=False),
            Column("open", Boolean, nullable=False),
            Column("state", _Text, nullable=False),
            Column("rank", Integer, nullable=False),
            Column("due_ms", BigInteger, nullable=False),
            Column("calm", Integer, nullable=False),
            Column("adcode", _Text, nullable=False),
            Column("station", _Text),
            Column("hidden", Boolean, nullable=False),
            Column("handed", Boolean, nullable=False),
            Column("held", Boolean, nullable=False),
            Column("settled", Boolean, nullable=False),
            Column("answered_by", _Text),
            Column("listed_ms", BigInteger, nullable=False),
            Column("value", LargeBinary, nullable=False),
        )
        self.rules = table("rules", _key("rule"), _key("clue_id"))
        self.watchers = table("watchers", _key("clue_id"), _key("watcher"))
        self.ends = table("ends", _key("clue_id"), _key("adcode"), _key("station"))
        self.events = table(
            "events",
            Column("clue_id", _Text, nullable=False),
            Column("number", Integer, nullable=False),
            Column("value", LargeBinary, nullable=False),
            Column("why", _Text),
        )
        self.traces = table(
            "traces",
            _key("parcel"),
            Column("value", LargeBinary, nullable=False),
        )
        self.reads = table(
            "reads",
            _key("hashed"),
            Column("at_ms", BigInteger, nullable=False),
            Column("writer", _Text, nullable=False),
            Column("prev", _Text, nullable=False),
            Column("user_name", _Text, nullable=False),
            Column("what", _Text, nullable=False),
            Column("step", _Text, nullable=False),
            Column("value", LargeBinary, nullable=False),
        )
        self.positions = table(
            "positions",
            _key("topic"),
            Column("partition", Integer, primary_key=True),
            Column("next_offset", BigInteger, nullable=False),
            Column("topic_id", _Text, nullable=False),
        )

    def indexes(self) -> list[Index]:
        """Indexes for reading; they are made when a generation is built, which is faster."""
        clues, name = self.clues.c, self.clues.name
        order = clues.rank, clues.due_ms, clues.calm, clues.clue_id
        blind = clues.due_ms, clues.clue_id  # for a station by time left alone; it sees more than is with it
        rest = clues.adcode, clues.state, clues.hidden, clues.handed  # so that the index alone answers a count
        # SQLite takes a partial index only for the very words of a query.
        still: dict[str, Any] = {"sqlite_where": text("open = 1"), "postgresql_where": clues.open}
        reads, read = self.reads.c, self.reads.name
        return [
            Index(f"{read}_at", reads.at_ms, reads.hashed),
            Index(f"{read}_user", reads.user_name, reads.at_ms, reads.hashed),
            Index(f"{read}_what", reads.what, reads.at_ms, reads.hashed),
            Index(f"{read}_chain", reads.writer, reads.prev),
            Index(f"{name}_queue", *order, *rest, clues.open, clues.station, **still),
            Index(f"{name}_due", *blind, *rest, clues.open, clues.station, clues.rank, **still),
            Index(f"{name}_parcel", clues.parcel),
            Index(f"{name}_seq", clues.seq),
            Index(f"{name}_listed", clues.listed_ms),
            Index(f"{name}_held", clues.clue_id, sqlite_where=text("held = 1"), postgresql_where=clues.held),
            Index(f"{self.rules.name}_clue", self.rules.c.clue_id),
            Index(f"{self.events.name}_log", self.events.c.clue_id, self.events.c.number, unique=True),
        ]


@cache
def fingerprint() -> str:
    """Of all code that rows depend on. A remark changes it, too: that costs a minute, a change unseen wrong rows."""
    found = sha256()
    for package in _CODE:
        for file in sorted(files(package).iterdir(), key=lambda each: each.name):
            if file.name.endswith(".py"):
                found.update(f"{package}/{file.name}\0".encode() + file.read_bytes())
    return found.hexdigest()


_encode: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(Access).decode


def plain(said: str) -> str:
    """A text that any database takes: PostgreSQL has no NUL."""
    return said.replace("\0", "\ufffd")


def order_of(clue: Clue) -> tuple[int, int, int]:
    """Where a clue stands in the queue: rank, due_ms, calm."""
    due = next_due(clue, 0)
    score = 0 if clue.alert is None else clue.alert.score
    return RANK[clue.tier], NEVER if due is None else due.by, -score


def row_of(clue: Clue, seq: int) -> dict[str, object]:
    """The row of a clue."""
    rank, due_ms, calm = order_of(clue)
    return {
        "clue_id": plain(clue.clue_id),
        "seq": seq,
        "parcel": plain(clue.parcel),
        "open": clue.state != "closed",
        "state": clue.state,
        "rank": rank,
        "due_ms": due_ms,
        "calm": calm,
        "adcode": plain(clue.adcode),
        "station": None if clue.station is None else plain(clue.station),
        "hidden": bool(clue.monitor),
        "handed": bool(clue.ends),
        "settled": clue.settled,
        "answered_by": None if clue.answer is None else plain(clue.answer.station or ""),
        "held": clue.hold is not None and clue.hold.state != "released",
        "listed_ms": min(due_ms, _hold_listed(clue)),
        "value": _encode(clue),
    }


def row_of_read(value: bytes, at_ms: int) -> dict[str, object]:
    """The row of a record of who read what; at_ms: when it was written."""
    row: dict[str, object] = {"hashed": sha256(value).hexdigest(), "at_ms": at_ms, "value": value}
    try:
        entry = _read(value)
    except UNREADABLE:
        return {**row, **dict.fromkeys(("writer", "prev", "user_name", "what", "step"), "")}
    return {
        **row,
        "at_ms": entry.at,
        "writer": plain(entry.writer),
        "prev": entry.prev,
        "user_name": plain(entry.user),
        "what": plain(entry.what[0]) if entry.what else "",
        "step": plain(entry.fields[0]) if entry.fields else "",
    }


def _hold_listed(clue: Clue) -> int:
    """From when `desk.queue.late` lists the clue for its hold."""
    hold = clue.hold
    if hold is None or hold.state == "released":
        return NEVER
    if hold.state == "breached":
        return 0
    return min(hold.until, hold.at + CONFIRM_MS if hold.state == "requested" else NEVER)
