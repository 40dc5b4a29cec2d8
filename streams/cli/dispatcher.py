"""`waybill dispatcher`: opens clues from alerts, and sends each to the station that can still stop the parcel."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of
from streams.cli.watched import MetricsPortOption, served

if TYPE_CHECKING:
    from desk.spans import ClueSpans
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "dispatcher", dispatcher)


def dispatcher(
    once: Annotated[bool, typer.Option("--once", help="Do what is owed now, and end.")] = False,
    metrics_port: MetricsPortOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Open clues from alerts and from orders of the random arm, and dispatch them.

    A clue goes to the station of the parcel's facility, else to the one with the longest code that covers the place; a
    parcel that moves on before the station has accepted takes its clue along. Withdrawn alerts and delivered parcels
    close clues that nobody has accepted, and what is overdue goes up to prefecture and province.

    It keeps no state: start it again at any time. One runs at a time; a second one takes its place.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from desk.dispatcher import Dispatcher
    from rules.engine.score import THRESHOLDS, TIERS
    from streams.metrics import DispatcherMetrics
    from streams.ops import preflight

    metrics = DispatcherMetrics()

    def look() -> None:
        counts = running.counts()
        metrics.counted(counts.states, counts.overdue)
        metrics.stepped(running.unread())

    limit = THRESHOLDS[TIERS.index(settings.emit_from) - 1]
    servers, client = preflight.permitted(settings, "dispatcher"), preflight.client(settings)
    with Dispatcher(servers, client, limit, settings.group, _spans(settings, metrics.spans)) as running:
        stepped = served(metrics, settings.web_host, metrics_port, look)
        running.start()
        count = len(running.log.open)
        print(f"{count:,} open {'clue' if count == 1 else 'clues'}", file=sys.stderr, flush=True)
        while not once:
            stepped()
            running.step()


def _spans(settings: Settings, counted: Callable[[str, int], None]) -> ClueSpans | None:
    """What tells OpenTelemetry of clues, from now on, where events are traced."""
    if not settings.otel_share:
        return None

    from desk.spans import ClueSpans
    from streams.flow.sampling import Sampler
    from streams.otel import Exporter

    send = Exporter("dispatcher", "0", counted).send
    return ClueSpans(Sampler(settings.otel_share), send, int(time.time() * 1_000))
