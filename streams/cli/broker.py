"""`waybill broker`: the private Kafka alone, for development."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import interrupts
from streams.cli.options import add


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Run a private Kafka for development, without Java or Docker.", no_args_is_help=True)
    group.callback()(lambda: None)  # a group even while it has one command
    add(group, "run", run)
    app.add_typer(group, name="broker")


def run(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of its data, kept. Default: a temporary one, removed at the end.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0 = any free one.")] = 9092,
) -> None:
    """Run a single-node Apache Kafka until Ctrl-C.

    The first start fetches Kafka's jars once (about 45 MB) and takes a minute.
    """
    from streams.ops.broker import BrokerError, PrivateKafka

    # A shell without job control has its background processes ignore it; a worker does not, so neither does this.
    signal.signal(signal.SIGINT, interrupts.stop)
    print("starting Apache Kafka …", file=sys.stderr)
    with PrivateKafka(data_dir, port=port) as kafka:
        print(f"export KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap_servers}", flush=True)
        print("running; Ctrl-C ends it", file=sys.stderr)
        while kafka.running:
            time.sleep(0.5)
        raise BrokerError(f"the private Kafka ended by itself; its log: {kafka.log_path}")
