"""How fast the clue log is folded: eight events a clue from alert to answer, read from the wire.

CPU time of one thread, so that what else the machine does matters little. Then the book as bytes, twice: a book that
was built from the log in another order of its partitions has the same.
"""

from __future__ import annotations

import sys
import time
from hashlib import sha256
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import report
from desk.clues.acts import Act
from desk.clues.book import Book
from desk.clues.clue import Clue
from desk.clues.fold import step
from schemas import clues as log
from schemas.records import Alert, Reason, Source, Title, encode

AT = 1_762_099_200_000
PARTITIONS = 4
console = Console(stderr=not sys.stdout.isatty(), width=120)
RULE = "goods.powder_or_liquid"

# What happens to a clue, with the fields that each event needs besides author and time.
LIFE: tuple[tuple[type[log.ClueEvent], dict[str, Any]], ...] = (
    (log.Dispatched, {"to": "S", "adcode": "440111", "accept_by": AT + 1, "check_by": AT + 2, "answer_by": AT + 3}),
    (log.Accepted, {}),
    (log.Noted, {"note": "called the outlet"}),
    (log.Standing, {"revision": 9, "status": "open", "tier": "high", "adcode": "310115"}),
    (log.Checked, {"check_kind": "xray", "checked_at": AT}),
    (log.Answered, {"feedback_id": "f", "outcome": "no_finding", "rules": ()}),
    (log.Noted, {"note": "done"}),
)


def main(events: Annotated[int, typer.Option(min=8, help="Events of the log.")] = 1_000_000) -> None:
    """Clue events folded a second, on one core."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    logs: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for number in range(events // 8):
        logs[number % PARTITIONS] += life(f"wa-{number:024d}")
    values = [value for part in logs for value in part]
    began = time.thread_time()
    book = Book()
    for value in values:
        book.read(value)
    took = time.thread_time() - began
    other = Book()
    for part in reversed(logs):
        for value in part:
            other.read(value)
    same = sha256(book.encoded()).digest() == sha256(other.encoded()).digest()
    mb, rate = sum(map(len, values)) / 1e6, len(values) / took
    size = f"{len(values):,} events, {mb:,.0f} MB, {len(book.clues):,} clues"
    again = f"in another order of partitions {'the same bytes' if same else 'OTHER BYTES'}"
    console.print(f"{size}: {took:.1f} s of CPU, {rate:,.0f}/s; {again}", highlight=False)
    if not same:
        raise typer.Exit(1)


def life(clue_id: str) -> list[bytes]:
    """The events of one clue, as on the wire."""
    opened = {
        "origin": "alert", "parcel": f"SF:{clue_id}", "tier": "medium", "adcode": "440111", "alert": alert_of(clue_id),
        "limit": 40,
    }  # fmt: skip
    clue: Clue | None = None
    values = []
    steps: list[tuple[type[log.ClueEvent], dict[str, Any]]] = [(log.Opened, opened), *LIFE]
    for kind, fields in steps:
        event = Act(kind, clue_id, fields).event(clue, "u1", "S", AT)
        after = step(clue, event)
        assert isinstance(after, Clue), after
        clue = after
        values.append(encode(event))
    return values


def alert_of(clue_id: str) -> Alert:
    """The alert of one clue."""
    reason = Reason(
        rule=RULE, version=1, category="suspicion", points=45, title=Title(zh="粉末或液体", en="Powder or liquid"),
        evidence={"goods_class": "powder", "weight_g": 850},
    )  # fmt: skip
    return Alert(
        alert_id=clue_id, revision=2, status="open", tier="medium", score=45, reasons=(reason,), unknown=(),
        actions=("open_box",), jurisdiction_adcode="440111", carrier_code="SF", waybill_no=clue_id, outlet_id="O",
        courier_id="C", happened_at=AT, detected_at=AT, catalogue="0123456789abcdef",
        sources=(Source(topic="waybill.shipments", partition=0, offset=1),),
    )  # fmt: skip
