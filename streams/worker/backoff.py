"""How long to wait after failures, and when to give up."""

from __future__ import annotations

import time


class Backoff:
    """Waits that grow with each failure in a row, until a time limit."""

    def __init__(self, ends_after_s: float) -> None:
        self._ends_after_s = ends_after_s
        self._failures = 0
        self._since = 0.0

    def after(self, error: Exception) -> float:
        """Seconds to wait before the next try. Raises `error` if the first of these failures is too long ago."""
        now = time.monotonic()
        if not self._failures:
            self._since = now
        if now - self._since > self._ends_after_s:
            raise error
        self._failures += 1
        return float(min(_WAIT_S * 2 ** (self._failures - 1), _WAIT_S_MAX))

    def renew(self) -> None:
        """Start anew, after a success."""
        self._failures = 0


_WAIT_S, _WAIT_S_MAX = 0.1, 5.0
