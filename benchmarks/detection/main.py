"""`python -m benchmarks detection`."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from benchmarks import report as machines
from benchmarks.detection.report import markdown
from benchmarks.detection.run import detect
from streams.cli.bars import ProgressOption, bar

console = Console(stderr=True)


def main(
    parcels: Annotated[
        int, typer.Option(min=2_000, help="Parcels of the test; the stream to set limits on has a quarter of it.")
    ] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same world and the same figures.")] = 7,
    cases: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Cases of every pattern in the test. Default: one for 10,000 parcels, at least 3. With 73 cases, all "
            "found, the lower bound of recall is 0.95.",
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything there, too.")] = None,
    progress: ProgressOption = None,
) -> None:
    """What the shipped rules find in a synthetic world, and what they miss.

    The world has cases of every pattern that a rule or a documented group of rules describes, cases that evade them,
    and honest parcels that look like cases, among ordinary traffic. Two streams are played in order of arrival through
    the worker's own steps, without a broker: one to set limits on, and a later one, which shares no person, outlet,
    device or courier with it, to test on.

    Prints, as Markdown: recall of each rule and group, and how often it came before the parcel departed; precision of
    the highest scores at 1e-6, 1e-5 and 1e-4 of the stream; how much evasion is found, and how many honest parcels are
    hit; and what stations with known error rates answer, beside what is so. The whole of it is a statement about this
    world, in which cases are far more frequent than anywhere else: recall carries over, precision does not.

    A million parcels take 13 minutes of CPU time and 2 GB. Exit code 1 if a recall is below 0.95.
    """
    began = time.monotonic()
    about = {"machine": machines.machine(), "versions": machines.versions()}
    with bar(progress) as advance:
        try:
            found = detect(parcels, seed, cases, advance)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    print(markdown(found), end="")
    if json is not None:
        document = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            **about,
            "results": msgspec.to_builtins(found),
        }
        json.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")
    console.print(f"{time.monotonic() - began:.0f} s", highlight=False)
    if found.short:
        raise typer.Exit(1)
