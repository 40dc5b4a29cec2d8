"""Runs of equal numbers: rows in order of the dossier that they are of."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SPAN: Final = 1 << 42  # ms, above any time of a record: what another dossier has is never the largest


def runs(of: Ints) -> tuple[Mask, Ints]:
    """Of numbers in order: which is the first of its kind, as a mask and as positions."""
    first = np.ones(len(of), dtype=np.bool_)
    first[1:] = of[1:] != of[:-1]
    return first, np.flatnonzero(first)


def latest(of: Ints, at: Ints) -> Ints:
    """The largest value up to each row, of the rows of its dossier; -1 where there is none."""
    first, _ = runs(of)
    base = np.cumsum(first) * SPAN
    out: Ints = np.maximum.accumulate(at + base) - base
    return out
