"""`waybill desk`: the desk in a browser and over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import accounts
from streams.cli.options import BootstrapOption, ConfigOption, SetOption, add, settings_of
from streams.cli.watched import MetricsPortOption, served
from streams.cli.webhook import webhook

if TYPE_CHECKING:
    from desk.store.projection import Progress


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The desk in a browser, and the verbs of `waybill clues` as JSON.", no_args_is_help=True)
    add(group, "serve", serve)
    add(group, "webhook", webhook)
    accounts.register(group)
    app.add_typer(group, name="desk")


def serve(
    users: Annotated[Path, typer.Option(metavar="FILE", help="The file of accounts; `desk user add` makes it.")],
    directory: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON: an OpenID provider, a proxy, and the roles of their groups."),
    ] = None,
    door: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Socket of `waybill tracer --door`: two people may see a field.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 = any free one.")] = 6067,
    metrics_port: MetricsPortOption = None,
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Serve the desk: pages at /desk, and clues as JSON: GET /clues, POST /clues/CLUE/VERB; see /openapi.json.

    Whoever asks has an account, with roles: people log in with a password, machines send a bearer token. Put TLS in
    front of it before you listen at another address than 127.0.0.1.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from desk.store import database
    from desk.web import directory as directories
    from desk.web.serving import Server, desk_on
    from desk.web.users import Users
    from streams.metrics import DeskMetrics
    from streams.ops import preflight

    known = Users.of(users)
    others = None if directory is None else directories.read(directory)
    servers, client = preflight.permitted(settings, "desk"), preflight.client(settings)
    metrics = DeskMetrics()
    served(metrics, settings.web_host, metrics_port)
    with desk_on(servers, client, database.address(settings), settings, _told, metrics) as desk:
        projection = desk.projection
        metrics.look_at(lambda: desk.live.open, lambda: projection.behind_s, lambda: projection.unread)
        print(f"the desk: http://{host}:{port}/desk", file=sys.stderr, flush=True)
        Server(desk, known, host, port, others, door).run()


def _told(progress: Progress) -> None:
    if progress.total:
        print(f"reading clues: {progress.done:,} of {progress.total:,} records", file=sys.stderr, flush=True)
