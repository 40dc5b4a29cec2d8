"""`waybill tracer`: the way of each parcel with an alert or order, read back from its events."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of
from streams.cli.watched import MetricsPortOption, served

if TYPE_CHECKING:
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "tracer", tracer)


def tracer(
    once: Annotated[bool, typer.Option("--once", help="End when no alert has come for some seconds.")] = False,
    group: Annotated[
        str | None,
        typer.Option(
            metavar="GROUP",
            help="Consumer group (default: that of the workers and .tracer); a new one traces all alerts again.",
        ),
    ] = None,
    instance: Annotated[str, typer.Option(help="Name of this tracer, if several run at a time.")] = "0",
    door: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Open a socket there, by which `waybill desk serve` asks for reveals."),
    ] = None,
    metrics_port: MetricsPortOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Publish the way of each parcel with an alert or order on `waybill.traces`: where, when, what, with which result.

    Persons appear as the worker's tokens, under every key that is held, or masked. It needs the worker's keys. Each
    alert is traced once, also when a tracer is killed; events past retention are named as gaps.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from desk.traces.tracer import Tracer
    from streams.flow.decode import Limits
    from streams.flow.describe.describer import Describer
    from streams.kafka import naming
    from streams.metrics import TracerMetrics
    from streams.ops import preflight

    for caution in preflight.cautions(settings):
        print(f"waybill: warning: {caution}", file=sys.stderr)
    tokens, limits = Describer.of(settings, ()).tokens, Limits(bytes_max=settings.event_bytes_max)
    traced = joining = shared = 0
    metrics = TracerMetrics()
    servers, client = preflight.permitted(settings, "tracer"), preflight.client(settings)
    own = group or naming.of(settings.group, "tracer")
    told = _told(settings, instance, metrics.spans)
    with Tracer(servers, client, tokens, limits, own, instance, told) as running, _door(door, settings) as tidy:
        stepped = served(metrics, settings.web_host, metrics_port, lambda: metrics.stepped(running.unread()))
        while not (once and (joining > JOIN_TURNS or (running.exhausted and (shared > SHARED_TURNS or running.alone)))):
            traced += (count := running.step())
            metrics.traces.inc(count)
            stepped()
            tidy()
            joining += not running.assigned
            shared += running.exhausted
    print(f"{traced:,} {'trace' if traced == 1 else 'traces'} published", file=sys.stderr)


def _told(
    settings: Settings, instance: str, counted: Callable[[str, int], None]
) -> Callable[[Iterable[str], float], None] | None:
    """What tells OpenTelemetry which events are in traces that were just written, where events are traced."""
    if not settings.otel_share:
        return None

    from streams.flow.sampling import Sampler, Span
    from streams.otel import Exporter

    sampler, send = Sampler(settings.otel_share), Exporter("tracer", instance, counted).send

    def told(event_ids: Iterable[str], took_s: float) -> None:
        now = time.time_ns()
        for digest in sampler.digests(event_ids):
            send(1, [Span(digest, "traced", now - int(took_s * 1e9), now)])

    return told


@contextmanager
def _door(path: Path | None, settings: Settings) -> Iterator[Callable[[], None]]:
    """The door for reveals, where it is wanted, and a function that ends those that are over."""
    if path is None:
        yield lambda: None
        return

    from desk.access import Reads
    from desk.log import new_name
    from desk.pen import Pen
    from desk.reveals import Reveals
    from desk.traces.door import opened
    from desk.traces.records import ShipmentRecords
    from streams.flow.decode import Limits
    from streams.ops import preflight

    def now_ms() -> int:
        return int(time.time() * 1_000)

    servers, client = preflight.permitted(settings, "door"), preflight.client(settings)
    records = ShipmentRecords(servers, client, Limits(bytes_max=settings.event_bytes_max))
    reads = Reads(Pen(servers, client, new_name("door", settings.group)))
    reveals = Reveals(reads, records, now_ms)
    with opened(path, reveals):
        yield reveals.tidy
    records.close()


# Turns of half a second. A tracer that was killed keeps its partitions, or some of them, until its session ends.
JOIN_TURNS, SHARED_TURNS = 180, 60
