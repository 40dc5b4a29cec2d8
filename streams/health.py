"""A worker's pages over HTTP: /metrics for Prometheus, /live and /ready for whoever keeps it running.

/ready  200 when partitions are assigned and the state has caught up with the changelog, else 503.
/live   200 while the worker makes progress or has nothing to do; 503 when records wait and nothing has been committed
        for `stalled_s`. A worker that is not ready counts as live: restoring may take long, and a kill starts it anew.

Both answer JSON: {"ok": bool, "why": text, "lag_records": int, "partitions": int}.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

from streams.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from streams.work import Work

Lag = Callable[[], Awaitable[Mapping[tuple[str, int], int]]]
log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0


class HealthError(RuntimeError):
    """The pages cannot be served; the message names address and port."""


class Health:
    """The pages of one worker, served on the event loop that it runs on.

    lag         records not yet committed, by (topic, partition)
    stalled_s   longest time without a commit while records wait
    """

    def __init__(self, work: Work, lag: Lag, *, stalled_s: float, look_every_s: float = LOOK_EVERY_S) -> None:
        self._work = work
        self._lag = lag
        self._stalled_s = stalled_s
        self._look_every_s = look_every_s
        self._behind = 0
        self._commits = 0
        self._progress_at = time.monotonic()
        self._runner: web.AppRunner | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> str:
        """Begin to serve; returns the URL. Port 0 takes any free one. Raises HealthError."""
        pages = web.Application()
        pages.add_routes(
            [web.get("/metrics", self._metrics), web.get("/live", self._live), web.get("/ready", self._ready)]
        )
        self._runner = web.AppRunner(pages, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise HealthError(
                f"web_port: {port} on {host} {why}; name another with --web-port or WAYBILL_WEB_PORT"
            ) from None
        self._progress_at = time.monotonic()
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        return f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """End the pages."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        if self._runner is not None:
            await self._runner.cleanup()

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:  # a look that fails is no reason to stop a worker; `/live` sees what follows
                log.warning("lag unknown: %s", type(error).__name__)
            await asyncio.sleep(self._look_every_s)

    async def _look(self) -> None:
        """Bring the gauges up to date, and note progress."""
        work, metrics = self._work, self._work.metrics
        lags = await self._lag() if work.ready else {}
        self._behind = sum(lags.values())
        metrics.lag.clear()
        for (topic, partition), records in lags.items():
            metrics.lag.labels(topic, str(partition)).set(records)
        if work.ready:
            for store, (entries, size) in work.sizes().items():
                metrics.state_entries.labels(store).set(entries)
                metrics.state_bytes.labels(store).set(size)
        if not self._behind or work.commits != self._commits:
            self._progress_at = time.monotonic()
        self._commits = work.commits

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._work.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _live(self, request: web.Request) -> web.Response:
        # A look that hangs, because the polling thread does, leaves the time of the last progress behind as well.
        silent = time.monotonic() - self._progress_at
        if self._work.ready and silent > self._stalled_s:
            return self._answer(False, f"{self._behind:,} records wait, and nothing was committed for {silent:.0f} s")
        return self._answer(True, "working" if self._behind else "nothing to do")

    async def _ready(self, request: web.Request) -> web.Response:
        if self._work.ready:
            return self._answer(True, "assigned and caught up")
        return self._answer(False, f"waits for {self._work.waits_for}")

    def _answer(self, ok: bool, why: str) -> web.Response:
        partitions = len(self._work.assigned)
        body = {"ok": ok, "why": why, "lag_records": self._behind, "partitions": partitions}
        return web.json_response(body, status=200 if ok else 503, dumps=lambda each: json.dumps(each) + "\n")
