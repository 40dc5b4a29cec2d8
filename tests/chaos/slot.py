"""A worker that is to run, process after process."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Self

from tests.chaos.schedule import SESSION_S
from tests.forked import Forked
from tests.waiting import PATIENCE_S
from tests.workers import READY, WAYBILL, Process, Worker

GROUP = "waybill-sentinel"
# A small cache, so that the store itself is read, and a session that faults can outlast. Partitions fall idle at once:
# what is missing is then decided in the middle of all this, taken back, and in the end decided as `judge` does.
SETTINGS: dict[str, object] = {
    "group": GROUP,
    "session_timeout_ms": int(SESSION_S * 1_000),
    "transaction_timeout_ms": 10_000,
    "hot_bytes_max": 1 << 20,
    "state_cache_mb": 8,
    "idle_partition_s": 1,
    "flood_share_max": 0,  # alerts are held against `waybill judge`, which holds none back
}
# A worker ends by itself after five transaction time-outs (`Settings.stop_s`), and says where it hung.
STOPPED_S = 60.0
JUMPING = (sys.executable, "-m", "tests.hurt", "clock")
LET_GO = "gave its partitions back"  # what a worker says when they are taken from it
_WORDS_MAX = 240
Settings = Mapping[str, object]


class Slot(Worker):
    """A worker that is to run: `waybill worker` under one name, with folder and log, process after process."""

    def __init__(self, servers: str, folder: Path, name: str, settings: Settings) -> None:
        super().__init__(servers, folder, command=WAYBILL, instance=name, **{**SETTINGS, **settings})
        self.name = name
        self.folder = folder
        self.wanted = False  # it is to run now
        self.due_at = 0.0  # when to start it
        self.killed = False  # by a fault, without its process having been taken away yet
        self.jumps = False  # its wall clock

    @property
    def state(self) -> Path:
        """Its local state."""
        return self.folder / GROUP / self.name

    @property
    def process(self) -> Process | None:
        """The process, if it was started and not taken away."""
        return self._process

    def start(self) -> Self:
        """Start it. Should this process be killed, it dies as well."""
        command = JUMPING if self.jumps else WAYBILL
        self._process = Forked(command, env={**self._env, "PYTHONFAULTHANDLER": "1"}, log=self.log)
        return self

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if there is anything to receive it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def end(self) -> None:
        """kill -9, if it still runs."""
        self.send(signal.SIGKILL)
        self.take()

    def take(self) -> Process | None:
        """Its process, which is no longer this slot's; waited for where it was killed."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.wait(PATIENCE_S)
        return process

    def give_up(self) -> Process | None:
        """The running process, for someone else to see to."""
        process, self._process = self._process, None
        return process

    def revoked_in_restore(self) -> int:
        """How often its partitions were taken from it before their state was there."""
        said = re.findall(f"starting: group|{READY}|{LET_GO}", self.told(10**9))
        return sum(last == LET_GO and before != READY for before, last in pairwise(said))

    def last_words(self) -> str:
        """Why it ended, as its log says."""
        found = re.findall(r"(?:error:| ERROR .*?:) (?!FAIL)(\S.*)", self.told(12))
        return found[-1].strip()[:_WORDS_MAX] if found else "nothing said"
