"""Processes that take turns, in a time of their own: whatever could happen at once happens in an order the seed gives.

A process has an event loop and threads. The loop is an asyncio loop without sockets or clock; what shipped code hands
to an executor becomes a simulated thread: a stack of its own (a greenlet) that runs only while it has the turn, and
gives it up at every effect. So one seed is one sequence of steps, the same on every machine.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from tests.simulator.loop import Loop
from tests.simulator.threads import Thread

_TURNS_MAX = 20_000  # without a moment's passing
_FOLDER = re.compile(r"/\S*waybill-simulator-\w+")
WALL_S = 1_800_000_000.0  # the wall clock when a run begins: far behind all events, so that every deadline can pass


class SpinningError(Exception):
    """Something goes on and on without waiting for anything."""


class Process:
    """One process. `stopped`: by a signal, until it is told to go on."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.loop = Loop(self)
        self.threads: list[Thread] = []
        self.dead = False
        self.stopped = False
        self.unhandled: list[BaseException] = []
        world.processes.append(self)

    def thread(self, call: Callable[[], None]) -> None:
        """Begin a thread."""
        if not self.dead:
            self.threads.append(Thread(self, call))

    def start(self, worker: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task on the event loop, which is not to fail."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self.unhandled.append(error)

        task = self.loop.create_task(worker)
        task.add_done_callback(ended)
        return task

    def kill(self) -> None:
        """End it here and now; what it holds is unwound by `bury`, where nothing has an effect any more."""
        self.dead = self.world.ended = True
        self.world.changed()

    def bury(self) -> None:
        """Unwind the threads and tasks of a dead process."""
        for thread in self.threads:
            if not thread.done:
                thread.turn()
            assert thread.done
        self.threads.clear()
        self.loop.handles.clear()
        for task in self.loop.tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            assert isinstance(coroutine, Coroutine)
            with suppress(BaseException):
                coroutine.close()
        self.loop.tasks.clear()


class World:
    """Time, chance, and whose turn it is."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"simulator {seed}")
        self.now = 1_000.0
        self.ended = False  # a thread or a process did
        self.changes = 0  # that something may have been waiting for
        self.processes: list[Process] = []
        self.current: Thread | None = None  # whose turn it is; None: that of an event loop
        self.here: Process | None = None
        self.trace: list[str] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def number(self) -> int:
        return next(self._numbers)

    def changed(self) -> None:
        """Have those looked at that wait for something."""
        self.changes += 1

    def note(self, text: str) -> None:
        """Add a line to what happened. The folder of this run has a name of its own, which errors tell."""
        self.trace.append(f"{self.now - 1_000.0:9.3f}  {_FOLDER.sub('', text)}")

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something happen by itself."""
        heapq.heappush(self._timers, (self.now + seconds, self.number(), call))

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """For the thread whose turn it is; an event loop does not wait."""
        if self.current is not None:
            self.current.wait(seconds, until)

    def run(self, seconds: float) -> None:
        """Take turns for so much time."""
        limit = self.now + seconds
        spun = 0
        while True:
            spun += 1
            if spun > _TURNS_MAX:
                raise SpinningError("turns are taken, and no time passes")
            while self._timers and self._timers[0][0] <= self.now:
                heapq.heappop(self._timers)[2]()
            turns = self._steps_count()
            if turns:
                turns[self.rng.randrange(len(turns))]() if len(turns) > 1 else turns[0]()
                if self.ended:
                    self._bury()
                continue
            self.now = min(self._next(), limit)
            spun = 0
            if self.now == limit:
                return

    def _steps_count(self) -> list[Callable[[], None]]:
        turns: list[Callable[[], None]] = []
        now = self.now
        for process in self.processes:
            if process.stopped:
                continue
            loop = process.loop
            if loop.timers and loop.timers[0][0] <= now:
                loop.wake()
            if loop.handles:
                turns.append(loop.step)
            turns += [thread.turn for thread in process.threads if thread.ends_at <= now or thread.ready()]
        return turns

    def _next(self) -> float:
        times = [self._timers[0][0]] if self._timers else []
        for process in self.processes:
            if not process.stopped:
                if process.loop.timers:
                    times.append(process.loop.timers[0][0])
                times += [thread.ends_at for thread in process.threads]
        return min(times, default=float("inf"))

    def _bury(self) -> None:
        self.ended = False
        for process in self.processes:
            if process.threads and any(thread.done for thread in process.threads):
                process.threads = [thread for thread in process.threads if not thread.done]
        while dead := [process for process in self.processes if process.dead]:
            for process in dead:
                self.processes.remove(process)
                process.bury()

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.dead = True
        self._bury()


class Clock:
    """Stands for the module `time` in the modules that ask for it."""

    world: World

    def monotonic(self) -> float:
        return self.world.now

    def time(self) -> float:
        return WALL_S + self.world.now

    def sleep(self, seconds: float) -> None:
        self.world.wait(seconds)
