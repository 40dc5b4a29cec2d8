"""`waybill alerts`: the alert topic, as an analyst reads it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.cli.options import BootstrapOption, ConfigOption, JsonOption, SetOption, add, settings_of

if TYPE_CHECKING:
    from rich.console import Console

    from streams.kafka.alerts import AlertReader, Change, Newest, NewestShadows

TABLE_ROWS = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "alerts", alerts)


def alerts(
    tier: Annotated[
        Literal["low", "medium", "high", "extreme"], typer.Option(help="Alerts of this tier and above.")
    ] = "low",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, and show changes as they come.")] = False,
    as_json: JsonOption = False,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help=f"At most so many, the newest; 0 = all (default: {TABLE_ROWS}, all with --json)."),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning/--latest", help="Where --follow begins: with all of history, or now.")
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Show instead what does not count: rules in shadow, rules held back.")
    ] = False,
    lang: Annotated[
        Literal["zh", "en"] | None, typer.Option(help="Language of the titles (default: that of the locale).")
    ] = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Show the open alerts, newest first: one per parcel, its newest verdict.

    --json prints each alert as it is on the topic, one a line. --follow shows what comes until Ctrl-C: new alerts,
    those with other reasons than before, and those withdrawn; with --json, every message. With --shadow, --tier is
    that which the parcel would have, and a parcel below the lowest is left out.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from streams.cli.views.alert import language
    from streams.kafka.alerts import AlertReader, Newest, NewestShadows
    from streams.ops import preflight

    with AlertReader(preflight.reached(settings), client=preflight.client(settings), shadow=shadow) as reader:
        output = _Output(as_json, lang or language())
        most = limit if limit is not None else (0 if as_json else TABLE_ROWS)
        try:
            if shadow:
                _shadows(reader, NewestShadows(tier), output, most, follow=follow, from_beginning=from_beginning)
            elif follow:
                _follow(reader, Newest(tier), output, from_beginning)
            else:
                _open(reader, Newest(tier), output, most)
        except BrokenPipeError:  # `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if reader.unreadable:
            print(f"waybill: warning: {reader.unreadable} messages are not of this version", file=sys.stderr)


def _open(reader: AlertReader, newest: Newest, output: _Output, limit: int) -> None:
    for change in reader.to_end():
        newest.take(change)
    found = newest.sorted()
    output.all(found[:limit] if limit else found, len(found))


def _follow(reader: AlertReader, newest: Newest, output: _Output, from_beginning: bool) -> None:
    """What is open now has to be known also where only changes are shown: a withdrawal is one of something shown."""
    for change in reader.to_end():
        before, now = newest.take(change)
        if from_beginning:
            output.change(change, before, now)
    while True:
        for change in reader.poll(0.2):
            output.change(change, *newest.take(change))


def _shadows(
    reader: AlertReader, newest: NewestShadows, output: _Output, limit: int, *, follow: bool, from_beginning: bool
) -> None:
    for change in reader.to_end():
        news = newest.take(change)
        if news and follow and from_beginning:
            output.shadows([change])
    if not follow:
        found = newest.sorted()
        output.shadows(found[:limit] if limit else found, total=len(found))
    while follow:
        output.shadows([change for change in reader.poll(0.2) if newest.take(change)])


class _Output:
    def __init__(self, as_json: bool, lang: Literal["zh", "en"]) -> None:
        self._json = as_json
        self._lang = lang
        self._console: Console | None = None

    def all(self, changes: list[Change], total: int) -> None:
        """The open alerts; `total` of which these are the newest."""
        from streams.cli.views import alert as view

        if self._json:
            for change in changes:
                self._line(change)
            return
        rows = view.table()
        for change in changes:
            if change.alert is not None:
                view.add(rows, change.alert, self._lang, note=view.when(change.alert.detected_at))
        console = self._terminal()
        if changes:
            console.print(rows)
        more = f"; the newest {len(changes)} of them, --limit 0 shows all" if total > len(changes) else ""
        console.print(f"{total:,} open {'alert' if total == 1 else 'alerts'}{more}")

    def change(self, change: Change, before: Change | None, now: Change | None) -> None:
        """One change, if it is one to what is shown. `before`, `now`: what was and is shown of its parcel."""
        if before is None and now is None:
            return
        if self._json:
            self._line(change)
            return
        from streams.cli.views import alert as view
        from streams.kafka.alerts import same_verdict

        if same_verdict(before, now):
            return

        alert = change.alert or (before.alert if before else None)
        if alert is None:
            return
        if now is None:
            what = "forgotten" if change.alert is None else "below the tier" if alert.status == "open" else "withdrawn"
        elif before is None or before.alert is None:
            what = "new"
        else:
            what = f"was {before.alert.tier} {before.alert.score}"
        rows = view.table(heading=False)
        view.add(rows, alert, self._lang, note=f"{view.when(change.at_ms)} {what}")
        self._terminal().print(rows)
        sys.stdout.flush()

    def shadows(self, changes: list[Change], total: int | None = None) -> None:
        """Messages of the shadow topic; `total`: all there are, of which these are the newest."""
        from streams.cli.views import alert as view

        if self._json:
            for change in changes:
                self._line(change)
            return
        rows = view.table(heading=total is not None)
        for change in changes:
            if change.shadow is not None:
                view.add_shadow(rows, change.shadow, self._lang, note=view.when(change.at_ms))
        if rows.row_count:
            self._terminal().print(rows)
        if total is not None:
            more = f"; the newest {len(changes)} of them, --limit 0 shows all" if total > len(changes) else ""
            self._terminal().print(f"{total:,} in shadow{more}")
        sys.stdout.flush()

    def _line(self, change: Change) -> None:
        if not change.raw:
            return
        sys.stdout.buffer.write(change.raw.replace(b"\n", b" ") + b"\n")
        sys.stdout.buffer.flush()

    def _terminal(self) -> Console:
        if self._console is None:
            from rich.console import Console

            # Piped output keeps the width of 80 columns, as rich would choose; COLUMNS overrides it.
            self._console = Console(highlight=False, markup=False, soft_wrap=False)
        return self._console
