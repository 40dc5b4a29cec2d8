"""Trailing windows over many groups at once, without a loop.

Rows are sorted by (group, time). The window of row `i` holds the rows `lo[i] .. i` of its group: those with
`t[i] - span < t <= t[i]`. `lo` never falls, so each row lies in the windows of one contiguous run of rows, and a count
over all windows is a difference array and a running sum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def order(group: Ints, at: Ints, *ties: NDArray[np.generic]) -> Ints:
    """Indices that sort rows by (group, at, *ties); ties are compared only if needed."""
    key = combined(group, at)
    by = np.argsort(key, kind="stable")
    ranked = key[by]
    same = np.flatnonzero(ranked[1:] == ranked[:-1])
    if len(same) == 0:
        return by
    tied = np.zeros(len(by), dtype=np.bool_)
    tied[same] = tied[same + 1] = True
    rows = by[tied]
    by[tied] = rows[np.lexsort((*(tie[rows] for tie in reversed(ties)), key[rows]))]
    return by


def combined(group: Ints, at: Ints, span: int = 0) -> Ints:
    """One integer that sorts as (group, at) does, with more than `span` between the groups.

    Raises OverflowError if groups times the range of time do not fit (2**20 groups over a hundred years fit).
    """
    if len(at) == 0:
        return np.empty(0, dtype=np.int64)
    start = int(at.min())
    stride = int(at.max()) - start + span + 1
    if (int(group.max()) + 1) * stride >= 2**63:
        raise OverflowError("too many groups in one batch for this range of event time: lower batch_rows_max")
    return group * stride + (at - start)


def starts(group: Ints, at: Ints, span: int) -> Ints:
    """For each row, the index of the first row in its window of `span` ms."""
    key = combined(group, at, span)
    return np.searchsorted(key, key - span, side="right").astype(np.int64)


def count(lo: Ints, mask: Mask) -> Ints:
    """Number of rows of `mask` in each window."""
    return total(lo, mask)


def total(lo: Ints, value: Ints | Mask) -> Ints:
    """Sum of the values in each window."""
    up_to = np.concatenate(([0], np.cumsum(value)))
    return up_to[1:] - up_to[lo]


def largest(lo: Ints, value: Ints, mask: Mask) -> Ints:
    """Largest value in each window, among the rows of `mask`; the smallest integer but one where there is none.

    A window is covered by two runs whose length is a power of two, one from either end.
    """
    best = np.where(mask, value, np.iinfo(np.int64).min + 1)
    length = np.arange(1, len(lo) + 1) - lo
    out = best.copy()
    run = 1
    while run < length.max(initial=0):
        longer = best.copy()
        longer[run:] = np.maximum(best[run:], best[:-run])
        best, run = longer, 2 * run
        wide = np.flatnonzero((length >= run) & (length < 2 * run))
        out[wide] = np.maximum(best[wide], best[lo[wide] + run - 1])
    return out


def distinct(group: Ints, lo: Ints, value: Ints, mask: Mask) -> Ints:
    """Number of different values in each window, among the rows of `mask`.

    A row counts for its value until the next row with that value, or until it leaves the windows.
    """
    n = len(lo)
    rows = np.flatnonzero(mask)
    if len(rows) == 0:
        return np.zeros(n, dtype=np.int64)
    by = np.lexsort((value[rows], group[rows]))
    ranked = rows[by]
    again = (group[ranked[1:]] == group[ranked[:-1]]) & (value[ranked[1:]] == value[ranked[:-1]])
    until = np.searchsorted(lo, ranked, side="right")
    until[:-1][again] = np.minimum(until[:-1][again], ranked[1:][again])
    change = -np.bincount(until, minlength=n + 1)
    change[ranked] += 1
    return np.cumsum(change[:n])


def previous(group: Ints, mask: Mask) -> Ints:
    """For each row, the index of the last earlier row of `mask` in its group, or -1."""
    last = np.maximum.accumulate(np.where(mask, np.arange(len(group)), -1))
    before = np.concatenate(([-1], last))[:-1]
    return np.where((before >= 0) & (group[np.maximum(before, 0)] == group), before, -1)
