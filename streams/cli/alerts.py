"""`waybill alerts`: the alert topic, as an analyst reads it."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from streams.cli.views.alerts import Output
    from streams.kafka.alerts import AlertReader, Newest, NewestShadows, Order

TABLE_ROWS = 50
_LOOK_S = 0.2


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "alerts", alerts)


def alerts(
    parcels: Annotated[
        list[str] | None, typer.Argument(metavar="[PARCEL]...", help="Only these: CARRIER:NUMBER, or the number.")
    ] = None,
    tier: Annotated[
        Literal["low", "medium", "high", "extreme"], typer.Option(help="Alerts of this tier and above.")
    ] = "low",
    place: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="Where it can next be stopped: start of a GB/T 2260 code. Repeatable."),
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="That this rule, or one of this family, opens. Repeatable.")
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="Of this sender, also under tokens of other keys. As sender_token has it."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Found at this time or later: 2026-11-29, 2026-11-29T08:30, 2h or 3d ago."),
    ] = None,
    sort: Annotated[Literal["urgency", "time"], typer.Option(help="Most urgent first, or newest first.")] = "time",
    evidence: Annotated[bool, typer.Option("--evidence", help="Show also what each rule found.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show changes as they come.")] = False,
    as_json: JsonOption = False,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the evidence as CSV, a row a value; - = standard output."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"At most so many; 0 = all (default: {TABLE_ROWS}, all with --json or --csv)."),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning/--latest", help="Where --follow begins: with all of history, or now.")
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Show instead what does not count: rules in shadow, rules held back.")
    ] = False,
    lang: Annotated[Literal["zh", "en"] | None, typer.Option(help="Language (default: that of the locale).")] = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show the open alerts, newest first: one per parcel, its newest verdict.

    Of parcels that you name, and of a sender, withdrawn alerts are shown, too. Times are China time (UTC+8), amounts
    are in yuan.

    --json prints each alert as it is on the topic, one a line, in the units of the topic. With --evidence, the evidence
    of all its rules is one list of rule, column and value, which tools for tables read without a column for each. --csv
    writes such rows to a file.

    --follow shows what comes until Ctrl-C: new alerts, those with other reasons than before, and those withdrawn; with
    --json, every message. With --shadow, --tier is the tier that the parcel would have, and a parcel below the lowest
    is left out.
    """
    if as_json and csv is not None:
        raise typer.BadParameter("give either --json or --csv", param_hint="--csv")
    if shadow and (place or sender or csv is not None or sort == "urgency"):
        raise typer.BadParameter("does not go with --place, --sender, --csv or --sort urgency", param_hint="--shadow")
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.cli.views.alert import language
    from streams.cli.views.alerts import opened
    from streams.kafka.alerts import AlertReader, Asked, Newest, NewestShadows
    from streams.ops import preflight

    places, since_ms = tuple(_prefix(each) for each in place or ()), _since(since) if since else 0
    servers, client = preflight.reached(settings), preflight.client(settings)
    asked = Asked(
        tier=tier,
        parcels=frozenset(parcels or ()),
        places=places,
        rules=tuple(rule or ()),
        since_ms=since_ms,
        sender=_sender(sender, servers, client) if sender else frozenset(),
    )
    most = limit if limit is not None else (0 if as_json or csv is not None else TABLE_ROWS)
    with (
        AlertReader(servers, client=client, shadow=shadow) as reader,
        opened(
            asked, lang or language(), as_json=as_json, csv=csv, evidence=evidence, rules_dir=settings.rules_dir
        ) as output,
    ):
        try:
            if shadow:
                _shadows(reader, NewestShadows(asked), output, most, follow=follow, from_beginning=from_beginning)
            elif follow:
                _follow(reader, Newest(asked), output, from_beginning)
            else:
                _open(reader, Newest(asked), output, most, sort)
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        output.warn(reader.unreadable)


def _open(reader: AlertReader, newest: Newest, output: Output, limit: int, sort: Order) -> None:
    for change in reader.to_end():
        newest.take(change)
        output.hear(change)
    found = newest.sorted(sort)
    output.all(found[:limit] if limit else found, len(found))


def _follow(reader: AlertReader, newest: Newest, output: Output, from_beginning: bool) -> None:
    """What is open now has to be known also where only changes are shown: a withdrawal is one of something shown."""
    for change in reader.to_end():
        output.hear(change)
        before, now = newest.take(change)
        if from_beginning:
            output.change(change, before, now)
    while True:
        for change in reader.poll(_LOOK_S):
            output.hear(change)
            output.change(change, *newest.take(change))


def _shadows(
    reader: AlertReader, newest: NewestShadows, output: Output, limit: int, *, follow: bool, from_beginning: bool
) -> None:
    for change in reader.to_end():
        output.hear(change)
        news = newest.take(change)
        if news and follow and from_beginning:
            output.shadows([change])
    if not follow:
        found = newest.sorted()
        output.shadows(found[:limit] if limit else found, total=len(found))
    while follow:
        output.shadows([change for change in reader.poll(_LOOK_S) if newest.take(change)])


def _prefix(text: str) -> str:
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise typer.BadParameter(f"{text!r} is not the start of a GB/T 2260 code, such as 4401", param_hint="--place")
    return text


def _sender(token: str, servers: str, client: Mapping[str, str | int | float | bool]) -> frozenset[str]:
    """All tokens of that sender, by the alerts that carry more than one."""
    from streams.kafka.alerts import AlertReader, linked

    with AlertReader(servers, client=client) as reader:
        return linked(token, reader.to_end())


def _since(text: str) -> int:
    """A moment, epoch ms: a date, a date and time (China time unless it names a zone), or so long ago."""
    from streams.values import CHINA

    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.removesuffix(" ago").strip()):
        seconds = float(ago[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[ago[2]]
        return int((time.time() - seconds) * 1_000)
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-29, 2026-11-29T08:30, or 2h for two hours ago", param_hint="--since"
        ) from None
