"""Keeps one child process, and ends it when the process that asked for it is gone, however that ended.

    keeper.py OWNER_PID LOG REMOVE COMMAND...

Run as a script with nothing but the standard library. It writes the child's pid to standard output, then waits. The
child ends with the keeper by Linux's parent-death signal. Its owner cannot use that signal directly: it fires when the
*thread* that forked ends, and brokers are started from executors. REMOVE is a directory to remove once the owner is
gone, or empty.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY_S = 0.2
_WAKE = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main(owner: int, log: str, remove: str, command: list[str]) -> int:
    """Run `command` until it ends or `owner` does; returns the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAKE)
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAKE)  # a blocked signal stays blocked in what is executed
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    with open(log, "ab") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=before_exec, cwd=os.path.dirname(log)
        )
    print(child.pid, flush=True)
    os.close(sys.stdout.fileno())
    while child.poll() is None:
        if os.getppid() != owner:
            child.kill()
            child.wait()
            if remove:
                shutil.rmtree(remove, ignore_errors=True)
            return 1
        woken = signal.sigtimedwait(_WAKE, _LOOK_EVERY_S)
        if woken is not None and woken.si_signo != signal.SIGCHLD:
            child.terminate()
    return child.returncode


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]) & 0xFF)
