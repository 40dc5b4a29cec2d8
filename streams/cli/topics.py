"""`waybill topics`: create and show the topics."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, add, settings_of


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Create and show the topics on a Kafka.", no_args_is_help=True)
    add(group, "create", create)
    add(group, "show", show)
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
