"""Measures for pages: computed on a thread of their own, and shown until they are five minutes old.

They take seconds where there are many clues. So whoever asks sees those that are there while new ones are made, and who
asks first is told that they are being made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from desk.measures.report import Measures
from desk.scope import Scope

FRESH_S: Final = 300.0
WAIT_S: Final = 1.0
"""So long a page waits for the first figures."""
_KEPT: Final = 64  # periods and scopes whose figures are kept

Key = tuple[int, Scope]


@dataclass(frozen=True, slots=True)
class _Made:
    """Figures, the newest that are there, and those that are being made."""

    begun_at: float
    coming: Future[Measures]
    last: Measures | None = None


class Figures:
    """Measures by period and scope. Threads share it; `make` is called on one thread of its own."""

    def __init__(self, make: Callable[[int, Scope], Measures], clock: Callable[[], float] = time.monotonic) -> None:
        self._make, self._clock = make, clock
        self._lock = threading.Lock()
        self._made: dict[Key, _Made] = {}
        self._thread = ThreadPoolExecutor(1, "measures")

    def close(self) -> None:
        """Wait until `make` has returned, and call it no more."""
        self._thread.shutdown(cancel_futures=True)

    def of(self, days: int, scope: Scope, wait_s: float = WAIT_S) -> tuple[Measures | None, bool]:
        """Measures of clues opened in the newest `days`, 0: of all; and whether newer ones are being made.

        wait_s: for the first ones. Raises what `make` raises.
        """
        key = days, scope
        with self._lock:
            made = self._begun(key)
            coming, last = made.coming, made.last
        if last is None:
            wait([coming], wait_s)
        if not coming.done():
            return last, True
        if coming.exception() is not None:
            with self._lock:  # so that whoever asks next tries again
                self._made.pop(key, None)
        return coming.result(), False

    def _begun(self, key: Key) -> _Made:
        made = self._made.pop(key, None)
        if made is None:
            made = _Made(self._clock(), self._thread.submit(self._make, *key))
        elif made.coming.done() and self._clock() > made.begun_at + FRESH_S:
            made = _Made(self._clock(), self._thread.submit(self._make, *key), made.coming.result())
        self._made[key] = made
        if len(self._made) > _KEPT:
            self._made.pop(next(iter(self._made)))
        return made
