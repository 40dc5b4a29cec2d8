"""Whose clues somebody may see."""

from __future__ import annotations

from dataclasses import dataclass

from desk.blind import seen_by
from desk.clues.clue import Clue


@dataclass(frozen=True, slots=True)
class Scope:
    """The clues in some places and of some stations; without further words: all.

    A clue that was handed over is seen at both ends of the transfer, wherever it is now.

    user      who asks; clues under controlled delivery are shown only to the users they name.
    prefixes  of the code of a clue's place; the empty one is everywhere.
    stations  whose clues are shown wherever they are.
    acts_for  the station of that user, which does not see before its answer why a parcel is checked; None: none.
    """

    user: str
    prefixes: tuple[str, ...] = ("",)
    stations: tuple[str, ...] = ()
    acts_for: str | None = None

    def takes(self, clue: Clue) -> bool:
        """Whether it shows this clue. `desk.store.reading.within` says the same in SQL."""
        there = any(self._at(end.adcode, end.station) for end in clue.ends)
        return self.has(clue) or (there and clue.visible_to(self.user))

    def has(self, clue: Clue) -> bool:
        """Whether the clue is there now, and not only handed over from or to there."""
        return self._at(clue.adcode, clue.station) and clue.visible_to(self.user)

    def _at(self, adcode: str, station: str | None) -> bool:
        return adcode.startswith(self.prefixes) or station in self.stations

    def shown(self, clue: Clue) -> Clue:
        """A clue as the user may see it."""
        return seen_by(self.acts_for, clue)
