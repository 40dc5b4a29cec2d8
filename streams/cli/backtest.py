"""`waybill backtest`: two catalogues over the same files, and what differs."""

from __future__ import annotations

import sys
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
from streams.cli.output import beside, json_line

if TYPE_CHECKING:
    from streams.files.backtest.difference import Difference

BEYOND = 3
"""Exit code for more changes than allowed; 1 is a failure, 2 wrong use."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "backtest", backtest)


def backtest(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR_OR_FILE",
            help="Folder with the events, or one file: NDJSON (also .jsonl, .gz, .zst) or Parquet.",
        ),
    ],
    rules: Annotated[Path, typer.Option("--rules", metavar="NEW", help="Folder of the new rule files.")],
    against: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="Folder of the old ones (default: setting rules_dir, else as shipped)."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page, too; replaces FILE.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="File for every parcel that differs; - = standard output."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
    examples: Annotated[int, typer.Option(min=0, max=100, help="Examples of each cause.")] = 3,
    max_gained: Annotated[int | None, typer.Option(min=0, help="Most parcels that may gain an alert.")] = None,
    max_lost: Annotated[int | None, typer.Option(min=0, help="Most parcels that may lose theirs.")] = None,
    max_changed: Annotated[int | None, typer.Option(min=0, help="Most alerts that may change tier.")] = None,
    home_adcodes: Annotated[
        str | None, typer.Option(help="Home places, codes or prefixes by commas (default: setting home_adcodes).")
    ] = None,
    processes: ProcessesOption = None,
    progress: ProgressOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Judge past events by new rules and by old ones, and show the difference.

    Shows which parcels gain or lose an alert, which alerts change tier, which rules cause it, with examples and their
    evidence, what each rule answers on both sides, and why `waybill rules push` would refuse the new rules. Reads
    DIR/shipments, scans and inspections, or one file of such a name; a file of another name holds shipments. Both
    catalogues judge the same parcels with the worker's own functions, and rule_overrides hold for both.

    Exit code 3 if a limit is exceeded: --max-lost 0 allows no alert to be lost. Without limits, any difference is fine.
    Exit code 4 if most lines of a file were rejected, whatever the limits.

    Files may be larger than memory: intermediate data lies on disk in TMPDIR, about a third of their size as NDJSON,
    and is removed at the end. FILE is compressed if its name ends in .gz or .zst. If it is standard output, the report
    goes to standard error.
    """
    settings = settings_of(config, assignments, home_adcodes=home_adcodes)
    one_output(html=html, out=out, as_json=as_json)
    if html and out and html.resolve() == out.resolve():
        raise typer.BadParameter("--html and --out name the same file", param_hint="--html")

    from streams.files.backtest.run import backtest as compare
    from streams.files.backtest.run import load_pair
    from streams.files.pool import cores

    began = time.monotonic()
    old, new = load_pair(against, rules, settings)
    with bar(progress) as advance:
        difference = compare(
            source, old, new, settings,
            html=html, out=out, examples_max=examples, progress=advance, processes=processes or cores(),
        )  # fmt: skip
    tell_unread(source, html, out)
    _tell(difference, time.monotonic() - began, as_json, [path for path in (html, out) if path])
    tell_unreadable(difference.unreadable)
    _check(difference, {"gained": max_gained, "lost": max_lost, "changed": max_changed})


def _tell(difference: Difference, seconds: float, as_json: bool, written: list[Path]) -> None:
    """Print the report, as one JSON object or for people."""
    from streams.cli.views import backtest as view
    from streams.files.writing import standard

    if as_json:
        json_line(difference)
        return
    with beside(*written):
        view.report(difference, seconds)
        for path in written:
            if not standard(path):
                print(f"{path}: written")


def _check(difference: Difference, limits: dict[str, int | None]) -> None:
    """Say which limits are exceeded, and exit with 3 where one is."""
    exceeded = _exceeded(difference, limits)
    for line in exceeded:
        print(f"waybill: {line}", file=sys.stderr)
    if exceeded:
        raise typer.Exit(BEYOND)


def _exceeded(difference: Difference, limits: dict[str, int | None]) -> list[str]:
    changes = difference.changes
    counts = {
        "gained": changes["gained"],
        "lost": changes["lost"],
        "changed": changes["raised"] + changes["lowered"],
    }
    return [
        f"{counts[name]:,} {name}, at most {limit:,} allowed (--max-{name})"
        for name, limit in limits.items()
        if limit is not None and counts[name] > limit
    ]
