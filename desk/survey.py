"""A survey: all measures of what stands on a broker now."""

from __future__ import annotations

import msgspec

from desk.clues.book import Book
from desk.clues.register import Register
from desk.log import Client
from desk.measures.report import Measures, measure
from schemas import topics
from schemas.records import Feedback
from streams.kafka.log_reader import LogReader

_feedback = msgspec.json.Decoder(Feedback).decode


def survey(servers: str, client: Client, now_ms: int, since_ms: int = 0) -> Measures:
    """Read clues, feedback and reference data to their end, and measure the clues opened since a time.

    Raises ClientError.
    """
    book, register = Book(), Register()
    feedback: dict[str, Feedback] = {}
    with LogReader(servers, [topics.CLUES, topics.FEEDBACK, topics.REFERENCE], client=client) as reader:
        for entry in reader.to_end():
            if entry.topic == topics.CLUES:
                book.read(entry.value)
            elif entry.topic == topics.REFERENCE:
                register.add(entry.key, entry.value)
            elif entry.value:
                try:
                    said = _feedback(entry.value)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue  # of another version
                feedback[said.alert_id] = said
    return measure(book.clues.values(), feedback, register.capacities, register.calendar, now_ms, since_ms)
