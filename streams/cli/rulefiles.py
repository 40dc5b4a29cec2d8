"""The rules that a command is about: those of a folder, or some of them, as far as they load."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rules import Catalogue
    from streams.settings import Settings


def catalogues(settings: Settings, chosen: list[str] | None) -> tuple[Catalogue, Catalogue]:
    """The chosen rules in force, and as written, those that are off among them. Raises RuleError.

    A fault in another file than theirs does not matter. Without a choice every file must load.
    """
    from rules.engine.catalogue import load_catalogue, load_files
    from rules.engine.folder import read_files, rule_ids

    if not chosen:
        in_force = load_catalogue(settings.rules_dir, settings.rule_overrides, with_off=True)
        return in_force, load_catalogue(settings.rules_dir, with_off=True)
    folder = folder_of(settings)
    check_known(chosen, rule_ids(folder))
    files = read_files(folder, only=chosen)
    overrides = {name: values for name, values in settings.rule_overrides.items() if name in files}
    written = load_files(files, folder=folder, with_off=True)
    return load_files(files, overrides, folder=folder, with_off=True), written


def check_known(chosen: list[str], ids: Collection[str], *, families: bool = True) -> None:
    names = set(ids)
    if families:
        names |= {name.partition(".")[0] for name in names}
    for name in chosen:
        if name not in names:
            close = difflib.get_close_matches(name, sorted(names), n=1)
            hint = f", perhaps {close[0]}" if close else "; `waybill rules list` has them all"
            raise typer.BadParameter(f"no rule {name}{hint}", param_hint="RULE")


def folder_of(settings: Settings) -> Path:
    from rules.engine.folder import SHIPPED
    from rules.lint.lint import near

    return near(settings.rules_dir or SHIPPED)


def own_folder(settings: Settings) -> Path:
    if settings.rules_dir is None:
        raise typer.BadParameter(
            "no folder; `waybill rules copy DIR` makes one of the shipped rules", param_hint="--rules"
        )
    return settings.rules_dir
