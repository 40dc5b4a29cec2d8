"""Scores: from points to a score, from a score to a tier, from tier and reasons to actions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rules.engine.catalogue import Catalogue
from schemas.rulefile import Action
from schemas.terms import Level

TIERS: Final[tuple[Level, ...]] = get_args(Level)
"""In Chinese practice 低危, 中危, 高危, 特危; `none` is below them."""
THRESHOLDS: Final = (20, 40, 60, 80)
"""The score at which each tier begins, without the first."""
SCORE_MAX: Final = 100

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
"""The order of actions: what stops the parcel comes first, what can wait comes last."""
_TIER_ADDS: Final = {"medium": "open_box", "high": "second_xray", "extreme": "hold"}


def score(answers: pl.DataFrame, catalogue: Catalogue) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Score (0 to 100) and tier (index into TIERS) per row of `answers`, which `evaluate` gave for this catalogue.

    Only a yes of a live rule earns points; unknown earns none.
    """
    if answers.is_empty() or not catalogue.points.any():
        total = np.zeros(answers.height, dtype=np.int32)
    else:
        total = answers.select(catalogue.total).to_series().to_numpy()
    total = np.minimum(total, SCORE_MAX).astype(np.int32)
    return total, np.searchsorted(THRESHOLDS, total, side="right").astype(np.uint8)


def tier_of(total: int) -> int:
    """The tier of a score, as index into TIERS."""
    return bisect_right(THRESHOLDS, total)


def actions(tier: str, reasons: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """What to do about a parcel, in the order of ACTIONS.

    These are the actions that the rules in `reasons` (ids) ask for, and those that the tier adds: open_box from medium,
    second_xray from high, hold from extreme. A higher tier adds those of the lower tiers, too.
    """
    wanted: set[str] = {action for rule_id in reasons for action in catalogue.by_id[rule_id].actions}
    wanted |= {_TIER_ADDS[name] for name in TIERS[: TIERS.index(tier) + 1] if name in _TIER_ADDS}
    return tuple(action for action in ACTIONS if action in wanted)
