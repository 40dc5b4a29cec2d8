"""`waybill settings`: what is set, to what, and by whom."""

from __future__ import annotations

import sys

import typer

from streams.cli.options import ConfigOption, JsonOption, SetOption, add, given
from streams.cli.output import json_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "settings", show)


def show(config: ConfigOption = None, assignments: SetOption = None, as_json: JsonOption = False) -> None:
    """List the settings: name, value, where it comes from, meaning.

    Secrets are not shown. Piped, it prints one line per setting, separated by tabs.
    """
    from streams.settings import Settings, config_file, load, origin
    from streams.settings_shown import shown, unknown_variables

    options = given(assignments)
    settings, file = load(config, options), config_file(config)
    rows = [
        (name, shown(settings, name), origin(name, options, file), str(field.description))
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        for name, value, source, description in rows:
            json_line({"name": name, "value": value, "source": source, "description": description})
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for heading in ("setting", "value", "from", "meaning"):
            table.add_column(heading, overflow="fold")
        for name, value, source, description in rows:
            style = None if source == "default" else "bold"
            table.add_row(name, value, source, description, style=style)
        Console(markup=False, highlight=False).print(table)
    else:
        for row in rows:
            print("\t".join(row))
    for variable in unknown_variables():
        print(f"waybill: warning: {variable} names no setting", file=sys.stderr)
