"""The command line: load the records once, run the contestants in turn, check their alerts, print the table."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import (
    clues,
    disk,
    hot,
    live,
    native,
    projection,
    report,
    reporting,
    restore,
    soak,
    tallies,
    traced,
    traffic,
)
from benchmarks.contestants import FILES, contestants
from benchmarks.contract import BenchmarkError, Contestant, Context, Kind, Loaded, Pace, Result
from benchmarks.detection import main as detection
from benchmarks.peers.environments import Own, UnavailableError, Venv
from streams.kafka import admin
from streams.ops.broker import BrokerError, PrivateKafka

console = Console(stderr=not sys.stdout.isatty())


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each traffic: shipments, the first so many of them, parcels (about 8 events each)."""

    shipments: int
    prefix: int
    everything: int

    @classmethod
    def of(cls, shipments: int) -> Sizes:
        """In proportion, but for a prefix that keeps what is slow busy for seconds."""
        return cls(shipments, min(shipments, max(24_000, shipments * 6 // 100)), max(1, shipments * 15 // 100))


FULL, QUICK = 1_000_000, 100_000
WARM_UP_S = 5.0  # a JVM compiles what it runs


def main(
    context: typer.Context,
    only: Annotated[
        list[str] | None, typer.Option(help=f"A contestant, repeatable: {', '.join(FILES)}. Default: all.")
    ] = None,
    events: Annotated[
        int | None,
        typer.Option(
            min=1, help="Shipments; plain Faust reads the first 6 %, at least 24,000; all topics about 120 %."
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
    prepare: Annotated[bool, typer.Option("--prepare", help="Only make the environments of peers.")] = False,
) -> None:  # fmt: skip
    """Events per second, CPU, memory and latency of the worker and of its peers on real Kafka; or another benchmark.

    Every contestant has the same task and must give the same alerts. Peers that are not this project's get environments
    of their own in the user's cache, made once, from locks with hashes. A peer that cannot be had is named as not run.

    \b
    python -m benchmarks --quick                           does everything run, roughly how fast
    python -m benchmarks --json bench.json                 all of it; leave the machine alone meanwhile
    python -m benchmarks report bench.json --plots docs/   table and plots of that
    """
    if context.invoked_subcommand:
        return
    everyone = contestants()
    unknown = set(only or ()) - everyone.keys()
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: no such contestant", param_hint="--only")
    chosen = {file: each for file, each in everyone.items() if not only or file in only}
    about = {"machine": report.machine(), "versions": report.versions()}
    for title, values in about.items():
        console.print(f"[bold]{title}[/bold]: " + ", ".join(f"{k} {v}" for k, v in values.items()), highlight=False)
    not_run = unavailable(chosen)
    chosen = {file: each for file, each in chosen.items() if file not in not_run}
    if prepare:
        raise typer.Exit(1 if not_run else 0)
    seconds = latency_s if latency_s is not None else 5.0 if quick else 20.0
    try:
        results = compete(chosen, Sizes.of(events or (QUICK if quick else FULL)), rounds or (1 if quick else 3))
        results = results if seconds == 0 else paced(chosen, results, seconds)
    except (BenchmarkError, BrokerError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    command = " ".join(["python", "-m", "benchmarks", *sys.argv[1:]])
    whole = report.Report(report.now(), command, about["machine"], about["versions"], results, not_run)
    report.show(Console(width=180), whole)
    if json:
        report.write(json, whole)


def unavailable(chosen: Mapping[str, Contestant]) -> dict[str, str]:
    """Make the environments; the contestants whose cannot be made, and why."""
    not_run = {}
    for file, contestant in chosen.items():
        try:
            with console.status(f"environment of {contestant.NAME}"):
                contestant.ENVIRONMENT.prepare()
        except UnavailableError as error:
            not_run[file] = str(error)
            console.print(f"{contestant.NAME} is not run: {error}", style="yellow", markup=False, highlight=False)
    return not_run


def compete(chosen: Mapping[str, Contestant], sizes: Sizes, rounds: int) -> dict[str, report.Summary]:
    """Every contestant once per round. Raises BenchmarkError when one fails or its alerts are not those expected."""
    results: defaultdict[str, list[Result]] = defaultdict(list)
    with ExitStack() as stack:
        loaded = {kind: _load(stack, kind, sizes) for kind in dict.fromkeys(each.TRAFFIC for each in chosen.values())}
        for number in range(1, rounds + 1):
            for file, contestant in chosen.items():
                with console.status(f"{number}/{rounds} {contestant.NAME}"):
                    result = once(contestant, loaded[contestant.TRAFFIC], _run(file, number))
                results[file].append(result)
                check(contestant, loaded[contestant.TRAFFIC], results[file])
                run = result.measured
                console.print(
                    f"{number}/{rounds} {contestant.NAME}: {result.events / run.wall_s:,.0f} events/s, "
                    f"{run.cpu_s:.1f} s of CPU, {run.rss_mb:,.0f} MB, started in {run.start_s:.1f} s",
                    highlight=False,
                )
        return {file: report.summary(each, loaded[each.TRAFFIC], results[file]) for file, each in chosen.items()}


def paced(
    chosen: Mapping[str, Contestant], results: Mapping[str, report.Summary], seconds: float
) -> dict[str, report.Summary]:
    """The same with latencies, where a contestant judges shipments."""
    measured = dict(results)
    with PrivateKafka(fast_start=False, heap_mb=1_024) as kafka:
        for file, each in results.items():
            if each.alerts is None or each.traffic == "everything":
                continue
            loaded = traffic.load_nothing(kafka.bootstrap_servers)
            pace = Pace(each.events_per_s / 3, WARM_UP_S, seconds)
            with console.status(f"latency of {each.name}"), _scratch() as scratch:
                result = chosen[file].run(Context(_run(file, "paced"), loaded, scratch, pace))
            if not result.measured.latencies_s:
                console.print(f"{each.name}: no alert fell due in so short a time", highlight=False)
                continue
            took = report.latency(pace.events_per_s, result.measured.latencies_s)
            measured[file] = replace(each, latency=took)
            console.print(
                f"{each.name}: {took.alerts:,} alerts at {took.events_per_s:,.0f} events/s, "
                f"half of them within {took.p50_ms:,.0f} ms, worst {took.worst_ms:,.0f} ms",
                highlight=False,
            )
    return measured


def _run(file: str, what: int | str) -> str:
    return f"benchmark-{file}-{what}".replace("_", "-")


def once(contestant: Contestant, loaded: Loaded, run: str) -> Result:
    """One run, with an empty folder."""
    with _scratch() as scratch:
        return contestant.run(Context(run, loaded, scratch))


def check(contestant: Contestant, loaded: Loaded, results: list[Result]) -> None:
    """Alerts must be those expected, or where nobody says, the same in each round."""
    alerted = results[-1].alerted
    expected = loaded.expected if loaded.expected is not None else results[0].alerted
    if alerted is None or expected is None:
        return
    if alerted != expected:
        missing, more = sorted(expected - alerted), sorted(alerted - expected)
        raise BenchmarkError(
            f"{contestant.NAME}: {len(alerted):,} parcels alerted of {len(expected):,} expected; "
            f"{len(missing):,} missing {missing[:3]}, {len(more):,} too many {more[:3]}"
        )


def _load(stack: ExitStack, kind: Kind, sizes: Sizes) -> Loaded:
    """Each traffic on a broker of its own: the worker's topics have one name each."""
    loaders: dict[Kind, tuple[Callable[[str, int], Loaded], int]] = {
        "shipments": (traffic.load_shipments, sizes.shipments),
        "prefix": (traffic.load_prefix, sizes.prefix),
        "everything": (traffic.load_everything, sizes.everything),
    }
    load, size = loaders[kind]
    kafka = stack.enter_context(PrivateKafka(fast_start=False, heap_mb=1_024))
    admin.create(kafka.bootstrap_servers, traffic.PARTITIONS)
    with console.status(f"loading {kind}"):
        loaded = load(kafka.bootstrap_servers, size)
    console.print(f"{kind}: {loaded.events:,} records of {loaded.bytes_mean:.0f} bytes loaded", highlight=False)
    return loaded


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="waybill-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
    app.command("restore")(restore.main)
    app.command("soak")(soak.main)
    app.command("hot")(hot.main)
    app.command("clues")(clues.main)
    app.command("live")(live.main)
    app.command("projection")(projection.main)
    app.command("native")(native.main)
    app.command("tallies")(tallies.main)
    app.command("traced")(traced.main)
    app.command("disk")(disk.main)
    app.command("detection")(detection.main)
    app()
