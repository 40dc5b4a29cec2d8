"""`waybill measures`: what answers say about rules, stations and the rule set."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, one_output, settings_of
from streams.cli.output import beside, json_line
from streams.cli.verbs import moment

if TYPE_CHECKING:
    from desk.measures.report import Measures

_DAY_MS = 86_400_000


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "measures", measures)


def measures(
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Clues opened since: 30d, or a day or time in China. All: empty.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All measures as one JSON object.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="File for them as a page; - = standard output."),
    ] = None,
    lang: Annotated[Literal["zh", "en"] | None, typer.Option(help="Language (default: the locale's).")] = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show how often each rule was right, how alerts compare with chance, and how stations keep up.

    Every share comes with a 95 % interval and with its bounds whatever the missing answers are. With fewer than ten
    answers there is no figure, and "no data" is never 0. Suspicion and compliance are never mixed.
    """
    one_output(html=html, as_json=as_json)
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    now = int(time.time() * 1_000)
    since_ms = _since(since, now)

    from desk.survey import survey
    from streams.ops import preflight

    found = survey(preflight.reached(settings), preflight.client(settings), now, since_ms)
    if html is not None:
        from desk.measures.page import page
        from streams.files.writing import whole

        with whole(html) as file:
            file.write(page(found).encode())
    if as_json:
        json_line(found)
    else:
        with beside(html):
            _print(found, lang)


def _since(text: str | None, now_ms: int) -> int:
    if not text:
        return 0
    if days := re.fullmatch(r"(\d+)\s*d", text):
        return now_ms - int(days[1]) * _DAY_MS
    return moment(text) or 0


def _print(found: Measures, lang: Literal["zh", "en"] | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from desk.measures.tables import tables
    from desk.measures.wording import NONE
    from streams.cli.views.alert import language

    spoken = lang or language()
    console = Console(highlight=False, markup=False, soft_wrap=False)
    for each in tables(found, spoken):
        console.print(each.title, style="bold")
        if each.rows:
            shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
            for name in each.head:
                shown.add_column(name, overflow="fold", header_style="dim", no_wrap=name == each.head[0])
            for row in each.rows:
                shown.add_row(*row)
            console.print(shown)
        else:
            console.print(NONE[spoken], style="dim")
        if each.remark:
            console.print(each.remark, style="dim")
        console.print()
