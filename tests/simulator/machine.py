"""Processes that take turns, in a time of their own: whatever could happen at once happens in an order the seed gives.

A process has an event loop and threads. The loop is an asyncio loop without sockets or clock; what shipped code hands
to an executor becomes a simulated thread: a thread of the system that runs only while it holds the turn, and gives it
up at every effect. So one seed is one sequence of steps, the same on every machine.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

_TURNS_MAX = 20_000  # without a moment's passing
WALL_S = 1_800_000_000.0  # the wall clock when a run begins: far behind all events, so that every deadline can pass


class Killed(BaseException):
    """The process is dead: nothing of it goes on, and no handler of its code may stop this."""


class SpinningError(Exception):
    """Something goes on and on without waiting for anything."""


class Carrier(threading.Thread):
    """A thread of the system that runs simulated ones, one after the other."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.work: Callable[[], None] | None = None
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self.start()

    def run(self) -> None:
        while True:
            self._go.acquire()
            assert self.work is not None
            self.work()
            self.work = None
            self._back.release()

    def turn(self) -> None:
        """Let it run until it gives up its turn, or ends."""
        self._go.release()
        self._back.acquire()

    def rest(self) -> None:
        """Give up the turn; for itself."""
        self._back.release()
        self._go.acquire()


_idle: list[Carrier] = []


class Thread:
    """One call that may be interrupted at its effects."""

    def __init__(self, process: Process, call: Callable[[], None]) -> None:
        self.process = process
        self.ends_at = 0.0  # of the wait it is in
        self.until: Callable[[], bool] | None = None
        self.done = False
        self._call = call
        self._seen = -1
        self._carrier = _idle.pop() if _idle else Carrier()
        self._carrier.work = self._run

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
        """Whether it could go on now."""
        world = self.process.world
        if world.now >= self.ends_at:
            return True
        if self.until is None or self._seen == world.changes:
            return False
        self._seen = world.changes
        return self.until()

    def turn(self) -> None:
        """Run to its next effect or to its end."""
        world = self.process.world
        world.current, world.here = self, self.process
        self._carrier.turn()
        world.current = world.here = None
        if self.done:
            world.ended = True
            _idle.append(self._carrier)

    def wait(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Give up the turn, until that holds or so much time has passed; for itself."""
        if self.process.dead:
            raise Killed
        self.ends_at, self.until, self._seen = self.process.world.now + seconds, until, -1
        self._carrier.rest()
        if self.process.dead:
            raise Killed


class Loop(asyncio.AbstractEventLoop):
    """The event loop of one process, as much of it as is used."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.handles: deque[asyncio.Handle] = deque()
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self._lanes: dict[object, deque[Callable[[], None]]] = {}

    def step(self) -> None:
        """Run what waits now; threads have their turn before what follows from it."""
        world = self._process.world
        world.here = self._process
        asyncio._set_running_loop(self)
        try:
            for _ in range(len(self.handles) if world.rng.random() < 0.8 else 1):
                handle = self.handles.popleft()
                if not handle.cancelled():
                    handle._run()
                if self._process.dead:
                    return
        finally:
            asyncio._set_running_loop(None)
            world.here = None

    def wake(self) -> None:
        """Let timers go off whose time has come."""
        now = self.time()
        while self.timers and self.timers[0][0] <= now:
            self.handles.append(heapq.heappop(self.timers)[2])

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self.handles.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self.timers, (when, self._process.world.number(), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def time(self) -> float:
        return self._process.world.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """On a thread: those of one executor one after the other, those of the default one side by side."""
        future = self.create_future()

        def call() -> None:
            if not future.cancelled():
                try:
                    done, error = func(*args), None
                except BaseException as raised:
                    if isinstance(raised, Killed):
                        raise
                    done, error = None, raised
                self.call_soon(_answer, future, done, error)
            following()

        def following() -> None:
            lane.popleft()
            if lane:
                self._process.thread(lane[0])

        lane = deque[Callable[[], None]]() if executor is None else self._lanes.setdefault(executor, deque())
        lane.append(call)
        if len(lane) == 1:
            self._process.thread(call)
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._process.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._process.dead and "exception" in context and "was destroyed" not in context.get("message", ""):
            self._process.unhandled.append(context["exception"])


def _answer(future: asyncio.Future[Any], done: object, error: BaseException | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(done)
        else:
            future.set_exception(error)


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

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a task on the event loop."""
        return self.loop.create_task(work)

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
            with suppress(BaseException):
                task.get_coro().close()  # type: ignore[union-attr]
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
        """Add a line to what happened."""
        self.trace.append(f"{self.now - 1_000.0:9.3f}  {text}")

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
            turns = self._turns()
            if turns:
                turns[self.rng.randrange(len(turns))]() if len(turns) > 1 else turns[0]()
                if self.ended:
                    self._bury()
                continue
            self.now = min(self._next(), limit)
            spun = 0
            if self.now == limit:
                return

    def _turns(self) -> list[Callable[[], None]]:
        turns: list[Callable[[], None]] = []
        for process in self.processes:
            if process.stopped:
                continue
            loop = process.loop
            if loop.timers and loop.timers[0][0] <= self.now:
                loop.wake()
            if loop.handles:
                turns.append(loop.step)
            for thread in process.threads:
                if thread.ready():
                    turns.append(thread.turn)
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
