"""`waybill doctor`: is everything as it must be, and what to do where it is not."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of
from streams.cli.worker import StateDirOption

if TYPE_CHECKING:
    from streams.ops.doctor.findings import Finding
    from streams.settings import Settings

STYLES = {"OK": "green", "WARN": "yellow", "FAIL": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "doctor", doctor)


def doctor(
    bootstrap_servers: BootstrapOption = None,
    state_dir: StateDirOption = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Workers that this machine is to run.")] = 1,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Check broker, topics, keys of records, state directory, rules, token keys, clock, memory and the desk's database.

    Each line says OK, WARN or FAIL, and what to do. It writes nothing but a probe in the state directory. Exit code 1
    when something fails.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers, state_dir=state_dir)

    from streams.ops.doctor import broker, machine

    counts: Counter[str] = Counter()
    for findings in (broker.checks(settings), machine.checks(settings, processes), _desk(settings)):
        for finding in findings:
            counts[finding.status] += 1
            _print(finding)
    print(f"{counts['OK']} OK, {counts['WARN']} WARN, {counts['FAIL']} FAIL")
    if counts["FAIL"]:
        raise typer.Exit(1)


def _desk(settings: Settings) -> Iterator[Finding]:
    """The desk's database, where it is not a file of its own."""
    if settings.desk_store_url is None and settings.desk_store_url_file is None:
        return

    from desk.store.database import Database, StoreError, address
    from streams.ops.doctor.findings import fail, ok

    try:
        yield ok("desk", Database(address(settings)).ask())
    except StoreError as error:
        yield fail("desk", str(error), "correct desk_store_url, or leave it empty for SQLite in state_dir")


def _print(finding: Finding) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((f"{finding.status:5}", STYLES[finding.status]), f"{finding.what:11} {finding.says}")
    Console(highlight=False, soft_wrap=True).print(line)
    if finding.advice:
        print(f"{'':17}→ {finding.advice}")
    sys.stdout.flush()
