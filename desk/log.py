"""The clue log on a broker: follows all clues, and adds acts.

An act is one Kafka transaction: the clue event and the records that go out with it (feedback, or an order to a
carrier). Its place in the log decides whether it counts, so the writer reads it back before it reports success.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from desk.clues.acts import checked, feedback_of, hold_of
from desk.clues.book import Book, Taken
from desk.clues.clue import Clue
from desk.clues.fold import step
from desk.clues.ids import uuid7
from schemas import clues as events
from schemas import topics
from schemas.errors import WaybillError
from schemas.records import encode
from streams.kafka import naming
from streams.kafka.log_reader import Entry, LogReader
from streams.kafka.transactions import Outgoing, TransactionalWriter

log = logging.getLogger(__name__)

READ_BACK_S = 40.0  # a killed writer blocks readers until the broker ends its transaction
Client = Mapping[str, str | int | float | bool]


class LogError(WaybillError):
    """The clue log cannot be used any further. The message says why."""


class ClueLog:
    """The log on one broker; a context manager. One thread at a time.

    name   transactional id of the writer. Without a name it gets a new id and fences nobody.
    """

    def __init__(self, servers: str, client: Client, name: str | None = None) -> None:
        self.book = Book()
        self.open: set[str] = set()  # clues that are not closed
        self.name = name or new_name("clues")
        self._servers, self._client = servers, client
        self._writer: TransactionalWriter | None = None
        self._reader = LogReader(servers, [topics.CLUES], client=client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()

    def start_writing(self) -> None:
        """Take the transactional id, which fences its earlier holder. Raises WriteError."""
        if self._writer is None:
            self._writer = TransactionalWriter(self._servers, self.name, self._client)

    def catch_up(self) -> list[Taken]:
        """Read to the end. Returns what was read. Raises ClientError."""
        return [taken for entry in self._reader.to_end() if (taken := self._take(entry)) is not None]

    def poll(self, timeout_s: float) -> list[Taken]:
        """What has come since the last call, after `timeout_s` at the latest. Raises ClientError."""
        return [taken for entry in self._reader.poll(timeout_s) if (taken := self._take(entry)) is not None]

    def unread(self) -> dict[str, int]:
        """Records of the log that were not read yet, as far as that is known without asking."""
        return self._reader.unread()

    def act(self, event: events.ClueEvent) -> Taken:
        """Add one event; what became of it. Raises ActError if it cannot count already now, WriteError, LogError."""
        checked(self.book.clues.get(event.clue_id), event)
        taken = {each.event.event_id: each for each in self.add([event])}
        return taken[event.event_id]

    def add(self, made: Sequence[events.ClueEvent]) -> list[Taken]:
        """Add events in one transaction, and read until they are read back. Returns all that was read.

        Events that would not count now are written, too: only the log decides. If an event turns out not to count, the
        records that went out with it are not valid, and the dispatcher restores the valid ones. Raises WriteError.
        """
        if not made:
            return []
        self.start_writing()
        assert self._writer is not None
        places = self._writer.write(
            [record for event in made for record in records_of(event, self.book.clues.get(event.clue_id))]
        )
        return self._read_to([place for place in places if place[0] == topics.CLUES])

    def write_beside(self, records: Sequence[Outgoing]) -> None:
        """Write records in one transaction, and do not wait to read them back. Raises WriteError."""
        self.start_writing()
        assert self._writer is not None
        self._writer.write(records)

    def _read_to(self, places: Iterable[tuple[str, int, int]]) -> list[Taken]:
        ends: dict[tuple[str, int], int] = {}
        for topic, partition, offset in places:
            ends[topic, partition] = max(offset + 1, ends.get((topic, partition), 0))
        taken: list[Taken] = []
        deadline = time.monotonic() + READ_BACK_S
        while any(self._reader.positions.get(place, 0) < end for place, end in ends.items()):
            if time.monotonic() > deadline:
                raise LogError(f"{topics.CLUES}: written, but not read back after {READ_BACK_S:.0f} s")
            taken += self.poll(0.05)
        return taken

    def _take(self, entry: Entry) -> Taken | None:
        taken = self.book.read(entry.value)
        if taken is None:
            log.warning("%s is no event of this version; left out", entry.place)
        elif taken.clue is not None:
            if taken.clue.state == "closed":
                self.open.discard(taken.clue.clue_id)
            else:
                self.open.add(taken.clue.clue_id)
        return taken


def new_name(process: naming.Process, group: str = naming.GROUP) -> str:
    """A transactional id of its own, which fences nobody."""
    return naming.one_of(group, process, uuid7(int(time.time() * 1_000)))


def records_of(event: events.ClueEvent, clue: Clue | None) -> list[Outgoing]:
    """What to write for an event on a clue as it is before: the event, and the records that go out with it."""
    after = step(clue, event)
    return [
        Outgoing(topics.CLUES, event.clue_id, encode(event)),
        *([] if isinstance(after, str) else _companions(event, after)),
    ]


def _companions(event: events.ClueEvent, clue: Clue) -> list[Outgoing]:
    if isinstance(event, events.Answered | events.Judged) and (said := feedback_of(clue)) is not None:
        return [Outgoing(topics.FEEDBACK, clue.parcel, encode(said))]
    if isinstance(event, events.Held) and event.action in ("request", "second", "release"):
        hold = hold_of(clue)
        return [] if hold is None else [Outgoing(topics.HOLDS, clue.parcel, encode(hold))]
    return []
