"""Compares feedback and holds with the clue log, and says what to write if they differ.

An act and the records that go out with it are one transaction, so there is never one without the other. But if an act
loses a race, the log refuses it, and its feedback is still the newest of its parcel; its writer may be dead by then. So
the dispatcher compares, and restores the valid record. Before that it waits a little, because one topic may be read
ahead of another, and compares again, because something may have come meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from desk.clues.acts import feedback_of, hold_of
from desk.clues.clue import Clue
from schemas import topics
from schemas.desk import Hold
from schemas.records import Feedback, encode
from streams.kafka.log_reader import Entry
from streams.kafka.transactions import Outgoing

GRACE_S: Final = 3.0
_feedback = msgspec.json.Decoder(Feedback).decode
_hold = msgspec.json.Decoder(Hold).decode
Place = tuple[str, str]
"""Topic and parcel."""


class Standing:
    """The newest record of each parcel on both topics, among those that the desk has written."""

    def __init__(self) -> None:
        self._said: dict[Place, tuple[str, str]] = {}  # clue, and id of the record
        self._new: set[Place] = set()
        self._off: dict[Place, float] = {}  # since when it differs from the log

    def heard(self, entry: Entry) -> None:
        """Add a record of one of the topics. Raises DecodeError, UnicodeDecodeError for another version."""
        place = (entry.topic, entry.key.decode())
        said = _said_of(entry)
        self._new.add(place)
        if said is None:
            self._said.pop(place, None)
        else:
            self._said[place] = said

    def owed(self, clues: Mapping[str, Clue], now_s: float) -> list[Outgoing]:
        """Records to write for parcels that have differed for a while. now_s: a monotonic clock.

        An event of the log that changes the valid record comes with a record, so only parcels with records are checked.
        """
        looked, self._new = self._new | self._off.keys(), set()
        since = self._off
        self._off = {place: since.get(place, now_s) for place in looked if self._is_off(place, clues)}
        due = sorted(place for place, at in self._off.items() if now_s - at >= GRACE_S)
        for place in due:
            self._off[place] = now_s  # and compare once more
        return [Outgoing(*place, _right(*place, clues.values())) for place in due]

    def _is_off(self, place: Place, clues: Mapping[str, Clue]) -> bool:
        """Whether a record about a clue differs from the log. False for a clue past retention."""
        if place not in self._said:
            return False
        clue_id, said = self._said[place]
        clue = clues.get(clue_id)
        if clue is None:
            return False
        if place[0] == topics.FEEDBACK:
            return clue.answer is None or clue.answer.feedback_id != said
        return clue.hold is None or clue.hold.order_id != said


def _said_of(entry: Entry) -> tuple[str, str] | None:
    """The clue of a record, and its id; None: a tombstone, or a record of a station without the desk."""
    if not entry.value:
        return None
    if entry.topic == topics.HOLDS:
        hold = _hold(entry.value)
        return hold.clue_id, hold.hold_id
    said = _feedback(entry.value)
    return None if said.clue_id is None else (said.clue_id, said.feedback_id)


def _right(topic: str, parcel: str, clues: Iterable[Clue]) -> bytes | None:
    """The valid record about a parcel: that of its newest clue with one. None: there is none."""
    of_parcel = sorted((clue for clue in clues if clue.parcel == parcel), key=lambda clue: clue.changed_at)
    standing: Iterator[Feedback | Hold] = (
        record
        for clue in reversed(of_parcel)
        if (record := feedback_of(clue) if topic == topics.FEEDBACK else hold_of(clue)) is not None
    )
    record = next(standing, None)
    return None if record is None else encode(record)
