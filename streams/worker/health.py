"""A worker's pages over HTTP: /metrics for Prometheus, /live and /ready for probes.

/ready  200 when partitions are assigned, the state has caught up with the changelog, and a broker answers, else 503.
/live   200 while the worker makes progress or has nothing to do; 503 if for some time (`streams.worker.watchdog`)
        records have waited and nothing was committed, or no broker has answered. A worker that is not ready for another
        reason is live: restoring may take long, and a restart would begin it again.

Both answer JSON: {"ok": bool, "why": text, "lag_records": int or null, "partitions": int}. The lag is null while it is
not known because the worker is not ready.
"""

from __future__ import annotations

import errno
import json
import socket

from aiohttp import web

from schemas.errors import WaybillError
from streams.metrics import CONTENT_TYPE
from streams.worker.host import Host
from streams.worker.watchdog import AWAY_S, Watchdog


class HealthError(WaybillError):
    """The pages cannot be served. The message names address and port."""


def listen(host: str, port: int) -> socket.socket:
    """Bind the port, before anything that affects another worker. Port 0: any free one. Raises HealthError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
        raise HealthError(
            f"web_port: {port} on {host} {why}; name another with --web-port or WAYBILL_WEB_PORT"
        ) from None


class Health:
    """The pages of one worker, served on its event loop."""

    def __init__(self, worker: Host, progress: Watchdog) -> None:
        self._worker = worker
        self._watchdog = progress
        self._runner: web.AppRunner | None = None

    async def start(self, listener: socket.socket) -> str:
        """Start serving. Returns the URL."""
        pages = web.Application()
        pages.add_routes(
            [web.get("/metrics", self._metrics), web.get("/live", self._live), web.get("/ready", self._ready)]
        )
        self._runner = web.AppRunner(pages, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        host, port = listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._worker.metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _live(self, request: web.Request) -> web.Response:
        if wrong := self._watchdog.stalled:
            return self._answer(False, wrong)
        return self._answer(True, self._waits() or ("working" if self._watchdog.behind else "nothing to do"))

    async def _ready(self, request: web.Request) -> web.Response:
        if fault := self._watchdog.fault:
            return self._answer(False, fault)
        if waits := self._waits():
            return self._answer(False, waits)
        return self._answer(True, "assigned and caught up")

    def _waits(self) -> str:
        """What it waits for; empty while it can work. Without a broker nothing else can come."""
        if (away_s := self._watchdog.away_s) > AWAY_S:
            return f"waits for a broker: none has answered for {away_s:.0f} s"
        return "" if self._worker.ready else f"waits for {self._worker.waits_for}"

    def _answer(self, ok: bool, why: str) -> web.Response:
        partitions = len(self._worker.assigned)
        lag = self._watchdog.behind if self._worker.ready else None
        body = {"ok": ok, "why": why, "lag_records": lag, "partitions": partitions}
        return web.json_response(body, status=200 if ok else 503, dumps=lambda each: json.dumps(each) + "\n")
