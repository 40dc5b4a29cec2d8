"""`waybill size`: what a deployment takes, from the parcels of a day."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.options import JsonOption, add

if TYPE_CHECKING:
    from streams.ops.sizing import Need, Plan

Language = Literal["zh", "en"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "size", size)


def size(
    parcels_per_day: Annotated[float, typer.Option(min=1, help="Parcels a day.")],
    events_per_parcel: Annotated[
        float | None, typer.Option(min=1, help="Shipment records, scans and inspections of a parcel. Default: 7.9.")
    ] = None,
    alerted_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of parcels with an alert. Default: 0.017.")
    ] = None,
    peak: Annotated[float, typer.Option(min=1, help="Events of the busiest hour, of those of a mean one.")] = 4.0,
    retention_days: Annotated[float, typer.Option(min=0.04, help="How long the broker keeps what comes in.")] = 7.0,
    replication: Annotated[int, typer.Option(min=1, help="Replicas of each partition.")] = 3,
    busy: Annotated[
        float, typer.Option(min=0.01, max=0.95, help="Share of its pace that a worker may be busy at the peak.")
    ] = 0.5,
    restore_minutes: Annotated[float, typer.Option(min=0.1, help="Longest restore of a worker with a new disk.")] = 15,
    outage_hours: Annotated[float, typer.Option(min=0, help="Outage at the peak that is to be caught up.")] = 1.0,
    as_json: JsonOption = False,
    lang: Annotated[Language | None, typer.Option(help="Language (default: the locale's).")] = None,
) -> None:
    """Reckon partitions, workers, disks, memory and times from measured figures. It asks no broker.

    Each row says what it assumes, and where in benchmarks/RESULTS.md its figures stand. They were measured on two cores
    that ran worker and broker, with generated traffic: measure yours before you buy.
    """
    from streams.ops.sizing import Plan, needs

    plan = Plan(
        parcels_per_day,
        peak=peak,
        retention_days=retention_days,
        replication=replication,
        busy=busy,
        restore_s=restore_minutes * 60,
        outage_s=outage_hours * 3_600,
    )
    if events_per_parcel is not None:
        plan = replace(plan, events_per_parcel=events_per_parcel)
    if alerted_share is not None:
        plan = replace(plan, alerted_share=alerted_share)
    rows = needs(plan)
    if as_json:
        _print_json(rows, plan, lang)
    else:
        _print(rows, plan, lang)


def _print(rows: list[Need], plan: Plan, lang: Language | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from streams.cli.views.alert import language
    from streams.cli.views.size import HEADINGS, SOURCE, amount, assumption, title

    spoken = lang or language()
    console = Console(highlight=False, markup=False)
    entries = list(dict.fromkeys(figure.entry for row in rows for figure in row.measured))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(HEADINGS[spoken]):
        table.add_column(
            heading, justify="right" if number == 1 else "left", header_style="dim", no_wrap=number < 2, overflow="fold"
        )
    for row in rows:
        notes = sorted({entries.index(figure.entry) + 1 for figure in row.measured})
        text = assumption(row, plan, spoken) + "".join(f" [{note}]" for note in notes)
        table.add_row(title(row, spoken), amount(row), text.strip())
    console.print(table)
    console.print(f"\n{SOURCE[spoken]}", style="dim")
    for number, entry in enumerate(entries, 1):
        console.print(f"[{number}] {entry}", style="dim")


def _print_json(rows: list[Need], plan: Plan, lang: Language | None) -> None:
    from streams.cli.output import json_line
    from streams.cli.views.alert import language
    from streams.cli.views.size import assumption

    for row in rows:
        said = {"name": row.name, "value": row.value, "unit": row.unit, "topic": row.topic or None}
        sources = [figure.entry for figure in row.measured]
        json_line(said | {"assumes": assumption(row, plan, lang or language()), "sources": sources})
