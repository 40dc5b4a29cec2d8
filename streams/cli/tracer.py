"""`waybill tracer`: the way of each alerted parcel, read back from its events."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "tracer", tracer)


def tracer(
    once: Annotated[bool, typer.Option("--once", help="End when no alert has come for some seconds.")] = False,
    group: Annotated[str, typer.Option(help="Consumer group; a new one traces all alerts again.")] = "waybill-tracer",
    instance: Annotated[str, typer.Option(help="Name of this tracer, if several run at a time.")] = "0",
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Publish the way of each alerted parcel on `waybill.traces`: place, time, check and result of each movement.

    Persons appear as the worker's tokens, under every key that is held, or masked. It needs the worker's keys. Each
    alert is traced once, also when a tracer is killed; events past retention are named as gaps.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from desk.traces.tracer import Tracer
    from streams.flow.decode import Limits
    from streams.flow.describe.describer import Describer
    from streams.ops import preflight

    for caution in preflight.cautions(settings):
        print(f"waybill: warning: {caution}", file=sys.stderr)
    tokens, limits = Describer.of(settings, ()).tokens, Limits(bytes_max=settings.event_bytes_max)
    traced = joining = shared = 0
    with Tracer(preflight.reached(settings), preflight.client(settings), tokens, limits, group, instance) as running:
        while not (once and (joining > JOIN_TURNS or (running.exhausted and (shared > SHARED_TURNS or running.alone)))):
            traced += running.step()
            joining += not running.assigned
            shared += running.exhausted
    print(f"{traced:,} {'trace' if traced == 1 else 'traces'} published", file=sys.stderr)


# Turns of half a second. A tracer that was killed keeps its partitions, or some of them, until its session ends.
JOIN_TURNS, SHARED_TURNS = 180, 60
