"""`waybill dispatcher`: opens clues from alerts, and sends each to the station that can still stop the parcel."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of
from streams.cli.watched import MetricsPortOption, served


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
    with Dispatcher(servers, client, limit, settings.group) as running:
        stepped = served(metrics, settings.web_host, metrics_port, look)
        running.start()
        count = len(running.log.open)
        print(f"{count:,} open {'clue' if count == 1 else 'clues'}", file=sys.stderr, flush=True)
        while not once:
            stepped()
            running.step()
