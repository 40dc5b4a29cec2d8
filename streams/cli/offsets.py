"""`waybill offsets`: where the group of workers stands, and how to put it elsewhere."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.kafka.cluster import Cluster
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Show and set where workers go on reading.", no_args_is_help=True)
    add(group, "show", show)
    add(group, "reset", reset)
    app.add_typer(group, name="offsets")


def show(
    bootstrap_servers: BootstrapOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show what the group has committed in each partition that workers read, and how much is left."""
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.ops import offsets

    found = offsets.show(_cluster(settings), settings.group)
    width = max(len(each.place[0]) for each in found)
    if not as_json:
        print(f"{'topic':{width}}  partition  committed      start        end        lag")
    for each in found:
        (topic, number), committed = each.place, each.committed
        if as_json:
            print(json.dumps({"topic": topic, "partition": number, "committed": committed, "start": each.start,
                              "end": each.end, "lag": each.lag}))  # fmt: skip
        else:
            shown = "-" if committed is None else str(committed)
            print(f"{topic:{width}}  {number:9}  {shown:>9}  {each.start:9}  {each.end:9}  {each.lag:9}")


def reset(
    to: Annotated[str, typer.Option("--to", metavar="WHERE", help="earliest, latest, or an offset.")],
    topic: Annotated[
        list[str] | None,
        typer.Option("--topic", metavar="TOPIC[:N]", help="Only this topic, or partition of it; repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be set.")] = False,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Set where workers go on reading. Stop all workers of the group first.

    Events that are read again change no verdict. What is passed over is lost: alerts will lack it. It waits until the
    broker has let stopped workers go, which takes as long as session_timeout_ms.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.ops import offsets

    cluster = _cluster(settings)
    found = offsets.chosen(offsets.show(cluster, settings.group), topic or [])
    wanted = {each.place: offsets.target(each, to) for each in found}
    if not dry_run:
        offsets.reset(cluster, settings.group, wanted, settings.session_timeout_ms / 1000,
                      lambda text: print(text, file=sys.stderr))  # fmt: skip
    for each in found:
        (name, number), before = each.place, "nothing" if each.committed is None else f"{each.committed:,}"
        print(f"{name}[{number}]: {before} → {wanted[each.place]:,}{' (not set)' if dry_run else ''}")


def _cluster(settings: Settings) -> Cluster:
    from streams.kafka.cluster import Cluster
    from streams.ops import preflight

    return Cluster({**preflight.client(settings), "bootstrap.servers": preflight.reached(settings)})
