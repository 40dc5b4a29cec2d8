"""`waybill replay`: files of events onto the topics."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.bars import ProgressOption, bar
from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of, tell_unread

if TYPE_CHECKING:
    from streams.kafka.replay import Replay


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "replay", replay)


def replay(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with the events: NDJSON (also .jsonl, .gz, .zst) or Parquet.")
    ],
    speed: Annotated[
        str, typer.Option(metavar="[1|10|max]", help="So many times as fast as the events came, or as fast as it goes.")
    ] = "max",
    order: Annotated[
        Literal["time", "file"], typer.Option(help="By event time across all files, or file by file.")
    ] = "time",
    progress: ProgressOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Publish the lines of DIR/reference, shipments, scans and inspections to their topics.

    Malformed lines go out as well. Lines whose event time cannot be read go first. Ctrl-C stops after what was sent so
    far has arrived, and says where that was. Without a setting Kafka is expected where `waybill broker run` listens.
    """
    factor = _factor(speed)
    if order == "file" and factor is not None:
        raise typer.BadParameter("the order of the files has no time to keep: --order time", param_hint="--speed")
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.kafka.replay import Replay, ReplayError, opened
    from streams.ops import preflight

    began = time.monotonic()
    with bar(progress) as advance, opened(folder, order, advance) as index:
        try:
            run = Replay(index, preflight.servers(settings), settings.kafka)
        except ReplayError as error:
            if settings.bootstrap_servers is None:
                hint = "start one with `waybill broker run`, or name yours by --bootstrap-servers"
                raise ReplayError(f"{error}; {hint}") from None
            raise
        try:
            run.run(factor, advance)
        except (KeyboardInterrupt, SystemExit):
            print(f"stopped at line {run.sent:,} of {len(index):,}{_moment(run)}; {_delivered(run)}", file=sys.stderr)
            raise
    tell_unread(folder)
    print(f"{folder}: {_delivered(run)} in {time.monotonic() - began:.1f} s")
    if run.failed:
        named = ", ".join(f"{count:,} {name}" for name, count in run.failed.most_common())
        raise ReplayError(f"not delivered: {named}")


def _factor(speed: str) -> float | None:
    """How many times as fast as event time; None: no pace."""
    if speed == "max":
        return None
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise typer.BadParameter(f"{speed!r} is neither a number above 0 nor max", param_hint="--speed")
    return factor


def _moment(run: Replay) -> str:
    at = run.index.time_of(run.sent)
    return "" if at is None else f", event time {datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%dT%H:%M:%S}Z"


def _delivered(run: Replay) -> str:
    return f"{run.delivered:,} line{'' if run.delivered == 1 else 's'} delivered"
