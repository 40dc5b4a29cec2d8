"""Waiting for what another process or thread does. No test asks how long anything takes: machines are busy."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 300.0  # what passes takes a fraction of it; what fails is given up then


def until(done: Callable[[], bool], said: Callable[[], str] = lambda: "still not so", *, every_s: float = 0.05) -> None:
    """Wait until `done` holds; fails with what is `said` by then. every_s: more where it takes a while to ask."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, said()
        time.sleep(every_s)
