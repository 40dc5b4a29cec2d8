"""Watermarks for expiry: how far event time has come, so that state that lies far enough behind may expire.

Timers go by the newest event. Expiry must not: one topic may be read days ahead of the others, for instance while a
backlog or a replay is read, and a single event with a false date would expire all state. So each source of events has a
watermark of its own, the median time of its last events, and expiry goes by the lowest watermark of the sources that
still have more to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streams.flow.partitions import present

Ints = NDArray[np.int64]
Source = tuple[str, int]
"""A topic and a partition."""

EVENTS: Final = 256
"""The median is taken of so many events of a source, the last to arrive."""
EVENTS_MIN: Final = 32
"""A source with fewer events has no watermark yet."""


class _Watermark:
    """Event time at one source, epoch ms; it never falls. 0: not known."""

    __slots__ = ("_times", "at", "heard")

    def __init__(self) -> None:
        self._times = np.zeros(EVENTS, dtype=np.int64)
        self.heard = 0
        self.at = 0

    def hear(self, times: Ints) -> None:
        if len(times) > EVENTS:
            times = times[np.linspace(0, len(times) - 1, EVENTS).astype(np.int64)]
        self._times[(self.heard + np.arange(len(times))) % EVENTS] = times
        self.heard += len(times)
        if self.heard >= EVENTS_MIN:
            known = self._times[: min(self.heard, EVENTS)]
            self.at = max(self.at, int(np.partition(known, len(known) // 2)[len(known) // 2]))


class Watermarks:
    """The watermarks of all sources of a worker."""

    def __init__(self) -> None:
        self._watermarks: dict[Source, _Watermark] = {}
        self.newest = 0
        """The highest watermark, epoch ms; 0: none is known."""

    def hear(self, topic: str, partitions: Sequence[int] | NDArray[np.integer], at: Ints) -> None:
        """Take in the times of events, in the order of arrival."""
        if len(at) == 0:
            return
        numbers = np.asarray(partitions)
        for number in present(numbers):
            watermark = self._watermarks.setdefault((topic, number), _Watermark())
            watermark.hear(at[numbers == number])
            self.newest = max(self.newest, watermark.at)

    def low(self, waiting: Iterable[Source]) -> int:
        """Event time, epoch ms, up to which everything has been read, late events aside; 0: not known.

        waiting: sources that still have more to read.
        """
        watermarks = (self._watermarks.get(source) for source in waiting)
        return min((watermark.at if watermark else 0 for watermark in watermarks), default=self.newest)

    def heard(self, source: Source) -> int:
        """How many events have come from this source."""
        watermark = self._watermarks.get(source)
        return watermark.heard if watermark else 0

    def close(self) -> None:
        """Drop all of them."""
        self._watermarks.clear()
        self.newest = 0
