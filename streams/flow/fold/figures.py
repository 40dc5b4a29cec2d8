"""The figures of declared measures about many observations at once. `schemas.measures` says what they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.measures import Measure
from streams.flow.describe.place import distance_km
from streams.flow.fold import windows
from streams.flow.layout import KEPT

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

NOTHING: Final = -1  # no observation has a value; a distance is NaN then


class Observed:
    """Observations of one kind of entity: OBSERVED rows in order of history (`group`) and time."""

    def __init__(self, entity: str, rows: Rows, group: Ints) -> None:
        self.entity = entity
        self.rows = rows
        self.group = group
        self.live: Mask = rows["live"].astype(np.bool_)
        self._starts: dict[int, Ints] = {}
        self._finer: dict[str, tuple[Ints, Observed]] = {}

    def starts(self, window_ms: int) -> Ints:
        """Where the window of each row begins."""
        if window_ms not in self._starts:
            self._starts[window_ms] = windows.starts(self.group, self.rows["at"], window_ms)
        return self._starts[window_ms]

    def figures(self, measure: Measure) -> Ints | NDArray[np.float64]:
        """The figure about each row."""
        if measure.same:  # the same windows over smaller groups
            by, finer = self._by(measure.same)
            found = finer.figures(replace(measure, same=""))
            out = np.empty_like(found)
            out[by] = found
            return out
        lo, counted = self.starts(measure.window_ms), self.live
        if not measure.attribute:
            return windows.count(lo, counted) - (counted if measure.earlier else 0)
        value = self._values(measure.attribute)
        counted = counted & (value != 0)
        match measure.figure:
            case "count":
                return windows.count(lo, counted) - (counted if measure.earlier else 0)
            case "distinct":
                return windows.distinct(self.group, lo, value, counted)
            case "sum":
                return windows.total(lo, np.where(counted, value, 0))
            case "previous" | "distance":
                return self._previous(measure, lo, value, counted)
        highest, lowest = (sign * windows.largest(lo, sign * value, counted) for sign in (1, -1))
        found = {"max": highest, "min": lowest, "span": highest - lowest}[measure.figure]
        return np.where(windows.count(lo, counted) > 0, found, NOTHING)

    def _previous(self, measure: Measure, lo: Ints, value: Ints, counted: Mask) -> Ints | NDArray[np.float64]:
        before = windows.previous(self.group, counted)
        some = before >= lo
        if measure.figure == "previous":
            return np.where(some, value - value[before], NOTHING)
        km = np.full(len(value), np.nan)
        km[some] = distance_km(value[before[some]], value[some])
        return km

    def _values(self, attribute: str) -> Ints:
        field, divisor = KEPT[self.entity][attribute]
        values: Ints = self.rows[field].astype(np.int64)
        return values if divisor == 1 else values // divisor

    def _by(self, attribute: str) -> tuple[Ints, Observed]:
        """The rows by history and attribute: their order, and they."""
        if attribute not in self._finer:
            value = self._values(attribute)
            by = np.lexsort((value, self.group))
            group = np.zeros(len(by), dtype=np.int64)
            np.cumsum(np.diff(self.group[by]).astype(np.bool_) | (value[by][1:] != value[by][:-1]), out=group[1:])
            self._finer[attribute] = by, Observed(self.entity, self.rows[by], group)
        return self._finer[attribute]
