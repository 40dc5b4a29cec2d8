"""Whether every alert and order is traced: a worker judges generated traffic on a real broker while tracers are killed.

The worker runs as it is run, with the whole catalogue, alerts from the lowest tier, and a random arm. Beside it runs
`waybill tracer`, which is killed again and again; one more ends what is left. Then each parcel's newest order, else its
newest alert, must have its trace, and that trace must be the newest of its parcel.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from benchmarks import report, traffic
from benchmarks.contestants import everything
from benchmarks.contract import BenchmarkError, Context
from benchmarks.tallies import HOME, KEY
from benchmarks.watch import newest, python
from schemas import topics
from schemas.desk import Order, Trace
from schemas.records import Alert
from streams.kafka import admin
from streams.kafka.log_reader import LogReader
from streams.ops.broker import PrivateKafka

ROOT = Path(__file__).parent.parent
LAST_S = 1_800.0  # for the tracer that ends what is left
SET = {
    "WAYBILL_EMIT_FROM": "low", "WAYBILL_HOME_ADCODES": ",".join(HOME), "WAYBILL_ORDER_SHARE": "0.02",
    "WAYBILL_ORDER_KEY": KEY.hex(),
}  # fmt: skip
console = Console(stderr=not sys.stdout.isatty())


def main(
    parcels: Annotated[int, typer.Option(min=100, help="Parcels; about 8 events each.")] = 100_000,
    kill_s: Annotated[float, typer.Option(min=1.0, help="A tracer is killed after so long, on average.")] = 20.0,
    seed: Annotated[int, typer.Option(help="When tracers are killed.")] = 7,
) -> None:
    """Every alert and order of a run traced, once each, whenever a tracer is killed."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    with PrivateKafka(fast_start=False, heap_mb=1_024) as kafka, tempfile.TemporaryDirectory() as folder:
        servers = kafka.bootstrap_servers
        admin.create(servers, traffic.PARTITIONS)
        with console.status("loading"):
            loaded = traffic.load_everything(servers, parcels)
        console.print(f"{loaded.events:,} events of {parcels:,} parcels loaded", highlight=False)
        began = time.monotonic()
        with console.status("judging and tracing"), _killed_again_and_again(servers, kill_s, seed) as kills:
            everything.worker(Context("benchmark-traced", loaded, Path(folder)), SET)
        judged = time.monotonic()
        with console.status("tracing what is left"):
            _tracer(servers, "--once").wait(LAST_S)
        ended = time.monotonic()
        alerts, orders, traces = _newest_alerts(servers), _newest_orders(servers), _traces(servers)
    times, wanted, standing = Counter(traces), {**alerts, **orders}, dict(traces)
    missing = [parcel for parcel, revision in wanted.items() if standing.get(parcel) != revision]
    twice = [key for key, count in times.items() if count > 1]
    console.print(
        f"{len(alerts):,} alerts, {len(orders):,} orders, {len(alerts.keys() & orders.keys()):,} parcels with both; "
        f"{len(traces):,} traces (of earlier revisions too), {kills[0]} kills; {len(missing)} without their trace, "
        f"{len(twice)} traced twice; judged in {judged - began:.0f} s, the rest traced in {ended - judged:.0f} s",
        highlight=False,
    )
    if missing or twice or not alerts or not orders:
        raise BenchmarkError(f"not traced {missing[:3]}, traced twice {twice[:3]}")


@contextmanager
def _killed_again_and_again(servers: str, mean_s: float, seed: int) -> Iterator[list[int]]:
    """A tracer beside what happens inside, killed after some seconds and started again. Yields the number of kills."""
    over, kills, chance = threading.Event(), [0], random.Random(seed)

    def run() -> None:
        while not over.is_set():
            process = _tracer(servers)
            over.wait(mean_s * (0.5 + chance.random()))
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills[0] += 1

    thread = threading.Thread(target=run, name="tracers")
    thread.start()
    try:
        yield kills
    finally:
        over.set()
        thread.join()


def _tracer(servers: str, *options: str) -> subprocess.Popen[bytes]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    command = python("streams.cli", "tracer", "--bootstrap-servers", servers, *options)
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _newest_alerts(servers: str) -> dict[str, int]:
    """The revision that stands, by alert."""
    alerts = (msgspec.json.decode(value, type=Alert) for value in newest(servers, topics.ALERTS).values())
    return {alert.alert_id: alert.revision for alert in alerts}


def _newest_orders(servers: str) -> dict[str, int]:
    """The revision that stands, by the id that alerts of the parcel have; without those taken back."""
    with LogReader(servers, [topics.ORDERS]) as reader:
        found = {entry.key: entry.value for entry in reader.to_end()}
    orders = (msgspec.json.decode(value, type=Order) for value in found.values() if value)
    return {order.order_id: order.revision for order in orders}


def _traces(servers: str) -> list[tuple[str, int]]:
    with LogReader(servers, [topics.TRACES]) as reader:
        traces = (msgspec.json.decode(entry.value or b"", type=Trace) for entry in reader.to_end())
        return [(trace.alert_id, trace.revision) for trace in traces]
