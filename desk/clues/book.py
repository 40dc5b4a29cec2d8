"""All clues of a log. Records are added in the order of their partition; the result says what became of each."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from desk.clues.clue import Clue
from desk.clues.fold import remembered, step
from schemas.clues import AnyClueEvent, ClueEvent
from schemas.refusals import UNREADABLE

_decode = msgspec.json.Decoder(AnyClueEvent).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one event. clue: as it is now; None: there is none. why: why the event does not count.

    repeat: it was read before, and changes nothing.
    """

    event: ClueEvent
    clue: Clue | None
    why: str | None = None
    repeat: bool = False


class Book:
    """Clues by id. The same log gives the same book, byte for byte, whatever the order of its partitions."""

    def __init__(self) -> None:
        self.clues: dict[str, Clue] = {}
        self.events = 0  # events read, also repeats
        self.orphans = 0  # events of clues that were never opened, or whose start is past retention
        self.unreadable = 0

    def read(self, value: bytes | None) -> Taken | None:
        """Add one record of the log; None: it is not an event of this version, which is counted."""
        try:
            event: ClueEvent = _decode(value or b"")
        except UNREADABLE:
            self.unreadable += 1
            return None
        return self.take(event)

    def take(self, event: ClueEvent) -> Taken:
        """Add one event."""
        self.events += 1
        before = self.clues.get(event.clue_id)
        after = step(before, event)
        if not isinstance(after, str):
            self.clues[event.clue_id] = after
            return Taken(event, after, repeat=after is before)
        if before is None:
            self.orphans += 1
            return Taken(event, None, after)
        self.clues[event.clue_id] = noted = remembered(before, event, after)
        return Taken(event, noted, after)

    def encoded(self) -> bytes:
        """The whole book as bytes, clues sorted by id."""
        return bytes(
            _encode(
                {
                    "clues": [self.clues[clue_id] for clue_id in sorted(self.clues)],
                    "orphans": self.orphans,
                    "unreadable": self.unreadable,
                }
            )
        )
