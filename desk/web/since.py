"""What has changed since a clue was dispatched: its alert, its place, and where the parcel went."""

from __future__ import annotations

from dataclasses import dataclass

from desk.clues.clue import Clue
from schemas.desk import Movement, Trace
from schemas.terms import Tier


@dataclass(frozen=True, slots=True)
class Since:
    """Pairs are (then, now). revisions: of the alert, since it was opened. moved: movements since the dispatch."""

    tier: tuple[Tier, Tier] | None
    place: tuple[str, str] | None
    revisions: int
    moved: tuple[Movement, ...]

    @property
    def anything(self) -> bool:
        """Whether anything has changed."""
        return bool(self.tier or self.place or self.revisions or self.moved)


def since_dispatch(clue: Clue, trace: Trace | None) -> Since | None:
    """What has changed; None: the clue has not been dispatched, or is not from an alert."""
    if clue.dispatched_at is None or clue.alert is None:
        return None
    then, now = clue.alert.tier, clue.standing_tier
    place, dispatched = clue.standing_adcode or clue.adcode, clue.dispatched_adcode
    return Since(
        tier=(then, now) if now is not None and now != then else None,
        place=(dispatched, place) if dispatched is not None and dispatched != place else None,
        revisions=max(clue.revision - clue.alert.revision, 0),
        moved=tuple(each for each in trace.movements if each.at > clue.dispatched_at) if trace is not None else (),
    )
