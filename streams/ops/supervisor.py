"""Several workers on one machine: start them, start anew those that die, end with all of them.

The children die with their parent, also when it is killed: Linux sends each a signal then. It is sent when the
*thread* that started them ends, so `supervise` and `start` are for a process's main thread.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

STABLE_S = 120.0  # a child that lived so long has started well; its earlier deaths are forgotten
GIVE_UP_AFTER_S = 300.0  # of quick deaths in a row: after them there is no point in going on
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
STOP_S = 45.0  # for a clean end: longer than a transaction may take
# A process of this very code, whatever folder it is started in.
WAYBILL = (sys.executable, "-P", "-m", "streams.cli")
WRONG_USE = 2  # exit code of a child whose settings are wrong: another start would not mend them

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 0.5
_STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WAKE = {signal.SIGCHLD, *_STOP}


@dataclass(slots=True)
class Child:
    """A worker to keep running: its name, command line, and variables, which others on the machine cannot list."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0  # in a row
    dying_since: float = 0.0  # the first of them
    due_at: float = 0.0


@dataclass(slots=True)
class _Outcome:
    code: int = 0
    stopping: bool = False


def supervise(
    children: Sequence[Child],
    *,
    give_up_after_s: float = GIVE_UP_AFTER_S,
    stable_s: float = STABLE_S,
    stop_s: float | None = None,
) -> int:
    """Keep the children running until SIGTERM, SIGINT or SIGHUP, which are passed on as SIGTERM; then wait for all.

    Returns 0 when all ended cleanly after a signal. A child that has not once lived for `stable_s` during
    `give_up_after_s` of starting it anew, or says that its settings are wrong, ends all the others; then it is 1.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WAKE)
    outcome = _Outcome()
    try:
        while not outcome.stopping:
            for child in children:
                _tend(child, outcome, give_up_after_s, stable_s)
            woken = signal.sigtimedwait(_WAKE, _LOOK_EVERY_S)
            if woken is not None and woken.si_signo in _STOP:
                log.info("stopping %s workers", len(children))
                outcome.stopping = True
    finally:
        if not _stop(children, STOP_S if stop_s is None else stop_s):
            outcome.code = 1
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return outcome.code


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that is killed when this one is gone, and that gets no Ctrl-C from the terminal itself.

    env: further variables. output: where its output and errors go; None: where ours go.
    """
    owner = os.getpid()
    path = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAKE)  # a blocked signal stays blocked in what is executed
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != owner:  # gone between fork and here
                os._exit(1)

    return subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **(env or {})},
        start_new_session=True,
        preexec_fn=before_exec,
    )


def stop(process: subprocess.Popen[bytes], *, within_s: float = STOP_S) -> int:
    """End a process: SIGTERM, and SIGKILL when it takes longer than `within_s`. Returns its exit code."""
    if process.poll() is None:
        process.terminate()
    return _end(process, within_s)


def _tend(child: Child, outcome: _Outcome, give_up_after_s: float, stable_s: float) -> None:
    """Start a child that is due, or note that it died."""
    now = time.monotonic()
    if child.process is None:
        if now >= child.due_at and not outcome.stopping:
            child.process = start(child.command, env=child.env)
            child.started_at = now
            log.info("worker %s: process %s", child.name, child.process.pid)
        return
    code = child.process.poll()
    if code is None:
        return
    child.process = None
    child.deaths = 1 if now - child.started_at > stable_s else child.deaths + 1
    child.dying_since = now if child.deaths == 1 else child.dying_since
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    if code == WRONG_USE or now - child.dying_since > give_up_after_s:
        times = f", {child.deaths} times in {now - child.dying_since:.0f} s" if child.deaths > 1 else ""
        log.error("worker %s ended with %s%s; giving up", child.name, how, times)
        outcome.code, outcome.stopping = 1, True
        return
    wait = BACK_OFF_S[min(child.deaths, len(BACK_OFF_S)) - 1]
    child.due_at = now + wait
    log.warning("worker %s ended with %s; starting it anew in %.1f s", child.name, how, wait)


def _stop(children: Sequence[Child], within_s: float) -> bool:
    """End all children at once, and kill those that take longer; True when each ended cleanly."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + within_s
    codes = [_end(process, max(deadline - time.monotonic(), 0.1)) for process in running]
    return not any(codes)


def _end(process: subprocess.Popen[bytes], within_s: float) -> int:
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
