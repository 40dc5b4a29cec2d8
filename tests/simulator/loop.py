"""The event loop of a simulated process: asyncio's tasks and futures, without sockets and without a clock."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulator.threads import Killed

if TYPE_CHECKING:
    from tests.simulator.machine import Process


class Loop:
    """The event loop of one process, as much of it as is used."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._self: Any = self  # whatever asyncio asks of a loop here, it has
        self.handles: deque[asyncio.Handle] = deque()
        self.timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self._lanes: dict[object, deque[Callable[[], None]]] = {}

    def step(self) -> None:
        """Run what waits now; threads have their turn before what follows from it."""
        world = self._process.world
        world.here = self._process
        asyncio._set_running_loop(self._self)
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
        handle = asyncio.Handle(callback, args, self._self, context)
        self.handles.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self._self, context)
        heapq.heappush(self.timers, (when, self._process.world.number(), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def time(self) -> float:
        return self._process.world.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self._self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._self, name=name, context=context)
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
