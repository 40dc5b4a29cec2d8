"""A survey: all measures, from the topics of a broker as they are now."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from desk.clues.book import Book
from desk.clues.clue import Clue
from desk.clues.deadlines import day_of
from desk.clues.register import Register
from desk.log import Client
from desk.measures.provinces import accepted_by_province
from desk.measures.report import Measures, measure
from desk.standing import feedback
from schemas import topics
from schemas.desk import Tally, Trace
from schemas.errors import WaybillError
from schemas.records import Feedback
from schemas.refusals import UNREADABLE
from streams.kafka.log_reader import Entry, LogReader

log = logging.getLogger(__name__)
_QUIET_S: Final = 0.2  # nothing for so long: all has been read
TOPICS: Final = (topics.CLUES, topics.FEEDBACK, topics.REFERENCE, topics.TRACES, topics.TALLIES)
_trace = msgspec.json.Decoder(Trace).decode
_tally = msgspec.json.Decoder(Tally).decode


class Survey:
    """The contents of the topics from which measures are computed."""

    def __init__(self) -> None:
        self.book, self.register = Book(), Register()
        self.feedback: dict[str, Feedback] = {}  # by alert
        self.left_at: dict[str, int] = {}  # by parcel: when it first departed
        self.tallies: dict[bytes, Tally] = {}

    def take(self, entry: Entry) -> None:
        """Add one record. Raises DecodeError, UnicodeDecodeError for another version."""
        if entry.topic == topics.CLUES:
            self.book.read(entry.value)
        elif entry.topic == topics.REFERENCE:
            self.register.add(entry.key, entry.value)
        elif not entry.value:
            self.tallies.pop(entry.key, None)
        elif entry.topic == topics.TALLIES:
            self.tallies[entry.key] = _tally(entry.value)
        elif entry.topic == topics.TRACES:
            trace = _trace(entry.value)
            if left := [each.at for each in trace.movements if each.kind == "departed"]:
                self.left_at[trace.key] = min(left)
        else:
            said = feedback(entry.value)
            self.feedback[said.alert_id] = said

    def measures(self, now_ms: int, since_ms: int = 0, wanted: Callable[[Clue], bool] | None = None) -> Measures:
        """Measures of the clues opened since `since_ms`, or of those of them that are wanted."""
        accepted = accepted_by_province(
            self.tallies.values(), self.register.outlet_places, day_of(since_ms).isoformat()
        )
        clues = self.book.clues.values()
        return measure(
            clues if wanted is None else filter(wanted, clues), self.feedback, self.register.capacities,
            self.register.calendar, now_ms, since_ms, left_at=self.left_at, accepted=accepted,
        )  # fmt: skip


class StoppedError(WaybillError):
    """A survey was ended from outside."""


class Surveyor:
    """A survey that goes on from where it was; one thread."""

    def __init__(self, servers: str, client: Client) -> None:
        self._servers, self._client = servers, client
        self._reader: LogReader | None = None
        self._found = Survey()
        self._stopping = threading.Event()

    def survey(self) -> Survey:
        """What the topics hold now. Raises ClientError; then it begins anew the next time. Raises StoppedError."""
        try:
            if self._reader is None:
                self._found = Survey()
                self._reader = LogReader(self._servers, TOPICS, client=self._client)
                for piece in self._reader.pieces_to_end():
                    self._take(piece)
            while entries := self._reader.poll(_QUIET_S):
                self._take(entries)
            return self._found
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End a survey that goes on, from another thread."""
        self._stopping.set()

    def close(self) -> None:
        """Give connections back."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _take(self, entries: Sequence[Entry]) -> None:
        if self._stopping.is_set():
            raise StoppedError("stopped")
        for entry in entries:
            try:
                self._found.take(entry)
            except UNREADABLE:
                log.warning("%s is no record of this version; left out", entry.place)


def survey(servers: str, client: Client, now_ms: int, since_ms: int = 0) -> Measures:
    """Measure the clues opened since a time, from the topics as they are. Raises ClientError."""
    surveyor = Surveyor(servers, client)
    try:
        return surveyor.survey().measures(now_ms, since_ms)
    finally:
        surveyor.close()
