"""Steps of a long computation on all cores: calls out in order, results back in the same order, few under way at once.

The processes are spawned, so nothing of this one reaches them but what they are given. Ctrl-C and a terminal that is
closed are this process's affair: the others see neither, finish the call they are at, and end; they also end by
themselves when this process is gone.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from schemas.errors import WaybillError

R = TypeVar("R")
_AHEAD = 2  # calls that wait beyond those being made, so that no process idles


class PoolError(WaybillError):
    """A process that ended in the middle of its work; the message is one line."""


class Pool(Protocol):
    """Who makes the calls."""

    def each(self, step: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
        """What `step`, a method of the pool's tool, returns for each of `calls`, in order."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def pool(processes: int, tool: Callable[..., object], *arguments: object) -> Iterator[Pool]:
    """A pool of so many processes, each with a tool of its own: `tool(*arguments)`. One process is this one."""
    if processes == 1:
        yield _Alone(tool(*arguments))
        return
    context = multiprocessing.get_context("spawn")
    with _deaf_to_interrupts():  # multiprocessing's own process, that removes what is left, is spawned here
        executor = ProcessPoolExecutor(processes, context, _begin, (tool, arguments))
    try:
        with _one_polars_thread():
            yield _Many(executor, processes)
    except BrokenProcessPool as error:
        raise PoolError(
            "a process was killed in the middle of its work, probably out of memory; try fewer with --processes"
        ) from error
    except BaseException:
        for child in multiprocessing.active_children():  # what they are at is for nobody any more, and one cut off
            child.kill()  # while it was spoken to would wait for the rest for ever
        raise
    finally:
        executor.shutdown(cancel_futures=True)


class _Alone:
    def __init__(self, tool: object) -> None:
        self._tool = tool

    def each(self, step: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
        return (step(self._tool, *call) for call in calls)


class _Many:
    def __init__(self, executor: ProcessPoolExecutor, processes: int) -> None:
        self._executor = executor
        self._ahead = processes + _AHEAD

    def each(self, step: Callable[..., R], calls: Iterable[tuple[Any, ...]]) -> Iterator[R]:
        waiting: deque[Future[R]] = deque()
        for call in calls:
            with _deaf_to_interrupts():  # a process is spawned here, and inherits that
                waiting.append(self._executor.submit(_call, step, call))
            if len(waiting) >= self._ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_tool: Any = None


def _begin(tool: Callable[..., object], arguments: tuple[object, ...]) -> None:
    global _tool
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _tool = tool(*arguments)


def _call(step: Callable[..., R], call: tuple[Any, ...]) -> R:
    return step(_tool, *call)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_polars_thread() -> Iterator[None]:
    """Processes spawned here share the cores among themselves; a pool of threads in each would only get in the way."""
    name = "POLARS_MAX_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
