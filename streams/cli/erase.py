"""`waybill erase`: take a person's tokens out of state, alerts and traces."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.errors import unread
from streams.cli.bars import ProgressOption, bar
from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.flow.erasure import Given

KINDS: tuple[Given, ...] = ("id", "phone", "token")


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "erase", erase)


def erase(
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Who: lines `id NUMBER`, `phone NUMBER`, `token TOKEN`."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look, and say what holds the person.")] = False,
    delete_events: Annotated[
        bool,
        typer.Option(
            "--delete-events",
            help="Delete shipment records up to the last of this person: those of other parcels go, too.",
        ),
    ] = False,
    progress: ProgressOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Take a person's tokens out of state, alerts and traces, at the person's request.

    Who it is, it asks for without showing it, or reads as lines from standard input or a file: never from the command
    line, which others can see. Give every ID number and mobile that the person names. Stop all workers first, and
    start them again afterwards, with empty state folders. If it is stopped or killed, run it again.
    """
    from streams.ops import preflight
    from streams.worker.erase import Erasure

    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    for caution in preflight.cautions(settings):
        print(f"waybill: warning: {caution}", file=sys.stderr)
    given = given_in(file)
    settings = settings.model_copy(update={"bootstrap_servers": preflight.reached(settings)})

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    with bar(progress) as advance, Erasure(settings, given, say=say, advance=advance) as erasure:
        found = erasure.look(alone=not dry_run)
        for topic, records in found.records.items():
            print(f"{topic}: {records:,} records")
        print(f"{found.own:,} histories of the person, {found.others:,} of others; {found.parcels:,} parcels, of which "
              f"{found.open:,} have an open alert; {found.messages:,} alerts and traces")  # fmt: skip
        if dry_run or found.nothing:
            print("nothing was changed" if dry_run else "there is nothing to erase")
            return
        erasure.run(found, delete_events=delete_events)
    print("erased; start the workers with empty state folders")


def given_in(file: Path | None) -> list[tuple[Given, str]]:
    """What names the person. Raises typer.BadParameter, which never shows it."""
    if file is None and sys.stdin.isatty():
        asked = ((kind, getpass.getpass(f"{kind} (empty: none): ").strip()) for kind in KINDS)
        return [(kind, value) for kind, value in asked if value]
    try:
        text = sys.stdin.read() if file is None else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {file}: {unread(error)}", param_hint="--from") from None
    found: list[tuple[Given, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        word, _, value = line.strip().partition(" ")
        kind = next((each for each in KINDS if each == word), None)
        if kind is not None and value.strip():
            found.append((kind, value.strip()))
        elif word:
            raise typer.BadParameter(f"line {number} is not `id`, `phone` or `token` with a value", param_hint="--from")
    return found
