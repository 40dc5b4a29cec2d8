"""Progress bars on standard error: share done, rows, rows per second, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

ProgressOption = Annotated[
    bool | None, typer.Option("--progress/--no-progress", help="Progress bar (default: on a terminal).")
]


@contextmanager
def bar(wanted: bool | None) -> Iterator[Callable[[str, float, int], None]]:
    """A function `(step, share, rows)` that shows how far a step is; a new name of a step starts a new bar.

    wanted: None = on a terminal only.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[rows]:>11,} rows {task.fields[rate]:>9,.0f}/s"), TimeElapsedColumn(),
    )  # fmt: skip
    shown = console.is_terminal if wanted is None else wanted
    tasks: dict[str, tuple[TaskID, float]] = {}
    with Progress(*columns, console=console, disable=not shown) as progress:

        def advance(step: str, share: float, rows: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=1.0, rows=0, rate=0.0), time.monotonic()
            task, began = tasks[step]
            rate = rows / max(time.monotonic() - began, 0.001)
            progress.update(task, completed=share, rows=rows, rate=rate)

        yield advance
