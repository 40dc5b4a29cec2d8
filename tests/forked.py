"""Processes that begin where what workers import and read is there already: that takes a second of CPU each time.

One process for each of pytest's has all that (`tests.preloaded`), and forks itself for each that is started: the fork
server of `multiprocessing`. From there on they are processes like others: with an environment, arguments, an exit code
and signals of their own, to be killed at any moment. That `waybill worker` starts by itself is tested in
tests/broker/test_cli_worker.py.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.waiting import PATIENCE_S

ROOT: Final = Path(__file__).parents[1]
_PR_SET_PDEATHSIG: Final = 1
_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.preloaded"])


class Forked:
    """`python -m module arguments…`, begun by a fork. The methods are those of `subprocess.Popen`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        errors: Path | None = None,
        cwd: Path | None = None,
    ) -> None:
        """command: begins with `python -m`. log: what it prints is added to this file; errors: to this one."""
        assert tuple(command[:2]) == (sys.executable, "-m"), command
        given = {"env": dict(env), "log": log, "errors": errors or log, "cwd": cwd or Path.cwd()}
        self._process = _FORKS.Process(target=_run, args=(*command[2:],), kwargs=given)
        self._process.daemon = True  # ends with pytest
        with contextlib.chdir(ROOT):  # from where the fork server, which the first one starts, finds `tests`
            self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Its exit code, once it has ended; minus the signal if that ended it."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Its exit code. Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Any signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


def waybill(*arguments: str, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """`waybill` with these arguments, as a process that is over."""
    return ended("streams.cli", *arguments, env=env, cwd=cwd)


def ended(module: str, *arguments: str, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """`python -m module` with these arguments, as a process that is over."""
    with TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")
        process = Forked((sys.executable, "-m", module, *arguments), env=env, log=out, errors=errors, cwd=cwd)
        code = process.wait(PATIENCE_S)
        return subprocess.CompletedProcess(arguments, code, out.read_bytes(), errors.read_bytes())


def _run(module: str, *arguments: str, env: Mapping[str, str], log: Path, errors: Path, cwd: Path) -> None:
    os.setsid()  # no Ctrl-C from the terminal
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the fork server ends with pytest
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    for file, descriptor in ((log, 1), (errors, 2)):
        to = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(to, descriptor)
        os.close(to)
    if "PYTHONFAULTHANDLER" in env:
        faulthandler.enable()
    sys.argv[1:] = arguments
    code: object = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)
