"""The command line: load the records once, run the contestants in turn, check their alerts, print the table."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import clues, disk, hot, live, native, projection, report, restore, soak, tallies, traced, traffic
from benchmarks.contestants import FILES, contestants
from benchmarks.contract import BenchmarkError, Contestant, Context, Kind, Loaded, Result
from benchmarks.detection import main as detection
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
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the events, one round.")] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything there, too.")] = None,
) -> None:
    """Events per second of the worker and of its peers on real Kafka, with equal alerts; or another benchmark."""
    if context.invoked_subcommand:
        return
    everyone = contestants()
    unknown = set(only or ()) - everyone.keys()
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: no such contestant", param_hint="--only")
    chosen = {file: each for file, each in everyone.items() if not only or file in only}
    sizes = Sizes.of(events or (QUICK if quick else FULL))
    about = {"machine": report.machine(), "versions": report.versions()}
    for title, values in about.items():
        console.print(f"[bold]{title}[/bold]: " + ", ".join(f"{k} {v}" for k, v in values.items()), highlight=False)
    try:
        summaries = compete(chosen, sizes, rounds or (1 if quick else 3))
    except (BenchmarkError, BrokerError) as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    report.show(Console(width=150), summaries, everyone)
    if json:
        report.write_json(json, ["python", "-m", "benchmarks", *sys.argv[1:]], about, summaries)


def compete(chosen: Mapping[str, Contestant], sizes: Sizes, rounds: int) -> dict[str, report.Summary]:
    """Every contestant once per round. Raises BenchmarkError when one fails or its alerts are not those expected."""
    results: defaultdict[str, list[Result]] = defaultdict(list)
    with ExitStack() as stack:
        loaded = {kind: _load(stack, kind, sizes) for kind in dict.fromkeys(each.TRAFFIC for each in chosen.values())}
        for number in range(1, rounds + 1):
            for file, contestant in chosen.items():
                result = once(contestant, loaded[contestant.TRAFFIC], f"benchmark-{file}-{number}".replace("_", "-"))
                results[file].append(result)
                check(contestant, loaded[contestant.TRAFFIC], results[file])
                rate = result.events / result.wall_s
                console.print(
                    f"{number}/{rounds} {contestant.NAME}: {rate:,.0f} events/s, {result.cpu_s:.1f} s of CPU",
                    highlight=False,
                )
        return {file: report.summary(each, loaded[each.TRAFFIC], results[file]) for file, each in chosen.items()}


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


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.callback(invoke_without_command=True)(main)
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
