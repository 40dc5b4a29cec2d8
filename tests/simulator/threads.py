"""Threads that run one at a time, and stand still wherever the world takes their turn away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from tests.simulator.machine import Process


class Killed(BaseException):
    """The process is dead: nothing of it goes on, and no handler of its code may stop this."""


class Thread:
    """One call that may be interrupted at its effects."""

    def __init__(self, process: Process, call: Callable[[], None]) -> None:
        self.process = process
        self.ends_at = 0.0  # of the wait it is in
        self.until: Callable[[], bool] | None = None
        self.done = False
        self._call = call
        self._seen = -1
        self._stack = greenlet(self._run)

    def _run(self) -> None:
        try:
            if not self.process.dead:
                self._call()
        except Killed:
            pass
        except BaseException as error:
            self.process.unhandled.append(error)
        self.done = True

    def ready(self) -> bool:
        """Whether it could go on before its time is over."""
        world = self.process.world
        if self.until is None or self._seen == world.changes:
            return False
        self._seen = world.changes
        if self.until():
            self.ends_at = world.now  # it stays so, however many others have their turn first
            return True
        return False

    def turn(self) -> None:
        """Run to its next effect or to its end."""
        world = self.process.world
        world.current, world.here = self, self.process
        self._stack.parent = getcurrent()
        self._stack.switch()
        world.current = world.here = None
        if self.done:
            world.ended = True

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Give up the turn, until that holds or so much time has passed; for itself."""
        if self.process.dead:
            raise Killed
        self.ends_at, self.until, self._seen = self.process.world.now + seconds, until, -1
        self._stack.parent.switch()
        if self.process.dead:
            raise Killed
