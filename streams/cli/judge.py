"""`waybill judge`: files in, alerts out, without a broker."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.bars import ProgressOption, bar
from streams.cli.options import (
    ConfigOption,
    ProcessesOption,
    SetOption,
    add,
    one_output,
    settings_of,
    tell_unread,
    tell_unreadable,
)
from streams.cli.output import beside

if TYPE_CHECKING:
    from streams.files.bulk import Summary


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "judge", judge)


def judge(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with the events: NDJSON (also .jsonl, .gz, .zst) or Parquet.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="File for the alerts, NDJSON; replaced. - = standard output.")
    ],
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="FILE", help="File for what cannot be read (default: beside the alerts)."),
    ] = None,
    shadow: Annotated[
        Path | None, typer.Option("--shadow", metavar="FILE", help="File for what shadow rules say, NDJSON; replaced.")
    ] = None,
    home_adcodes: Annotated[
        str | None, typer.Option(help="Home places, codes or prefixes by commas (default: setting home_adcodes).")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            "--rules", metavar="DIR", help="Folder of rule files (default: setting rules_dir, else as shipped)."
        ),
    ] = None,
    processes: ProcessesOption = None,
    progress: ProgressOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Judge the parcels of DIR/shipments, scans and inspections by DIR/reference, as the worker would.

    FILE gets the last alert of each parcel whose alert is open, sorted by parcel. Lines that cannot be read are
    rejected with a reason, written beside it: alerts.ndjson has alerts.rejects.ndjson. Names that end in .gz or .zst
    are compressed. If the alerts go to standard output, the summary goes to standard error, and rejects are written
    only with --rejects. The end of the files counts as the end of every wait. Exit code 4 if most lines of a file were
    rejected.

    Files may be larger than memory: what is known in between lies on disk in TMPDIR, about a third of their size as
    NDJSON, and is removed at the end.
    """
    one_output(out=out, rejects=rejects, shadow=shadow)
    settings = settings_of(config, assignments, home_adcodes=home_adcodes, rules_dir=rules)

    from rules import load_catalogue
    from streams.files.bulk import judge_folder
    from streams.files.pool import cores

    began = time.monotonic()
    catalogue = load_catalogue(settings.rules_dir, settings.rule_overrides)
    with bar(progress) as advance:
        count = processes or cores()
        summary = judge_folder(
            folder, out, settings, catalogue, rejects=rejects, shadow=shadow, progress=advance, processes=count
        )
    tell_unread(folder, out, summary.rejects_path, shadow)
    with beside(out, rejects, shadow):
        if shadow is not None:
            print(f"{shadow}: {_counted(summary.shadows, 'parcel')} in shadow")
        _print(summary, out, time.monotonic() - began)
    tell_unreadable(summary.unreadable)


def _print(summary: Summary, out: Path, seconds: float) -> None:
    if summary.missing:
        print(f"there were no {' and no '.join(summary.missing)}")
    for (topic, reason), count in sorted(summary.rejects.items()):
        print(f"rejected: {count:,} of {topic}: {reason}")
    if summary.rejects and summary.rejects_path:
        print(f"{summary.rejects_path}: {_counted(summary.rejects.total(), 'reject')}")
    tiers = ", ".join(f"{summary.alerts[tier]:,} {tier}" for tier in _TIERS if summary.alerts[tier])
    print(
        f"{out}: {_counted(summary.events.total(), 'event')}, {_counted(summary.rejects.total(), 'reject')}, "
        f"{_counted(summary.parcels, 'parcel')}, {_counted(summary.alerts.total(), 'alert')}"
        f"{f' ({tiers})' if tiers else ''} in {seconds:.1f} s"
    )


_TIERS = ("extreme", "high", "medium", "low")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
