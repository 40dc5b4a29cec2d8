"""The door of OpenTelemetry: spans go out over OTLP and HTTP, from a thread of their own, and nobody waits for them.

Where `otel_share` is 0 nothing of OpenTelemetry is imported. The endpoint and all about it come from OpenTelemetry's
own variables, `OTEL_EXPORTER_OTLP_ENDPOINT` and so on.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from schemas.errors import WaybillError
from streams.flow.sampling import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

SPANS_MAX: Final = 20_000  # that wait to be sent
_BATCH: Final = 2_000  # spans of one message, about
_EVERY_S: Final = 1.0
_END_S: Final = 3.0  # for what waits when the process ends


class OtelError(WaybillError):
    """Events are to be traced, and OpenTelemetry is not installed or not set up. The message says what to do."""

    exit_code = 2


class Exporter:
    """Sends the spans of one process."""

    def __init__(self, service: str, instance: str, counted: Callable[[str, int], None]) -> None:
        """counted: takes what became of so many spans, `sent` or `dropped`. Raises OtelError."""
        try:
            from streams.otel.sdk import Maker, exporter
        except ImportError:
            raise OtelError(
                "otel_share: events cannot be traced, as OpenTelemetry is not installed here: "
                "pip install 'waybill-sentinel[otel]', or set otel_share to 0"
            ) from None
        try:
            self._exporter: SpanExporter = exporter()
        except Exception as error:
            raise OtelError(f"otel_share: OpenTelemetry cannot be set up by its variables OTEL_…: {error}") from error
        self._make = Maker(service, instance).make
        self._counted = counted
        self._waiting: deque[tuple[int, Iterable[Span]]] = deque()
        self._held = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._endpoint = _endpoint()
        self._answers = True
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def send(self, count: int, spans: Iterable[Span]) -> None:
        """As `streams.flow.sampling.Send`."""
        with self._changed:
            if fits := self._held + count <= SPANS_MAX and not self._closed.is_set():
                self._held += count
                self._waiting.append((count, spans))
                self._changed.notify()
        if not fits:
            self._counted("dropped", count)

    def close(self) -> None:
        """Send what waits, but not for long."""
        atexit.unregister(self.close)
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self._thread.join(_END_S)
        self._exporter.shutdown()

    def _run(self) -> None:
        while batch := self._take():
            spans = [made for each in batch if (made := self._make(each)) is not None]
            if spans:
                self._export(spans)

    def _take(self) -> list[Span]:
        """What waits, about `_BATCH` spans; nothing once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed.is_set())
        if self._held < _BATCH:
            self._closed.wait(_EVERY_S)
        batch: list[Span] = []
        while len(batch) < _BATCH and self._waiting:
            with self._changed:
                count, spans = self._waiting.popleft()
                self._held -= count
            batch += spans
        return batch

    def _export(self, spans: list[ReadableSpan]) -> None:
        """Send these. That nobody takes them is said once, until somebody does."""
        try:
            sent = self._exporter.export(spans).name == "SUCCESS"
        except Exception as error:  # of a library, and no worker ends for it
            log.debug("spans were not sent", exc_info=error)
            sent = False
        self._counted("sent" if sent else "dropped", len(spans))
        if sent != self._answers:
            self._answers = sent
            if sent:
                log.info("otel: spans are taken again")
            else:
                log.warning("otel: no spans are taken at %s; they are dropped until they are", self._endpoint)


def _endpoint() -> str:
    """Where spans go, without what a log must not hold."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    url = urlsplit(next((value for name in names if (value := os.environ.get(name))), "http://localhost:4318"))
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
