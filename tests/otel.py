"""A receiver of OpenTelemetry's spans, as backends have one: OTLP over HTTP, read by OpenTelemetry's own definition."""

from __future__ import annotations

import gzip
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from streams.flow.sampling import digest_of


@dataclass(frozen=True, slots=True)
class Received:
    """A span as a backend has it."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    begun: int
    ended: int
    attributes: dict[str, str | int]


class Receiver(AbstractContextManager["Receiver"]):
    """Takes spans at `url`, while it is `open`; else it lets senders wait."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.open = threading.Event()
        self.open.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver.open.wait()
                receiver.bodies.append(body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open.set()
        self._server.shutdown()
        self.close()

    def close(self) -> None:
        """Nobody answers at `url` any more."""
        self._server.server_close()

    @property
    def spans(self) -> list[Received]:
        """All that has come."""
        return [
            Received(
                next(each.value.string_value for each in of.resource.attributes if each.key == "service.name"),
                span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                span.start_time_unix_nano, span.end_time_unix_nano,
                {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
            )
            for body in list(self.bodies)
            for of in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in of.scope_spans
            for span in scope.spans
        ]  # fmt: skip

    def trace(self, event_id: str) -> list[Received]:
        """The trace of an event, by its id alone, in order of time."""
        wanted = digest_of(event_id).hex()[:32]
        return sorted((each for each in self.spans if each.trace == wanted), key=lambda each: (each.begun, -each.ended))
