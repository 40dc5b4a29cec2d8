"""`waybill generate`: synthetic traffic with planted cases, as files."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.options import ConfigOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.generate import Chunk, Summary

CHINA = timezone(timedelta(hours=8))
START = "2025-11-03"
HOME = "430421"


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "generate", generate)


def generate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files; made if need be.")],
    parcels: Annotated[int, typer.Option(min=1, help="Parcels, planted ones included.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options give the same bytes.")] = 1,
    form: Annotated[Literal["ndjson", "parquet"], typer.Option("--format", help="Format of the files.")] = "ndjson",
    days: Annotated[float, typer.Option(help="Days over which parcels are accepted.")] = 7.0,
    start: Annotated[str, typer.Option(help="First day or moment, ISO 8601, China time unless it says.")] = START,
    retail_share: Annotated[float, typer.Option(help="Share of retail parcels, under the real-name duty.")] = 0.3,
    scans: Annotated[float, typer.Option(help="Scans per parcel between cities, from 4 to 12.")] = 6.0,
    inspections: Annotated[float, typer.Option(help="Inspections per parcel; below 1 some leave unchecked.")] = 1.0,
    late_share: Annotated[float, typer.Option(help="Share of events uploaded hours late.")] = 0.01,
    duplicate_share: Annotated[float, typer.Option(help="Share of events that come twice.")] = 0.005,
    planted_share: Annotated[float, typer.Option(help="Share of planted parcels.")] = 0.01,
    home_adcodes: Annotated[
        str | None, typer.Option(help=f"Home places of planted cases (default: setting home_adcodes, else {HOME}).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Write synthetic events with planted cases into files.

    The files are shipments, scans, inspections, reference and truth. Lines are in order of arrival. All persons are
    invented; phones and ID numbers are such that nobody can have them.
    truth.ndjson names for each planted parcel the rules that must say yes and those that must not; judge the traffic
    with the same home places.
    """
    settings = settings_of(config, assignments, home_adcodes=home_adcodes)

    from streams import generate as traffic

    try:
        made = traffic.generate(
            parcels, seed, start_at=_moment(start), days=days, retail_share=retail_share, scans_per_parcel=scans,
            inspections_per_parcel=inspections, late_share=late_share, duplicate_share=duplicate_share,
            planted_share=planted_share, home_adcodes=settings.home_adcodes or (HOME,),
        )  # fmt: skip
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    began = time.monotonic()
    try:
        summary = _with_bar(
            parcels, lambda progress: traffic.write(made, folder, form=form, force=force, progress=progress)
        )
    except traffic.NotEmptyError:
        raise typer.BadParameter(f"{folder} is not empty; --force replaces traffic in it", param_hint="DIR") from None
    counts = ", ".join(f"{count:,} {name}" for name, count in summary.records.items())
    print(f"{folder}: {counts}; {summary.size_bytes / 1e6:,.0f} MB in {time.monotonic() - began:.1f} s")


def _moment(text: str) -> int:
    """Epoch ms of an ISO 8601 date or time; China time unless it names a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date or time in ISO 8601", param_hint="--start") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).timestamp() * 1_000)


def _with_bar(parcels: int, work: Callable[[Callable[[Chunk], None]], Summary]) -> Summary:
    """Run `work` with a progress bar on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("generating", total=parcels)
        return work(lambda chunk: bar.update(task, advance=len(chunk.frame("shipment"))))
