"""Clues that must outlast the retention of their topic: their events are written again, once a month.

Kafka deletes by time and cannot spare single keys. So all events of a clue under `kept` are written again in their
order, in one transaction, each with its number in the history of the clue (`again`). Readers who have the event ignore
it, and who begins after retention builds the same clue from the copies.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from desk.clues.book import Book
from schemas import topics
from schemas.clues import ClueEvent, Opened
from schemas.records import encode
from streams.kafka.log_reader import Entry
from streams.kafka.transactions import Outgoing

EVERY_MS: Final = 30 * 86_400_000  # far less than any retention of the topic


def copies(entries: Iterable[Entry], kept: Container[str], now_ms: int) -> Iterator[list[Outgoing]]:
    """What to write for each of these clues whose events were last written a month ago: one transaction each.

    entries: the whole clue log. kept: clues to keep. now_ms: the wall clock, like the timestamps of entries.
    """
    book = Book()
    history: dict[str, list[ClueEvent]] = {}
    written: dict[str, int] = {}
    for entry in entries:
        if entry.key.decode("utf-8", "replace") not in kept:
            continue
        taken = book.read(entry.value)
        if taken is None or taken.clue is None:
            continue
        if isinstance(taken.event, Opened):
            written[taken.event.clue_id] = entry.at_ms
        if not taken.repeat:
            history.setdefault(taken.event.clue_id, []).append(taken.event)
    for clue_id in sorted(history):
        if now_ms - written[clue_id] >= EVERY_MS:
            yield [
                Outgoing(topics.CLUES, clue_id, encode(replace(event, again=number)))
                for number, event in enumerate(history[clue_id])
            ]
