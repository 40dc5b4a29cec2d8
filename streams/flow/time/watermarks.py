"""How far event time has come for what is read, so that what lies far enough behind it may be forgotten.

Deadlines go by the newest event. Forgetting must not: of three topics one may be read days ahead of the others, as when
a backlog is worked off or history is replayed, and one event with a false date would take all state with it. So each
place that events come from has a clock of its own, the median of its last events, and what is forgotten goes by the
slowest of those from which more is to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Source = tuple[str, int]
"""A topic and a partition."""

EVENTS: Final = 256
"""Of so many events of a source, the newest to arrive, the median is taken."""
EVENTS_MIN: Final = 32
"""Of a source with fewer nothing is known."""


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
    """The clocks of all sources of a worker."""

    def __init__(self) -> None:
        self._watermarks: dict[Source, _Watermark] = {}
        self.newest = 0
        """The furthest of them, epoch ms; 0: none is known."""

    def hear(self, topic: str, partitions: Sequence[int] | NDArray[np.integer], at: Ints) -> None:
        """Take in the times of events, in the order of arrival."""
        if len(at) == 0:
            return
        numbers = np.asarray(partitions)
        for number in np.unique(numbers).tolist():
            clock = self._watermarks.setdefault((topic, number), _Watermark())
            clock.hear(at[numbers == number])
            self.newest = max(self.newest, clock.at)

    def low(self, waiting: Iterable[Source]) -> int:
        """Event time up to which all has been read, but for latecomers; waiting: sources of which more is to come.

        0: that is not known.
        """
        watermarks = (self._watermarks.get(source) for source in waiting)
        return min((clock.at if clock else 0 for clock in watermarks), default=self.newest)

    def heard(self, source: Source) -> int:
        """How many events have come from there."""
        clock = self._watermarks.get(source)
        return clock.heard if clock else 0

    def close(self) -> None:
        """Forget all of them."""
        self._watermarks.clear()
        self.newest = 0
