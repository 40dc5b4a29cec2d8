"""How fast an empty volume is filled from the changelog.

Values are those that the worker keeps of generated traffic, under as many keys as are asked for; they are written as
the worker writes them, in transactions of some ten thousand records. The restore is the worker's own, in a process of
its own, and everything that comes after it until the worker could read events is timed, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import psutil
import typer
from confluent_kafka import Producer
from rich.console import Console

from benchmarks import report
from benchmarks.contract import BenchmarkError
from rules import load_catalogue
from schemas.inputs import INPUTS
from schemas.topics import HISTORIES_CHANGELOG, PARCELS_CHANGELOG
from streams.files.driver import Offline, raw
from streams.flow.describe.describer import Describer
from streams.flow.pipeline import Parcels
from streams.flow.time.expiry import Retention
from streams.generate import Chunk, generate
from streams.kafka.admin import create
from streams.kafka.restore import restore
from streams.ops.broker import PrivateKafka
from streams.settings import Settings
from streams.state.rocks import RocksStore
from streams.state.store import END, FIRST, MemoryStore, whole
from streams.state.tuning import Shared

PARTITIONS = 4
PARCELS = 4_000  # of which the values are
EPOCH = 20_000
console = Console(stderr=not sys.stdout.isatty())
Pair = tuple[bytes, bytes]


def main(
    keys: Annotated[int, typer.Option(min=1_000, help="Keys in the two changelogs together.")] = 5_000_000,
) -> None:
    """Restore a state of so many keys from its changelog onto an empty volume."""
    with PrivateKafka(fast_start=False, heap_mb=1_024) as kafka, tempfile.TemporaryDirectory() as folder:
        create(kafka.bootstrap_servers, PARTITIONS)
        with console.status("writing the changelogs"):
            size, _ = fill(kafka.bootstrap_servers, keys)
        console.print(f"{keys:,} records of {size / keys:.0f} bytes on the changelogs", highlight=False)
        load = os.getloadavg()[0]
        command = [sys.executable, "-m", "benchmarks.restore", kafka.bootstrap_servers, folder]
        child = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        if child.returncode:
            raise BenchmarkError(f"the restore ended with {child.returncode}")
        found = json.loads(child.stdout)
    if found["records"] != keys:
        raise BenchmarkError(f"{found['records']:,} records of {keys:,} came back")
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    console.print(
        f"load before {load:.1f} | {found['records']:,} records in {found['restore_s']:.1f} s: "
        f"{found['records'] / found['restore_s']:,.0f} records/s, {found['cpu_s']:.1f} CPU s | deadlines of "
        f"{found['parcels']:,} parcels found in {found['recall_s']:.1f} s | {found['rss_mb']:,.0f} MB RSS, "
        f"{found['disk_mb']:,.0f} MB on disk",
        highlight=False,
    )


def fill(servers: str, keys: int) -> tuple[int, int]:
    """Write the changelogs; bytes of the values, and how many parcels there are, see `parcel`."""
    parcels, histories = samples()
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "transactional.id": "benchmark-fill",
            "compression.type": "lz4",
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": 10_000_000,
        }
    )
    producer.init_transactions(30)
    size = 0
    several = len(histories) / len(parcels)  # buckets a parcel
    share = round(keys / (1 + several))
    for topic, some, count in ((PARCELS_CHANGELOG, parcels, share), (HISTORIES_CHANGELOG, histories, keys - share)):
        made = many(topic, some, count)
        for first in range(0, count, EPOCH):
            records: list[Any] = [
                {"key": key, "value": value} for key, value in islice(made, min(EPOCH, count - first))
            ]
            size += sum(len(each["value"]) for each in records)
            producer.begin_transaction()
            if producer.produce_batch(topic, records, partition_of(first)) < len(records):
                raise BenchmarkError("records were not taken")
            producer.commit_transaction(60)
    return size, share


def samples() -> tuple[list[Pair], list[Pair]]:
    """What the two states hold of a day of traffic, keys and values."""
    settings = Settings()
    run = Offline(settings, load_catalogue(), retention=Retention.of(settings), now_ms=int(time.time() * 1_000))
    for chunk in generate(PARCELS, seed=1, days=1.0):
        run.feed([raw(each.topic, 0, lines(chunk, each.kind)) for each in INPUTS if len(chunk.frame(each.kind))])
    parcels, histories = run.stores
    return parcels.scan(0, FIRST, sys.maxsize), histories.scan(0, b"", sys.maxsize, END)


def lines(chunk: Chunk, kind: str) -> list[bytes]:
    """Records as they are on the wire."""
    encode = msgspec.json.Encoder().encode
    return [encode({name: each for name, each in row.items() if each is not None}) for row in chunk.rows(kind)]


def many(topic: str, some: list[Pair], count: int) -> Iterator[Pair]:
    """So many keys in no order, each with one of these values."""
    for number, (key, value) in enumerate(islice(cycle(some), count)):
        entity = _mixed(number).to_bytes(8, "big")
        yield parcel(number) if topic == PARCELS_CHANGELOG else key[:1] + entity + key[9:], value


def parcel(number: int) -> bytes:
    """The key of a parcel that `fill` writes."""
    return b"SF:%020d" % _mixed(number)


def partition_of(number: int) -> int:
    """Where it writes it."""
    return number // EPOCH % PARTITIONS


def _mixed(number: int) -> int:
    return number * 0x9E3779B97F4A7C15 % 2**64  # one to one


def timed(servers: str, folder: Path) -> dict[str, float]:
    """The restore itself, as a worker does it."""
    settings = Settings()
    cache = Shared.of(settings.state_cache_mb, settings.state_buffers_mb)
    stores = {
        topic: RocksStore(name, folder, cache, hot_bytes_max=settings.hot_bytes_max // (2 * PARTITIONS))
        for topic, name in ((PARCELS_CHANGELOG, "parcels"), (HISTORIES_CHANGELOG, "histories"))
    }
    numbers = set(range(PARTITIONS))
    process = psutil.Process()
    started, cpu = time.monotonic(), process.cpu_times()
    records = restore({"bootstrap.servers": servers}, stores, numbers, cancelled=lambda: False)
    restored, spent = time.monotonic(), process.cpu_times()
    catalogue = load_catalogue()
    agent = Parcels(
        MemoryStore(), catalogue, Describer.of(settings, catalogue.columns),
        partitions=PARTITIONS, emit_from=settings.emit_from, event_bytes_max=settings.event_bytes_max,
    )  # fmt: skip
    count = 0

    def pieces(number: int) -> Iterator[list[Pair]]:
        nonlocal count
        for piece in whole(stores[PARCELS_CHANGELOG], number, 10_000):
            count += len(piece)
            yield piece

    for number in sorted(numbers):
        agent.restore_timers(pieces(number), lambda: False)
    done = time.monotonic()
    for store in stores.values():
        store.close_all()
    return {
        "records": records,
        "restore_s": restored - started,
        "cpu_s": spent.user + spent.system - cpu.user - cpu.system,
        "parcels": count,
        "recall_s": done - restored,
        "rss_mb": process.memory_info().rss / 1e6,
        "disk_mb": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6,
    }


if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1], Path(sys.argv[2]))))
