"""OpenTelemetry's SDK, for `streams.otel`: imported only where events are traced, as it is an extra.

Trace and root span have the ids that follow from the event, so that several processes make one trace.
"""

from __future__ import annotations

import logging

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context

from streams.flow.sampling import Span
from streams.metrics import product_version


def exporter() -> SpanExporter:
    """OTLP over HTTP, set up by OpenTelemetry's own variables."""
    made = OTLPSpanExporter()
    # It logs each attempt that fails; `streams.otel` says once that nobody answers.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return made


class Maker:
    """Makes the SDK's spans of ours, on one thread."""

    def __init__(self, service: str, instance: str) -> None:
        self._ids, self._kept = _Ids(), _Kept()
        ours = {
            "service.name": f"waybill-{service}",
            "service.instance.id": instance,
            "service.version": product_version(),
        }
        given = OTELResourceDetector().detect().attributes  # by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
        resource = Resource.create({name: value for name, value in ours.items() if name not in given})
        provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False)
        provider.add_span_processor(self._kept)
        self._tracer = provider.get_tracer("waybill-sentinel", product_version())

    def make(self, span: Span) -> ReadableSpan | None:
        """The span; None where OTEL_SDK_DISABLED says that there are none."""
        trace, root = int.from_bytes(span.digest[:16], "big"), int.from_bytes(span.digest[16:24], "big")
        self._ids.trace, self._ids.root = trace, root if span.root else None
        above = NonRecordingSpan(SpanContext(trace, root, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
        self._tracer.start_span(
            span.name,
            context=Context() if span.root else set_span_in_context(above, Context()),
            kind=SpanKind.CONSUMER if span.root else SpanKind.INTERNAL,
            attributes=span.attributes,
            start_time=span.begun,
        ).end(span.ended)
        return self._kept.taken()


class _Ids(RandomIdGenerator):
    trace = 0
    root: int | None = None

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.root is None else self.root


class _Kept(SpanProcessor):
    """Keeps the span that has just ended."""

    span: ReadableSpan | None = None

    def on_end(self, span: ReadableSpan) -> None:
        self.span = span

    def taken(self) -> ReadableSpan | None:
        span, self.span = self.span, None
        return span
