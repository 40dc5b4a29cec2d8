"""`waybill topics`: create, show, grow, save and load the topics."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.topics import TOPICS
from streams.cli.bars import ProgressOption, bar
from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.kafka.saving import Part


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Create, show, grow, save and load the topics on a Kafka.", no_args_is_help=True)
    add(group, "create", create)
    add(group, "show", show)
    add(group, "grow", grow)
    add(group, "save", save)
    add(group, "load", load)
    app.add_typer(group, name="topics")


def create(
    bootstrap_servers: BootstrapOption = None,
    partitions: Annotated[
        int | None, typer.Option(help="Partitions of each topic (default: setting partitions).")
    ] = None,
    replication: Annotated[
        int | None, typer.Option(help="Replicas of each partition (default: setting replication).")
    ] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Create the topics that are missing. Those that are there stay as they are.

    A topic with another number of partitions is an error: a parcel's events must meet in one partition.
    """
    from streams.kafka import admin
    from streams.ops import preflight

    settings = settings_of(
        config, assignments, bootstrap_servers=bootstrap_servers, partitions=partitions, replication=replication
    )
    created = admin.create(
        preflight.reached(settings), settings.partitions, settings.replication, client=preflight.client(settings)
    )
    for name in created:
        print(f"created {name}")
    if not created:
        print("all topics were there already")


def show(
    bootstrap_servers: BootstrapOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show each topic: partitions, replicas, records held. Exit code 1 if one is missing or may not be seen."""
    from streams.kafka import admin
    from streams.ops import preflight

    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    states = admin.show(preflight.reached(settings), client=preflight.client(settings))
    width = max(len(state.topic.name) for state in states)
    if not as_json:
        print(f"{'topic':{width}}  partitions  replicas     records")
    for state in states:
        name = state.topic.name
        if as_json:
            record = {
                "topic": name,
                "partitions": state.partitions,
                "replication": state.replication,
                "records": state.offsets,
                "hidden": state.hidden,
            }
            print(json.dumps(record))
        elif state.hidden:
            print(f"{name:{width}}     hidden: this client has no right to see it, if it is there")
        elif state.partitions:
            print(f"{name:{width}}  {state.partitions:10}  {state.replication:8}  {state.offsets:10}")
        else:
            print(f"{name:{width}}     missing")
    if any(state.partitions == 0 for state in states):
        raise typer.Exit(1)


def grow(
    partitions: Annotated[int, typer.Option(min=1, max=4096, help="Partitions that each topic of workers is to have.")],
    producers_s: Annotated[
        float,
        typer.Option(
            "--producers-s",
            min=0,
            metavar="SECONDS",
            help="How long producers may not know of added partitions: metadata.max.age.ms. 0: all are stopped.",
        ),
    ] = 330.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look, and say what would be done.")] = False,
    progress: ProgressOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Add partitions to the topics of workers, and bring state, history and what is unread along.

    Stop all workers first, and start them again afterwards; until it is done none starts. Topics that are unequal
    become equal. If it is stopped or killed, run it again: it goes on where it stood, and nothing is lost or doubled.
    """
    from streams.ops import preflight
    from streams.worker.grow import Growth

    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    settings = settings.model_copy(update={"bootstrap_servers": preflight.reached(settings)})

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with bar(progress) as advance, Growth(settings, partitions, say=say, advance=advance) as growth:
        plan = growth.look(alone=not dry_run)
        for name, count in plan.counts.items():
            print(f"{name}: {count} → {partitions} partitions")
        print(f"{plan.moving:,} of {plan.parcels:,} parcels change their partition (the state is kept for {plan.was})")
        for name, count in plan.unread.items():
            print(f"{name}: {count:,} unread records are to be written anew")
        if dry_run or plan.done:
            print("nothing was changed" if dry_run else "there is nothing to do")
            return
        growth.run(plan, producers_s)
    print(f"all topics of workers have {partitions} partitions; start the workers")


def save(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    topic: Annotated[
        list[str] | None, typer.Option("--topic", metavar="TOPIC", help="Only this topic; repeatable.")
    ] = None,
    events: Annotated[
        bool,
        typer.Option("--events", help="What carriers send, too: it names persons, and is as large as it was sent."),
    ] = False,
    progress: ProgressOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Save topics into a folder: rules, state, alerts, clues, and all else but the events of carriers.

    Workers may run meanwhile. What comes after it is judged again when `waybill topics load` has filled another cluster
    and carriers' events are read from before this moment.
    """
    from streams.kafka import saving
    from streams.kafka.roles import SAVED
    from streams.ops import preflight

    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    known = SAVED if not events else tuple(each.name for each in TOPICS)
    if unknown := set(topic or ()) - {each.name for each in TOPICS}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: no topic of ours", param_hint="--topic")
    client = {**preflight.client(settings), "bootstrap.servers": preflight.reached(settings)}
    with bar(progress) as advance:
        parts = saving.save(client, folder, topic or known, advance)
    _print(parts, "saved")


def load(
    folder: Annotated[Path, typer.Argument(help="A folder of `waybill topics save`.")],
    replication: Annotated[
        int | None, typer.Option(help="Replicas of each partition (default: setting replication).")
    ] = None,
    progress: ProgressOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Make the topics of a saved folder on a Kafka, and fill them.

    Topics that are there must be empty. If it is stopped or killed, run it again: it goes on where it stood.
    """
    from streams.kafka import naming, saving
    from streams.ops import preflight

    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers, replication=replication)
    client = {**preflight.client(settings), "bootstrap.servers": preflight.reached(settings)}
    with bar(progress) as advance:
        writer = naming.of(settings.group, "load")
        parts = saving.load(client, folder, settings.replication, advance, writer=writer)
    _print(parts, "loaded")


def _print(parts: Sequence[Part], done: str) -> None:
    for name in dict.fromkeys(part.topic for part in parts):
        print(f"{name}: {sum(part.records for part in parts if part.topic == name):,} records {done}")
