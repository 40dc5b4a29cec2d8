"""`waybill topics grow`, killed at a moment: `python -m tests.growing PARTITIONS PHASE NUMBER before|after`; and
`waybill erase`, with the file that says who in place of partitions.

PHASE is how the text begins that the command says as a phase begins, and NUMBER counts the transactions in it, and the
requests for partitions. Small transactions, so that there are some. Without a moment it runs to its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from streams.cli.erase import given_in
from streams.kafka.cluster import Cluster
from streams.kafka.producer import Transactions
from streams.settings import load
from streams.worker import grow, stopped, unread
from streams.worker.erase import Erasure
from tests.forked import ended

ROOT = Path(__file__).parents[1]


def growing(
    servers: str, state_dir: Path, group: str, partitions: int | Path, *moment: str, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run it as a process; of one that was killed the code is -9."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    env |= {"KAFKA_BOOTSTRAP_SERVERS": servers, "WAYBILL_GROUP": group, "WAYBILL_STATE_DIR": str(state_dir),
            "WAYBILL_SESSION_TIMEOUT_MS": "2000",
            **{f"WAYBILL_{name.upper()}": str(value) for name, value in settings.items()}}  # fmt: skip
    done = ended("tests.growing", str(partitions), *moment, env=env, cwd=ROOT)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class _Moments:
    """Kills this process when a moment has come."""

    def __init__(self, phase: str, number: int, side: str) -> None:
        self._wanted = phase, number, side
        self._phase = ""
        self._done: Counter[str] = Counter()

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self._phase = text

    def around(self, owner: type, name: str) -> None:
        call: Callable[..., Any] = getattr(owner, name)

        @wraps(call)
        def wrapped(*args: Any, **options: Any) -> Any:
            self._done[self._phase] += 1
            self._look("before")
            found = call(*args, **options)
            self._look("after")
            return found

        setattr(owner, name, wrapped)

    def _look(self, side: str) -> None:
        phase, number, wanted = self._wanted
        if side == wanted and phase and self._phase.startswith(phase) and self._done[self._phase] == number:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """See the module."""
    partitions, *moment = sys.argv[1:]  # or a file
    moments = _Moments(moment[0], int(moment[1]), moment[2]) if moment else _Moments("", 0, "")
    moments.around(Transactions, "commit")
    moments.around(Cluster, "grow")
    grow._COMMIT_BYTES = unread._COMMIT_BYTES = 1
    unread._ROWS = 30
    if moment:  # whoever reads what is left open by the kill waits for its time-out
        stopped._TRANSACTION_MS = 10_000
    if not partitions.isdigit():
        with Erasure(load(), given_in(Path(partitions)), say=moments.say, advance=lambda *_: None) as erasure:
            erasure.run(erasure.look(), delete_events=True)
        return
    with grow.Growth(load(), int(partitions), say=moments.say, advance=lambda *_: None) as growth:
        growth.run(growth.look(), 0)


if __name__ == "__main__":
    main()
