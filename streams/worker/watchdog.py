"""Ends a worker that makes no progress. Its pages report that first.

A worker makes no progress while records wait and nothing is committed, or while no broker answers. Times are counted on
a clock that stands still while the process is stopped, so a process that was stopped for an hour gets time to recover.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from schemas.errors import WaybillError
from streams.worker.host import Host

Lag = Callable[[], Awaitable[Mapping[tuple[str, int], int]]]
Answers = Callable[[], Awaitable[bool]]
log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
AWAY_S = 10.0  # after so long without an answer of a broker, a worker is not ready


class StuckError(WaybillError):
    """A worker has made no progress for too long. The message says for how long, and what it waited for."""


class Watchdog:
    """Watches one worker, and keeps its gauges.

    lag         records that are not committed, by (topic, partition); of those for which it is known
    answers     whether a broker answers now
    stalled_s   longest time without progress before `stalled` says so
    give_up_s   longest time before `run` raises StuckError
    fault       an error that cannot be recovered from; empty if there is none
    """

    def __init__(
        self,
        worker: Host,
        lag: Lag,
        answers: Answers,
        *,
        stalled_s: float,
        give_up_s: float,
        fault: Callable[[], str] = lambda: "",
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._worker = worker
        self._lag = lag
        self._answers = answers
        self._stalled_s = stalled_s
        self._give_up_s = give_up_s
        self._fault = fault
        self._look_every_s = look_every_s
        self.behind = 0  # records
        self._lags: dict[tuple[str, int], int] = {}  # last known
        self._commits = 0
        self._clock = 0.0  # seconds
        self._progress_at = 0.0
        self._answered_at = 0.0

    async def run(self) -> None:
        """Watch until cancelled. Raises StuckError."""
        looks = [asyncio.create_task(self._often(look)) for look in (self._look, self._ask)]
        try:
            await self._tick()
        finally:
            for each in looks:
                each.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    @property
    def away_s(self) -> float:
        """Seconds for which no broker has answered."""
        return self._clock - self._answered_at

    @property
    def fault(self) -> str:
        """Why the worker is about to end; empty if it is not."""
        return self._fault()

    @property
    def stalled(self) -> str:
        """Why it does not count as live; empty if it does."""
        return self._wrong(self._stalled_s)

    def _wrong(self, longest_s: float) -> str:
        # If a look hangs because the polling thread does, the time of the last progress also grows old.
        silent_s = self._clock - self._progress_at
        if self.away_s > longest_s:
            return f"no broker has answered for {self.away_s:.0f} s"
        if self._worker.ready and silent_s > longest_s:
            return f"{self.behind:,} records wait, and nothing was committed for {silent_s:.0f} s"
        return ""

    async def _tick(self) -> None:
        last = time.monotonic()
        said = False
        while True:
            await asyncio.sleep(self._look_every_s)
            if fault := self.fault:
                if said:
                    raise StuckError(fault)
                log.error("%s; ending", fault)
                said = True  # shown on the pages first
            now = time.monotonic()
            self._clock += min(now - last, 2 * self._look_every_s)
            last = now
            self._worker.metrics.broker_silent.set(self.away_s)
            if wrong := self._wrong(self._give_up_s):
                raise StuckError(wrong)

    async def _often(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await look()
            except Exception as error:  # a look that fails does not stop the worker; too many of them do
                log.warning("lag or broker unknown: %s", type(error).__name__)
            await asyncio.sleep(self._look_every_s)

    async def _ask(self) -> None:
        if await self._answers():
            self._answered_at = self._clock

    async def _look(self) -> None:
        """Update the gauges, and note progress."""
        worker, metrics = self._worker, self._worker.metrics
        lags = await self._lag()
        self.behind = sum(lags.values()) if worker.ready else 0
        if worker.ready:  # else the last values stay: an alarm on lag must not end with a rebalance
            self._lags = {place: records for place, records in self._lags.items() if place in worker.assigned}
            metrics.lag.clear()
        self._lags.update(lags)
        for (topic, partition), records in self._lags.items():
            metrics.lag.labels(topic, str(partition)).set(records)
        for store, size in worker.state_bytes().items():
            metrics.state_bytes.labels(store).set(size)
        if worker.ready:
            for store, entries in worker.state_entries().items():
                metrics.state_entries.labels(store).set(entries)
            for store, older in worker.state_older().items():
                metrics.older.labels(store).set(older)
        if not self.behind or worker.commits != self._commits:
            self._progress_at = self._clock
        self._commits = worker.commits
        free, size = worker.disk_bytes()
        metrics.disk_free.set(free)
        metrics.disk_size.set(size)
