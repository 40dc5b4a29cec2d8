"""What a parcel leaves on the broker's disk, by topic: what `waybill size` reckons with.

A worker as it is run judges generated traffic on a broker of its own, a tracer and the dispatcher follow. Then the log
files of each topic are measured as they lie there, compressed by producers and workers with lz4, before anything was
compacted or deleted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import report, traffic
from benchmarks.contestants import everything
from benchmarks.contract import BenchmarkError, Context
from benchmarks.tallies import HOME
from benchmarks.watch import python
from schemas.topics import TOPICS
from streams.kafka import admin
from streams.kafka.log_reader import LogReader
from streams.ops.broker import PrivateKafka

console = Console(stderr=not sys.stdout.isatty(), width=120)
_FOLLOW_S = 900.0


def main(
    parcels: Annotated[int, typer.Option(min=100, help="Parcels; about 8 events each.")] = 50_000,
    processes: Annotated[int, typer.Option(min=1, help="Workers; one alone asks nobody for histories.")] = 2,
) -> None:
    """Bytes on the broker's disk a parcel, by topic."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    with PrivateKafka(fast_start=False, heap_mb=1_024) as kafka, tempfile.TemporaryDirectory() as folder:
        servers = kafka.bootstrap_servers
        admin.create(servers, traffic.PARTITIONS)
        loaded = traffic.load_everything(servers, parcels)
        settings = {"WAYBILL_HOME_ADCODES": ",".join(HOME)}
        everything.worker(Context("benchmark-disk", loaded, Path(folder)), settings, processes=processes)
        for name in ("tracer", "dispatcher"):
            _follow(name, servers)
        table = Table("topic", *(f"{name} a parcel" for name in ("records", "B")), "B a record", box=None)
        for topic in TOPICS:
            records = _records(servers, topic.name)
            size = sum(path.stat().st_size for path in kafka.data_dir.rglob(f"{topic.name}-[0-9]*/*.log"))
            if records:
                table.add_row(topic.name, f"{records / parcels:.4f}", f"{size / parcels:.1f}", f"{size / records:.0f}")
    console.print(f"{parcels:,} parcels, {loaded.events:,} events of {loaded.bytes_mean:.0f} B", highlight=False)
    console.print(table)


def _records(servers: str, topic: str) -> int:
    """Of finished transactions, without their marks."""
    with LogReader(servers, [topic]) as reader:
        return sum(len(piece) for piece in reader.pieces_to_end())


def _follow(name: str, servers: str) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("WAYBILL_")}
    command = python("streams.cli", name, "--once", "--bootstrap-servers", servers)
    if subprocess.run(command, env=env, capture_output=True, timeout=_FOLLOW_S, check=False).returncode:
        raise BenchmarkError(f"the {name} failed")
