"""`waybill tallies`: how outlets do their duties, counted over all parcels."""

from __future__ import annotations

import re
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from desk.tallies import OutletDay
    from schemas.terms import Duty

_TITLES = {
    "zh": ("日期", "网点", "件", "实名", "开箱", "安检", "二次安检", "持证", "登记", "走形式", "无轨迹", "晚传",
           "预警"),
    "en": ("day", "outlet", "parcels", "real name", "open box", "x-ray", "second", "licence", "courier", "formal",
           "ghost", "late", "alerts"),
}  # fmt: skip
_DUTIES: tuple[Duty, ...] = ("realname", "open_box", "xray", "second_xray", "licensed", "registered")


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "tallies", tallies)


def tallies(
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="First day: 2026-11-01, or 7d for the newest seven. All: empty.")
    ] = None,
    outlet: Annotated[str | None, typer.Option(metavar="ID", help="This outlet alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per outlet and day.")] = False,
    lang: Annotated[Literal["zh", "en"] | None, typer.Option(help="Language (default: the locale's).")] = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show what parcels count for, by outlet and day: duties done of those due, and what is notable.

    All parcels count, with or without an alert, each once. A duty is due once the parcel has departed, and where
    reference data know of it. Workers publish what has changed every `tally_every_s`.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)
    newest, first = _since(since)

    import msgspec

    from desk.tallies import read
    from streams.ops import preflight

    found = read(preflight.reached(settings), preflight.client(settings), first, outlet)
    if newest and found:
        first = (date.fromisoformat(found[-1].day) - timedelta(days=newest - 1)).isoformat()
        found = [each for each in found if each.day >= first]
    if as_json:
        for each in found:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
    else:
        _print(found, lang)


def _since(text: str | None) -> tuple[int, str]:
    """How many of the newest days, 0: all; and the first day."""
    if not text:
        return 0, ""
    if days := re.fullmatch(r"([1-9]\d*)\s*d", text):
        return int(days[1]), ""
    try:
        return 0, date.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no day: write 2026-11-01, or 7d", param_hint="--since") from None


def _print(found: list[OutletDay], lang: Literal["zh", "en"] | None) -> None:
    from rich.console import Console
    from rich.table import Table

    from desk.measures.wording import NONE
    from streams.cli.views.alert import language

    spoken = lang or language()
    console = Console(highlight=False, markup=False, soft_wrap=False)
    if not found:
        console.print(NONE[spoken], style="dim")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, title in enumerate(_TITLES[spoken]):
        table.add_column(title, justify="left" if number < 2 else "right", header_style="dim", overflow="fold")
    for each in found:
        done = [each.duties.get(duty) for duty in _DUTIES]
        shares = [f"{count.done}/{count.due}" if count else "–" for count in done]
        marks = (each.formal_open_box, each.ghost, each.late_upload, sum(each.alerts.values()))
        table.add_row(each.day, each.outlet_id, f"{each.total:,}", *shares, *(f"{mark:,}" for mark in marks))
    console.print(table)
