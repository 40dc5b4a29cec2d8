"""Ctrl-C, SIGTERM and SIGHUP as exceptions, raised once and where they are not lost.

A signal may come while Polars' Rust code calls Python in passing. It takes whatever is raised there for an answer ("no
such attribute") and goes on, and the command with it, to its end. So where a library of `DEAF` is at work, the
exception is raised behind that call, in the code that made it. And Polars has a handler of its own below Python's: a
query that runs ends by a KeyboardInterrupt, and the signal comes here as well; a second exception would break off the
cleaning up after the first.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

DEAF: Final = {"polars", "numpy", "importlib"}  # the last, as an extension module that is imported is deaf as well


class Interrupt(KeyboardInterrupt):
    """A Ctrl-C that was seen here."""


def install() -> None:
    """The process's handlers of the three, but for what it was told to ignore, as under nohup."""
    signal.signal(signal.SIGTERM, stop)
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def stop(number: int, frame: FrameType | None) -> None:
    """The handler."""
    if number == signal.SIGHUP:  # it may come twice, of the shell and of the terminal, and the second amid cleaning up
        signal.signal(number, signal.SIG_IGN)
    if number == signal.SIGINT and _under_way():
        return
    end = Interrupt() if number == signal.SIGINT else SystemExit(128 + number)
    caller = _caller_of_the_deaf(frame)
    if caller is None:
        raise end
    caller.f_trace, caller.f_trace_opcodes = _raising(end), True
    sys.settrace(lambda *_: None)  # Python looks at f_trace while anything is traced


def _under_way() -> bool:
    """Whether a KeyboardInterrupt that did not begin here is being handled."""
    error = sys.exception()
    while error is not None and type(error) is not KeyboardInterrupt:
        error = error.__context__
    return error is not None


def _caller_of_the_deaf(frame: FrameType | None) -> FrameType | None:
    """Who called the outermost library of `DEAF`; None: none is at work."""
    caller = None
    while frame is not None:
        outer = frame.f_back
        if _deaf(frame) and outer is not None and not _deaf(outer):
            caller = outer
        frame = outer
    return caller


def _deaf(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] in DEAF


def _raising(end: BaseException) -> Callable[[FrameType, str, Any], None]:
    def traced(frame: FrameType, event: str, argument: Any) -> None:
        sys.settrace(None)
        frame.f_trace, frame.f_trace_opcodes = None, False
        if event == "exception" and isinstance(argument[1], KeyboardInterrupt):  # Polars' own
            return
        raise end

    return traced
