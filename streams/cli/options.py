"""What commands share: the options that settings are made of."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.settings import Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="TOML file with settings. Default: $WAYBILL_CONFIG, else ./waybill.toml."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any setting; repeatable. Properties of Kafka: kafka.NAME=VALUE."),
]
BootstrapOption = Annotated[
    str | None,
    typer.Option("--bootstrap-servers", metavar="HOST:PORT", help="Kafka. Default: $KAFKA_BOOTSTRAP_SERVERS."),
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, help="Most processes that share the work (default: as many as cores).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]

UNREADABLE = 4
"""Exit code where most lines of a file were rejected."""
_DOTTED = ("kafka", "kafka_files")
_TABLES = ("rule_overrides", *_DOTTED)


def add(group: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Add a command with its docstring as help, in which a paragraph may be wrapped anywhere."""
    paragraphs = cleandoc(command.__doc__ or "").split("\n\n")
    group.command(name, help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))(command)


def given(assignments: list[str] | None, **options: Any) -> dict[str, Any]:
    """Settings given on the command line: `--set` assignments, and `options` over them unless None.

    Raises typer.BadParameter for an assignment without `=` or a table that is not JSON.
    """
    values: dict[str, Any] = {}
    for assignment in assignments or ():
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{assignment!r} is not NAME=VALUE", param_hint="--set")
        table, dot, key = name.partition(".")
        if dot and table in _DOTTED:
            values.setdefault(table, {})[key] = value
        elif name in _TABLES:
            values[name] = values.get(name, {}) | _table(name, value)
        else:
            values[name] = value
    return values | {name: value for name, value in options.items() if value is not None}


def settings_of(config: Path | None, assignments: list[str] | None, **options: Any) -> Settings:
    """The settings that hold for this command line. Raises SettingsError or typer.BadParameter, one line each."""
    from streams.settings import load

    return load(config, given(assignments, **options))


def one_output(*, as_json: bool = False, **files: Path | None) -> None:
    """Raise typer.BadParameter if more than one of these is to go to standard output."""
    from streams.files.writing import standard

    names = [f"--{name}" for name, file in files.items() if standard(file)]
    if len(names) + as_json > 1:
        every = " and ".join([*names, *(["--json"] if as_json else [])])
        raise typer.BadParameter(f"{every} would both go to standard output", param_hint=names[0])


def tell_unread(folder: Path, *written: Path | None) -> None:
    """Name on standard error what lies in `folder` and is no file of events, nor one that is `written`."""
    from streams.files.opening import READ
    from streams.files.reading import find, unread
    from streams.generate.files import TRUTH

    if not folder.is_dir():
        return
    known = [*find(folder).values(), folder / TRUTH, *(path for path in written if path is not None)]
    if others := unread(folder, known):
        text = f"{folder}: not read: {others}; what is read is shipments, scans, inspections and reference, {READ}"
        print(f"waybill: {text}", file=sys.stderr)


def tell_unreadable(topics: list[str]) -> None:
    """Exit with `UNREADABLE` and say why where most lines of one of these were rejected."""
    if topics:
        print(f"waybill: most lines of {', '.join(topics)} were rejected: the result means little", file=sys.stderr)
        raise typer.Exit(UNREADABLE)


def _table(name: str, value: str) -> dict[str, Any]:
    try:
        table = json.loads(value)
    except json.JSONDecodeError:
        table = None
    if not isinstance(table, dict):
        raise typer.BadParameter(f"{name}: not a JSON object", param_hint="--set")
    return table
