"""Journeys: columns from the movements of parcels, and absences: what is missing after its deadline.

Columns are computed from the movements each time a parcel is judged, so they are not stored. One thing is stored: the
event time at which absences were decided (`decided_at`). A decision outlives the worker that made it, and is revoked
only when the facts change.

An absence has a deadline in event time. The answer is null until event time has passed the deadline, and true after it.
If nothing is missing, or nothing can be, it is false at once. For a parcel that may have expired before, nothing ever
counts as missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.records import Inspection, Scan
from streams.flow import layout
from streams.flow.columns import Mask, nullable
from streams.flow.fold.runs import latest, runs
from streams.flow.layout import HOUR_MS, MINUTE_MS, MOVEMENT

Rows = NDArray[np.void]
Ints = NDArray[np.int64]

NEVER: Final = np.iinfo(np.int64).max
"""A time that never comes."""
END: Final = NEVER - 1
"""Event time when no more events come."""

SECOND_XRAY_LATE_MS: Final = 10 * MINUTE_MS
INSPECTION_LATE_MS: Final = 10 * MINUTE_MS
RECORD_LATE_MS: Final = 24 * HOUR_MS
UNMOVED_MS: Final = 48 * HOUR_MS
PASS_LATE_MS: Final = MINUTE_MS
DEADLINE_MS_MIN: Final = min(SECOND_XRAY_LATE_MS, INSPECTION_LATE_MS, RECORD_LATE_MS, UNMOVED_MS, PASS_LATE_MS)
"""The shortest time from an event to a deadline that begins with it."""


def _scan(name: str) -> int:
    return layout.SCAN_TYPES.index(name)


def _inspection(name: str) -> int:
    return layout.FIRST_KIND[Inspection] + layout.INSPECTION_TYPES.index(name)


_PICKED_UP, _DEPARTED, _DELIVERED = _scan("picked_up"), _scan("departed"), _scan("delivered")
_OUT_FOR_DELIVERY = _scan("out_for_delivery")
_OPEN_BOX, _XRAY, _SECOND_XRAY = _inspection("open_box"), _inspection("xray"), _inspection("second_xray")
_PASS = layout.RESULTS.index("pass")


class Journeys:
    """The journeys of some dossiers, as columns row by row with them.

    heads: HEAD rows. movements: for each, its MOVEMENT rows in order of time, as bytes. event_time: the watermark for
    each, epoch ms. home: prefixes of the deployment's home places. wanted: names of the columns that are needed.
    """

    def __init__(
        self,
        heads: Rows,
        movements: Sequence[bytes],
        event_time: Ints,
        *,
        home: tuple[str, ...],
        wanted: frozenset[str],
    ) -> None:
        self.heads = heads  # as they were when this was made
        self.movements = np.frombuffer(b"".join(movements), dtype=MOVEMENT)
        self.owners = np.repeat(np.arange(len(heads)), heads["movements"])  # whose each of them is
        self._partly = np.asarray(heads["decided_at"] == layout.PARTLY_KNOWN)
        self._now = np.where(self._partly, 0, np.maximum(event_time, heads["decided_at"]))
        self._home = home
        self._asked = sorted(ABSENCES & wanted)

    def column(self, name: str) -> pl.Series:
        """The documented column of this name."""
        return _BUILD[name](self).alias(name)

    @property
    def newest(self) -> int:
        """Time of the newest of all events, epoch ms; 0 if there are none."""
        return int(max(self.movements["at"].max(initial=0), self.heads["picked_up_at"].max(initial=0)))

    # Absences

    @cached_property
    def absent(self) -> Ints:
        """How many of the wanted absences are decided as missing, for each dossier."""
        found = np.zeros(len(self.heads), dtype=np.int64)
        for name in self._asked:
            found += self.decided(name)
        return found

    @cached_property
    def decided_at(self) -> Ints:
        """The least event time at which the same absences would be decided again."""
        found = self.heads["decided_at"].copy()
        for name in self._asked:
            np.maximum(found, np.where(self.decided(name), self._timers[name] + 1, layout.PARTLY_KNOWN), out=found)
        return found

    @cached_property
    def due_at(self) -> Ints:
        """The next deadline of each that has not passed; NEVER if there is none."""
        found = np.full(len(self.heads), NEVER)
        for name in self._asked:
            np.minimum(found, np.where(self.decided(name) | self._partly, NEVER, self._timers[name]), out=found)
        return found

    @cached_property
    def _timers(self) -> dict[str, Ints]:
        return {name: _DEADLINES[name](self) for name in self._asked}

    def decided(self, name: str) -> Mask:
        """Which are found to lack it; none, where the absence of this name is not asked for."""
        if name not in self._timers:
            return np.zeros(len(self.heads), dtype=np.bool_)
        decided: Mask = self._timers[name] < self._now
        return decided

    def answer(self, name: str, valid: Mask | None = None) -> pl.Series:
        """The absence of this name: true after its deadline, null before it, false if there is no deadline."""
        missing = self._timers[name] != NEVER
        known = ~missing | self.decided(name)
        return nullable(missing, known if valid is None else known & valid)

    # Times of what there is, by dossier; NEVER if there is none

    @cached_property
    def present(self) -> Mask:
        """Whether there is a shipment record."""
        return np.asarray(self.heads["present"] == 1)

    @cached_property
    def departed_at(self) -> Ints:
        """First departed scan."""
        return self._first(self._kind == _DEPARTED)

    @cached_property
    def first_scan_at(self) -> Ints:
        """First scan of any kind."""
        return self._first(self._scanned)

    @cached_property
    def home_delivery_at(self) -> Ints:
        """First out_for_delivery scan in a home place."""
        out = self._kind == _OUT_FOR_DELIVERY
        out[out] = starts(self.movements["adcode"][out], self._home)
        return self._first(out)

    @cached_property
    def delivered_elsewhere_at(self) -> Ints:
        """First delivered scan in another province than the place of acceptance."""
        rows = np.flatnonzero(self._kind == _DELIVERED)
        origin = self.heads["pickup_adcode"][self.owners[rows]]
        there = np.zeros(len(self.movements), dtype=np.bool_)
        there[rows] = self.movements["adcode"][rows] // 10_000 != origin // 10_000
        return self._first(there)

    @cached_property
    def xray_at(self) -> Ints:
        """First X-ray."""
        return self._first(self._kind == _XRAY)

    @cached_property
    def second_xray_at(self) -> Ints:
        """First second X-ray."""
        return self._first(self._kind == _SECOND_XRAY)

    def opened_at(self, ms_min: int) -> Ints:
        """First open_box inspection that took so long."""
        return self._first((self._kind == _OPEN_BOX) & (self.movements["value"] >= ms_min))

    def opened_within(self, ms: int) -> Mask:
        """Some open_box inspection took less than so long."""
        return np.asarray(self._first((self._kind == _OPEN_BOX) & (self.movements["value"] < ms)) != NEVER)

    @cached_property
    def _kind(self) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.movements["kind"])

    @cached_property
    def _scanned(self) -> Mask:
        return layout.kinds_of(Scan, self._kind)

    @cached_property
    def _inspected(self) -> Mask:
        return layout.kinds_of(Inspection, self._kind)

    def _first(self, which: Mask) -> Ints:
        rows = np.flatnonzero(which)
        first, _ = runs(self.owners[rows])
        out = np.full(len(self.heads), NEVER)
        out[self.owners[rows[first]]] = self.movements["at"][rows[first]]
        return out

    def counted(self, scans: bool) -> pl.Series:
        """How many scans, or how many inspections, each has."""
        which = self._scanned if scans else self._inspected
        return pl.Series(np.bincount(self.owners[which], minlength=len(self.heads)).astype(np.int64))

    def doubtful_departures(self) -> pl.Series:
        """Departed scans with a doubtful result at or before them, and no pass between the two.

        Null until the deadline for a pass before the first of them. For a partly known parcel it stays null, because
        the pass may have expired.
        """
        count = np.bincount(self.owners[self._doubted], minlength=len(self.heads)).astype(np.int64)
        known = (count == 0) | self.decided("doubtful_departures")
        return nullable(count, known)

    @cached_property
    def _doubted(self) -> NDArray[np.intp]:
        """The rows of these scans, by dossier and time."""
        doubtful = self._inspected & (self.movements["result"] != _PASS)
        if doubtful.any():
            concerned = np.zeros(len(self.heads), dtype=np.bool_)
            concerned[self.owners[doubtful]] = True
            rows = np.flatnonzero(concerned[self.owners] & (self._inspected | (self._kind == _DEPARTED)))
            # An inspection that starts at the moment of a departure counts as before it.
            rows = rows[np.lexsort((self._scanned[rows], self.movements["at"][rows], self.owners[rows]))]
            of, at = self.owners[rows], self.movements["at"][rows]
            latest_doubt = latest(of, np.where(doubtful[rows], at, -1))
            latest_pass = latest(of, np.where(self._scanned[rows] | doubtful[rows], -1, at))
            left = self._scanned[rows] & (latest_doubt >= 0) & (latest_pass <= latest_doubt)
            return np.asarray(rows[left])
        return np.empty(0, dtype=np.intp)

    def weight_change_g(self) -> pl.Series:
        """The scanned weight furthest from the accepted one."""
        rows = np.flatnonzero(self._scanned & (self.movements["value"] >= 0))
        of = self.owners[rows]
        change = np.abs(self.movements["value"][rows].astype(np.int64) - self.heads["weight_g"][of])
        _, out = self._reduced(np.maximum, of, change)
        return nullable(out, self.present)

    def open_box_s(self) -> pl.Series:
        """The shortest open_box inspection."""
        rows = np.flatnonzero(self._kind == _OPEN_BOX)
        found, out = self._reduced(np.minimum, self.owners[rows], self.movements["value"][rows].astype(np.int64))
        return nullable(out / 1_000, found)

    def _reduced(self, by: np.ufunc, of: Ints, values: Ints) -> tuple[Mask, Ints]:
        """Which dossiers have values, and the values reduced by dossier."""
        found = np.zeros(len(self.heads), dtype=np.bool_)
        out = np.zeros(len(self.heads), dtype=np.int64)
        first, starts = runs(of)
        if len(starts):
            found[of[first]] = True
            out[of[first]] = by.reduceat(values, starts)
        return found, out

    # Deadlines of absences; NEVER if nothing is missing

    def uninspected_until(self) -> Ints:
        """For a departure that no inspection preceded."""
        checked = np.minimum(self._first(self._kind == _OPEN_BOX), self.xray_at) <= self.departed_at
        return _later(self.departed_at, INSPECTION_LATE_MS, unless=checked)

    def passed_until(self) -> Ints:
        """For a departure with a doubt that no pass has settled."""
        which = np.zeros(len(self.movements), dtype=np.bool_)
        which[self._doubted] = True
        left_at = self._first(which)
        return _later(left_at, PASS_LATE_MS, unless=left_at == NEVER)

    def second_xray_until(self) -> Ints:
        """For a delivery in a home place, from a priority origin, that no second X-ray preceded."""
        origin = (self.heads["flags"] & layout.FLAGS["priority_origin"]) != 0
        checked = self.second_xray_at < self.home_delivery_at
        return _later(self.home_delivery_at, SECOND_XRAY_LATE_MS, unless=checked | ~origin | ~self.present)

    def unregistered_until(self) -> Ints:
        """For scans without a shipment record."""
        return _later(self.first_scan_at, RECORD_LATE_MS, unless=self.present)

    def unmoved_until(self) -> Ints:
        """For a parcel that has not moved since it was accepted."""
        picked_up_at = self.heads["picked_up_at"]
        moved = self._first(self._scanned & (self._kind != _PICKED_UP)) <= picked_up_at + UNMOVED_MS
        return _later(picked_up_at, UNMOVED_MS, unless=moved | ~self.present)

    def delivered_elsewhere_h(self) -> pl.Series:
        """Hours from acceptance to `delivered_elsewhere_at`."""
        there = self.delivered_elsewhere_at != NEVER
        hours = (np.where(there, self.delivered_elsewhere_at, 0) - self.heads["picked_up_at"]) / HOUR_MS
        return nullable(hours, there & self.present)


def _later(times: Ints, by_ms: int, *, unless: Mask) -> Ints:
    """These times plus `by_ms`; NEVER if they are NEVER or `unless` holds."""
    none = unless | (times == NEVER)
    out: Ints = np.where(none, NEVER, np.where(none, 0, times) + by_ms)
    return out


def starts(adcodes: NDArray[np.int32], prefixes: tuple[str, ...]) -> Mask:
    """Which six-digit codes start with one of the prefixes."""
    out = np.zeros(len(adcodes), dtype=np.bool_)
    for size in {len(prefix) for prefix in prefixes}:
        some = [int(prefix) for prefix in prefixes if len(prefix) == size]
        out |= np.isin(adcodes // 10 ** (6 - size), some)
    return out


def _time(times: Ints) -> pl.Series:
    return nullable(times, times != NEVER)


_DEADLINES: Final[dict[str, Callable[[Journeys], Ints]]] = {
    "departed_uninspected": Journeys.uninspected_until,
    "doubtful_departures": Journeys.passed_until,
    "second_xray_missing": Journeys.second_xray_until,
    "unregistered_24h": Journeys.unregistered_until,
    "unmoved_48h": Journeys.unmoved_until,
}
ABSENCES: Final = frozenset(_DEADLINES)
"""The columns that have a deadline."""

_BUILD: Final[dict[str, Callable[[Journeys], pl.Series]]] = {
    "scans": lambda journeys: journeys.counted(True),
    "inspections": lambda journeys: journeys.counted(False),
    "first_scan_at": lambda journeys: _time(journeys.first_scan_at),
    "departed_at": lambda journeys: _time(journeys.departed_at),
    "departed_uninspected": lambda journeys: journeys.answer("departed_uninspected"),
    "doubtful_departures": Journeys.doubtful_departures,
    "home_delivery_at": lambda journeys: _time(journeys.home_delivery_at),
    "second_xray_missing": lambda journeys: journeys.answer("second_xray_missing", journeys.present),
    "weight_change_g": Journeys.weight_change_g,
    "unregistered_24h": lambda journeys: journeys.answer("unregistered_24h"),
    "unmoved_48h": lambda journeys: journeys.answer("unmoved_48h", journeys.present),
    "delivered_elsewhere": lambda journeys: nullable(journeys.delivered_elsewhere_at != NEVER, journeys.present),
    "delivered_elsewhere_h": Journeys.delivered_elsewhere_h,
    "open_box_s": Journeys.open_box_s,
}
