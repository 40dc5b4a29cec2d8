"""Speed and memory of a worker that holds very many keys, beside one that holds few.

The worker is as it is run, on a broker of its own. Its changelogs hold so many keys (`benchmarks.restore`), it restores
them, and reads generated traffic, in which some scans are of parcels that it has held all along, any of them as likely
as another. That is the worst case for what is kept in memory: of few parcels all soon lie there, of very many none
does. Speeds are of the second half of the traffic.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from benchmarks import report, restore, traffic
from benchmarks.contestants import everything
from benchmarks.contract import BenchmarkError, Context, Loaded, Measured
from schemas import topics
from schemas.inputs import INPUTS
from streams.generate import generate
from streams.kafka import admin
from streams.ops.broker import PrivateKafka
from streams.state.format import FORMAT, UPGRADED

console = Console(stderr=not sys.stdout.isatty(), width=120)
_CHUNK = 50_000


def main(
    keys: Annotated[int, typer.Option(min=1_000, help="Keys in the two changelogs together.")] = 10_000_000,
    few: Annotated[int, typer.Option(min=1_000, help="The same of the run beside it.")] = 100_000,
    parcels: Annotated[int, typer.Option(min=100, help="New parcels; about 8 events each.")] = 50_000,
    held: Annotated[float, typer.Option(min=0, max=1, help="Scans of parcels held before, for each event.")] = 0.1,
) -> None:
    """Events a second and memory with so many live keys, beside few."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    table = Table("keys", "restored and read, s", "events", "events/s, 2nd half", "CPU s per M", "MB", box=None)
    speeds = []
    for count in (few, keys):
        loaded, measured = run(count, parcels, held)
        speeds.append(measured.warm_events_per_s)
        table.add_row(
            f"{count:,}", f"{measured.wall_s:.1f}", f"{loaded.events:,}",
            f"{measured.warm_events_per_s:,.0f}", f"{measured.warm_cpu_s_per_million:.1f}", f"{measured.rss_mb:,.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(f"the speed with {keys:,} keys is {speeds[1] / speeds[0]:.2f} of that with {few:,}", highlight=False)


def run(keys: int, parcels: int, held: float) -> tuple[Loaded, Measured]:
    """One worker over one state."""
    with PrivateKafka(fast_start=False, heap_mb=1_024) as kafka, tempfile.TemporaryDirectory() as folder:
        admin.create(kafka.bootstrap_servers, traffic.PARTITIONS)
        with console.status(f"{keys:,} keys: writing changelogs and traffic"):
            _, known = restore.fill(kafka.bootstrap_servers, keys)
            loaded = load(kafka.bootstrap_servers, parcels, known, held)
        with console.status(f"{keys:,} keys: a worker restores them and reads {loaded.events:,} events"):
            return loaded, everything.resumed(Context("live-keys", loaded, Path(folder)), {})


def load(servers: str, parcels: int, known: int, held: float) -> Loaded:
    """Traffic of new parcels, and after each part of it scans of parcels of the changelogs, which are `known` many."""
    rng, counted, size = np.random.default_rng(1), 0, 0
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "log_level": 3,
            "partitioner": "murmur2_random",
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 4 * _CHUNK,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )

    def publish(topic: str, records: Sequence[traffic.Record], partition: int) -> None:
        nonlocal counted, size
        batch = [{"key": key.encode(), "value": value.encode()} for key, value in records]
        size += sum(len(each["value"]) for each in batch)
        counted += producer.produce_batch(topic, batch, partition)
        if left := producer.flush(60):
            raise BenchmarkError(f"{topic}: {left} records not delivered")

    for changelog in (topics.PARCELS_CHANGELOG, topics.HISTORIES_CHANGELOG):  # nothing in them is of an earlier format
        for number in range(traffic.PARTITIONS):
            producer.produce(changelog, bytes([FORMAT]), UPGRADED, number)
    anywhere = -1
    for chunk in generate(parcels, traffic.SEED):
        for source in INPUTS:
            for part in chunk.frame(source.kind).iter_slices(_CHUNK):
                publish(source.topic, traffic.lines(part), anywhere)
        chosen = rng.integers(0, known, round(held * len(chunk)))
        scans = chunk.rows("scan")
        for number in range(traffic.PARTITIONS):
            mine = [place for place in chosen.tolist() if restore.partition_of(place) == number]
            publish(topics.SCANS, [_scan(scans[place % len(scans)], place, counted) for place in mine], number)
    return Loaded(servers, everything.INPUTS, counted, size / counted, None)


def _scan(like: dict[str, object], place: int, number: int) -> traffic.Record:
    """A scan of a parcel of the changelogs, which is like one of another parcel."""
    carrier_code, _, waybill_no = restore.parcel(place).decode().partition(":")
    row = like | {"event_id": f"held{number}-{place}", "carrier_code": carrier_code, "waybill_no": waybill_no}
    value = msgspec.json.encode({name: each for name, each in row.items() if each is not None})
    return f"{carrier_code}:{waybill_no}", value.decode()
