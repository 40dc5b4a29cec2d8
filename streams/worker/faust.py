"""Faust around a worker: its app, its start order, how it runs and stops, and what an agent reads."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.tables import TableManager
from mode import Service
from mode.supervisors import CrashingSupervisor

from rules import load_catalogue
from streams.flow.batches import Batch
from streams.kafka.transport.grouping import Partition
from streams.settings import Settings
from streams.worker.health import Health, listen
from streams.worker.parts import committer_of
from streams.worker.watchdog import Watchdog
from streams.worker.worker import Worker

log = logging.getLogger(__name__)


class Watch(Service):
    """Ends a worker that makes no progress, and serves the pages of `streams.worker.health`.

    It replaces Faust's own web server, which would start only after the first assignment.
    """

    logger = logging.getLogger("mode.watch")

    def __init__(self, app: App, *, pages: bool, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings = app.settings
        self._pages = pages
        self._watchdog = Watchdog(
            app.worker,
            partial(_lag, app),
            app.worker.broker.answers,
            stalled_s=settings.stalled_ms_max / 1000,
            give_up_s=settings.give_up_after_ms / 1000,
            fault=lambda: app.worker.broker.fault,
        )
        self._health = Health(app.worker, self._watchdog)
        self._listener: socket.socket | None = None

    def listen(self) -> None:
        """Bind the port of the pages. Raises HealthError."""
        if self._pages:
            self._listener = listen(self._settings.web_host, self._settings.web_port)

    async def on_start(self) -> None:
        if self._listener is not None:
            url = await self._health.start(self._listener)
            log.info("pages at %s/metrics, /live, /ready", url)
        self.add_future(self._watchdog.run())

    async def on_stop(self) -> None:
        await self._health.stop()


async def _lag(app: App) -> Mapping[Partition, int]:
    """Records that are not committed; while the state is restored and nothing is fetched, by the ends at the broker."""
    worker = app.worker
    if worker.ready:
        lags: Mapping[Partition, int] = await app.consumer.lag(worker.committed)
        return lags
    starts = app.consumer.starts if worker.assigned else {}
    ends = await worker.broker.ends(starts) if starts else {}
    return {place: max(end - starts[place], 0) for place, end in ends.items()}


class Boot(BootStrategy):
    """Faust's start order, with these pages."""

    def web_server(self) -> Iterable[Any]:
        self.app.watch = Watch(self.app, pages=self._should_enable_web(), loop=self.app.loop, beacon=self.app.beacon)
        return [self.app.watch]


class Tables(TableManager):
    """Faust's table manager, without the second that it waits for tables: there are none."""

    logger = logging.getLogger("faust.tables")

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """A Faust app with the parts of the worker: `worker` (states, epochs) and `link` (for its transport)."""

    BootStrategy = Boot
    watch: Watch
    logger = logging.getLogger("faust.app")  # for messages of Faust; this module uses `log`

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.settings = settings
        catalogue = load_catalogue(settings.rules_dir, settings.rule_overrides)
        self.worker = Worker(settings, catalogue, consumer=lambda: self.consumer, committer=committer_of(settings))
        self.link = self.worker.link()
        super().__init__(
            settings.group,
            broker=f"waybill://{settings.bootstrap_servers}",
            datadir=str(settings.state_dir / "faust"),
            value_serializer="raw",
            key_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            stream_buffer_maxsize=4,
            agent_supervisor=CrashingSupervisor,
            TableManager=Tables,
            **options,
        )

    async def on_first_start(self) -> None:
        self.watch.listen()
        self.add_future(self.worker.prepare())  # the first step that affects another worker of this name
        await super().on_first_start()


class Runner(faust.Worker):
    """Faust's worker, without its own logging setup, and without the wait of a second at its end."""

    def __init__(self, app: App) -> None:
        super().__init__(app, quiet=True, override_logging=False, redirect_stdouts=False, loop=app.loop)
        self.spinner = None
        self._stop_s = app.settings.stop_s

    def run(self) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP. Raises the error with which the worker crashed."""
        self._starting_fut = asyncio.ensure_future(self.start(), loop=self.loop)
        try:
            self.loop.run_until_complete(self._starting_fut)
        except asyncio.CancelledError:
            pass  # stopped while it started
        finally:
            self._end_in_time()
            self.stop_and_shutdown()
            faulthandler.cancel_dump_traceback_later()

    def install_signal_handlers(self) -> None:
        """Those of Faust, and one for SIGHUP unless that is ignored."""
        super().install_signal_handlers()
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            self.loop.add_signal_handler(signal.SIGHUP, self._on_sigterm)

    def _on_sigint(self) -> None:
        self._on_sigterm()

    def _on_sigterm(self) -> None:
        self._end_in_time()
        super()._on_sigterm()

    def _end_in_time(self) -> None:
        """Exit with 1 if stopping takes too long, after a traceback of each thread.

        librdkafka may wait for itself while it holds the interpreter's lock, so no thread of Python could report it.
        """
        faulthandler.dump_traceback_later(self._stop_s, exit=True)

    async def _sentinel_task(self) -> None:
        await asyncio.sleep(0)


async def together(stream: Any, rows_max: int) -> AsyncIterator[list[Batch]]:
    """All batches that wait on a stream, up to about `rows_max` rows at a time. So steps grow with the backlog."""
    events = aiter(stream.noack())
    following = asyncio.ensure_future(anext(events))
    try:
        while True:
            group = [await following]
            following = asyncio.ensure_future(anext(events))
            while sum(len(batch.values) for batch in group) < rows_max and await _ready(following):
                group.append(following.result())
                following = asyncio.ensure_future(anext(events))
            yield group
    except StopAsyncIteration:  # the stream ends when the worker stops
        return
    finally:
        following.cancel()


async def _ready(future: asyncio.Future[Batch]) -> bool:
    for _ in range(_STEPS):
        if future.done():
            return True
        await asyncio.sleep(0)
    return future.done()


_STEPS = 5  # iterations of the event loop in which a stream hands over what already waits
