"""Waiting for what another process or thread does. No test asks how long anything takes: machines are busy."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 300.0  # what passes takes a fraction of it; what fails is given up then


def until(done: Callable[[], bool], said: Callable[[], str] = lambda: "still not so") -> None:
    """Wait until `done` holds; fails with what is `said` by then."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)
