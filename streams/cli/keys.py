"""`waybill keys`: the keys of tokens, of which only ids are ever shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.settings import Settings

IdOption = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="Name of the new key, shown in alerts (default: today's date).")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Make, rotate and list the keys of tokens.", no_args_is_help=True)
    add(group, "new", new)
    add(group, "rotate", rotate)
    add(group, "show", show)
    app.add_typer(group, name="keys")


def new(key_id: IdOption = None, config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Write both key files, where the settings token_key_file and token_state_key_file say; neither may be there.

    Only their owner may read them. Every worker needs the same files. Keep a copy of the state key: without it, the
    history of each person begins anew.
    """
    from streams.ops import keys

    files = _files(settings_of(config, assignments))
    print(f"{keys.new(*files, key_id)} is the publish key in {files[0]}; the state key is in {files[1]}")


def rotate(key_id: IdOption = None, config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Add a publish key to token_key_file, as the current one. The state key never changes.

    Put the file on every worker, then restart them one by one: from then on alerts carry tokens of the new key. No
    history is lost. Keep older keys in the file for as long as their alerts must be found: meanwhile alerts carry the
    tokens of all of them, and `waybill alerts --sender TOKEN` finds a sender under each.
    """
    from streams.ops import keys

    files = _files(settings_of(config, assignments))
    print(f"{keys.rotate(*files, key_id)} is the current publish key in {files[0]}; restart the workers one by one")


def show(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Show the ids of the publish keys, the current one first, and never a key."""
    from streams.ops import keys

    files = _files(settings_of(config, assignments))
    for number, name in enumerate(keys.held_in(*files)):
        print(f"{name}{'  current' if not number else ''}")


def _files(settings: Settings) -> tuple[Path, Path]:
    if settings.token_key_file is None or settings.token_state_key_file is None:
        raise typer.BadParameter("name both files with the settings token_key_file and token_state_key_file",
                                 param_hint="--set")  # fmt: skip
    return settings.token_key_file, settings.token_state_key_file
