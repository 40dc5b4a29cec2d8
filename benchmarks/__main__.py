"""The command line: what runs, and how much of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import (
    clues,
    disk,
    guard,
    hot,
    live,
    live_keys,
    native,
    projection,
    report,
    reporting,
    restore,
    soak,
    tallies,
    traced,
)
from benchmarks.competition import Competition, Sizes
from benchmarks.contestants import FILES, contestants
from benchmarks.detection import main as detection
from benchmarks.peers.environments import Own, Venv
from streams.ops.broker import BrokerError

console = Console(stderr=not sys.stdout.isatty())
FULL, QUICK = 1_000_000, 100_000


def main(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option(help=f"A contestant, repeatable: {', '.join(FILES)}. Default: all.")
    ] = None,
    without: Annotated[list[str] | None, typer.Option(help="A contestant to leave out, repeatable.")] = None,
    events: Annotated[
        int | None,
        typer.Option(
            min=1, help="Shipments; plain Faust and Quix Streams read 6 %, at least 24,000; all topics have 120 %."
        ),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Runs of each contestant, in turn. Default: 3.")] = None,
    latency_s: Annotated[
        float | None,
        typer.Option(
            "--latency", min=0, metavar="SECONDS",
            help="So long, after a warm-up, is the way from event to alert measured at a third of a contestant's "
            "events/s; of shipments alone. 0: not at all. Default: 20.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the events, one round, short latencies.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything there, too.")] = None,
    prepare: Annotated[bool, typer.Option("--prepare", help="Only make the environments of peers (2 GB).")] = False,
) -> None:  # fmt: skip
    """Events per second, CPU, memory and latency of the worker and of its peers on real Kafka; or another benchmark.

    Every contestant has the same task and must give the same alerts. Peers get environments of their own in the user's
    cache, made once, from locks with hashes. A peer that cannot be had, or fails, is named as not run, and the command
    ends with 1. What is known is written to FILE after every step.

    \b
    python -m benchmarks --quick                           does everything run, roughly how fast
    python -m benchmarks --json bench.json                 all of it; leave the machine alone meanwhile
    python -m benchmarks report bench.json --plots .       table and plots of that
    """
    if context.invoked_subcommand:
        return
    everyone = contestants()
    unknown = {*(only or ()), *(without or ())} - everyone.keys()
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: no such contestant", param_hint="--only, --without")
    wanted = set(only or everyone) - set(without or ())
    competition = Competition({file: each for file, each in everyone.items() if file in wanted}, console, json)
    competition.prepare()
    if prepare:
        raise typer.Exit(1 if competition.not_run else 0)
    seconds = latency_s if latency_s is not None else 5.0 if quick else 20.0
    try:
        competition.rounds(Sizes.of(events or (QUICK if quick else FULL)), rounds or (1 if quick else 3))
        if seconds:
            competition.latencies(seconds)
    except BrokerError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    report.show(Console(width=180), competition.outcome())
    raise typer.Exit(1 if competition.not_run else 0)


def lock() -> None:
    """Resolve the environments of peers anew, and write their locks: for who changes a version."""
    environments = {each.ENVIRONMENT for each in contestants().values()} | {Venv("plots")}
    for environment in environments - {Own()}:
        environment.write_lock()


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.callback(invoke_without_command=True)(main)
    app.command("report")(reporting.main)
    app.command("lock")(lock)
    app.command("guard")(guard.main)
    app.command("restore")(restore.main)
    app.command("soak")(soak.main)
    app.command("hot")(hot.main)
    app.command("clues")(clues.main)
    app.command("live")(live.main)
    app.command("live-keys")(live_keys.main)
    app.command("projection")(projection.main)
    app.command("native")(native.main)
    app.command("tallies")(tallies.main)
    app.command("traced")(traced.main)
    app.command("disk")(disk.main)
    app.command("detection")(detection.main)
    app()
