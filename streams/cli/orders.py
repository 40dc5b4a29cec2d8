"""`waybill orders`: the key of the random arm, and the seeds of days that are over."""

from __future__ import annotations

import time
from datetime import date
from typing import Annotated

import typer

from streams.cli.options import ConfigOption, SetOption, add, settings_of


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Make the key of the random arm; show seeds of past days.", no_args_is_help=True)
    add(group, "key", key)
    add(group, "seed", seed)
    app.add_typer(group, name="orders")


def key(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Write a new key where the setting order_key_file says; no file may be there.

    Only its owner may read it. Every worker needs the same file: with another key they would draw other parcels.
    """
    from streams.ops import keys

    path = settings_of(config, assignments).order_key_file
    if path is None:
        raise typer.BadParameter("name the file with the setting order_key_file", param_hint="--set")
    keys.new_order_key(path)
    print(f"the key of the random arm is in {path}")


def seed(
    day: Annotated[str, typer.Option(metavar="DAY", help="Day in China that is over, such as 2026-11-28.")],
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show the seed of a day that is over, as hex digits, so that anyone can check which parcels were drawn.

    A parcel was drawn if xxh64(seed, then CARRIER:NUMBER) / 2^64 is less than its order's `p`. The seed tells nothing
    of other days. That of a day which is not over would tell which parcels will be checked.
    """
    from streams.flow.orders import day_of, key_of, seed_of

    try:
        wanted = date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter(f"'{day}' is no day: write it as 2026-11-28", param_hint="--day") from None
    if wanted >= day_of(int(time.time() * 1_000)):
        raise typer.BadParameter(f"{wanted} is not over in China: its seed is secret until then", param_hint="--day")
    held = key_of(settings_of(config, assignments))
    if held is None:
        raise typer.BadParameter("name the file of the key with the setting order_key_file", param_hint="--set")
    print(seed_of(held, wanted).hex())
