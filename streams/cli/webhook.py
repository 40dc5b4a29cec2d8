"""`waybill desk webhook`: another system is told of each dispatch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import BootstrapOption, ConfigOption, SetOption, settings_of


def webhook(
    url: Annotated[str, typer.Argument(help="Whom to tell: an http or https address.")],
    key_file: Annotated[Path, typer.Option(metavar="FILE", help="Key of the signature: 32 bytes as hex digits.")],
    bootstrap_servers: BootstrapOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Post each dispatch to URL, signed as Standard Webhooks has it, and again for four minutes until it answers 2xx.

    A receiver may be told twice by the same webhook-id. Clues under controlled delivery are not told.
    """
    settings = settings_of(config, assignments, bootstrap_servers=bootstrap_servers)

    from desk.webhook import Webhook, key_in
    from streams.ops import preflight

    key = key_in(key_file)
    with Webhook(
        preflight.permitted(settings, "webhook"), preflight.client(settings), url, key, group=settings.group
    ) as running:
        print(f"telling {url}", file=sys.stderr, flush=True)
        while True:
            running.step()
