"""Table and plots of a run, from its JSON alone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import report
from benchmarks.peers.environments import HERE, UnavailableError, Venv


def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What --json wrote.")],
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Draw benchmarks.en.svg and .zh.svg there.")
    ] = None,
) -> None:
    """Table, in Markdown, and plots of a run that was kept."""
    typer.echo(report.markdown(report.read(file)))
    if plots is None:
        return
    plots.mkdir(parents=True, exist_ok=True)
    environment = Venv("plots")
    try:
        environment.prepare()
    except UnavailableError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    subprocess.run([environment.python(), str(HERE / "draw.py"), str(file), str(plots)], check=True)
