"""Times to a step by Kaplan–Meier. Clues that still wait count as such, so the figures do not look too good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Spell(NamedTuple):
    """How long something took. ended: it is over; else it has lasted so long so far."""

    lasted: float
    ended: bool


def survival(spells: Sequence[Spell]) -> list[tuple[float, float]]:
    """(time, share that lasts longer) for each time at which one ended, in order (Kaplan & Meier 1958)."""
    ended = Counter(spell.lasted for spell in spells if spell.ended)
    left = Counter(spell.lasted for spell in spells)
    at_risk, share, curve = len(spells), 1.0, []
    for time in sorted(left):
        if ended[time]:
            share *= 1 - ended[time] / at_risk
            curve.append((time, share))
        at_risk -= left[time]
    return curve


def thinned(curve: Sequence[tuple[float, float]], points: int = 100) -> list[tuple[float, float]]:
    """At most so many points of a curve, evenly taken, the last one among them."""
    every = -(-len(curve) // points) or 1
    return [point for number, point in enumerate(reversed(curve)) if number % every == 0][::-1]


def quantile(spells: Sequence[Spell], share: float) -> float | None:
    """The time by which this share of all has ended. None: it has not, or there is no data."""
    return next((time for time, longer in survival(spells) if longer <= 1 - share + 1e-12), None)
