"""How often something may be done: at most so many times within so many seconds, for each name."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

_NAMES_MAX: Final = 10_000


class Limiter:
    """Times by name, in memory. clock: seconds."""

    def __init__(self, times: int, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._times, self._within_s, self._clock = times, within_s, clock
        self._noted: dict[str, deque[float]] = {}

    def allows(self, name: str) -> bool:
        """Whether it may be done once more."""
        noted, now = self._noted.get(name, deque()), self._clock()
        while noted and noted[0] <= now - self._within_s:
            noted.popleft()
        return len(noted) < self._times

    def note(self, name: str) -> None:
        """Count it once."""
        while len(self._noted) >= _NAMES_MAX and name not in self._noted:
            del self._noted[next(iter(self._noted))]
        self._noted.setdefault(name, deque(maxlen=self._times)).append(self._clock())
