"""Whether memory and disk stay flat while event time runs on: more than a year of traffic in some minutes.

A worker as it is run, on a broker of its own. Event time passes some 50,000 times as fast as it does outside, so the
changelog topics are compacted as often as that asks for; nothing else is other than in service, but for caches small
enough to be full early.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import mean
from subprocess import Popen
from typing import Annotated

import msgspec
import psutil
import typer
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.contract import BenchmarkError
from benchmarks.watch import python
from schemas.inputs import INPUTS
from schemas.topics import HISTORIES_CHANGELOG, PARCELS_CHANGELOG
from streams.flow.layout import DAY_MS
from streams.generate import Chunk, generate
from streams.kafka.admin import create
from streams.ops.broker import PrivateKafka

PARTITIONS = 4
WARM_D = 200  # buckets of observations live for 180 days at most, parcels without an alert for 14
EVERY_D = 20
GROWTH_MAX = 0.1
console = Console(stderr=not sys.stdout.isatty(), width=120)
_COMPACTED = {"segment.bytes": str(2 << 20), "segment.ms": "10000", "delete.retention.ms": "10000"}
_CLEANER = {"log.cleaner.backoff.ms": "2000", "log.retention.check.interval.ms": "5000", "file.delete.delay.ms": "1000"}
_WORKER = {
    "WAYBILL_HOT_BYTES_MAX": str(32 << 20),
    "WAYBILL_STATE_CACHE_MB": "16",
    "WAYBILL_STATE_BUFFERS_MB": "8",
    "WAYBILL_FORGET_DELAY_S": "0",  # days pass in seconds here
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What there is when event time has come so far."""

    day: int
    events: int
    lag: int
    rss_mb: float
    state_mb: float
    parcel_keys: int
    history_keys: int
    changelogs_mb: float


def main(
    minutes: Annotated[float, typer.Option(min=0.5, help="How long it runs.")] = 10.0,
    days: Annotated[
        int, typer.Option(min=WARM_D + 4 * EVERY_D, max=366, help="Event time that passes meanwhile.")
    ] = 360,
    parcels: Annotated[int, typer.Option(min=10, help="Parcels a day, about 8 events each.")] = 400,
) -> None:
    """A worker over more than a year of event time: is what it holds bounded?"""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    with tempfile.TemporaryDirectory(prefix="waybill-soak-") as name:
        folder = Path(name)
        with PrivateKafka(folder / "kafka", settings=_CLEANER) as kafka:
            create(kafka.bootstrap_servers, PARTITIONS)
            _compact_often(kafka.bootstrap_servers)
            with _worker(kafka.bootstrap_servers, folder / "state") as worker:
                samples = play(kafka.bootstrap_servers, folder, worker, minutes, days, parcels)
    show(samples)
    grown = growth(samples)
    console.print(
        f"mean from day {samples[-1].day // 2 + WARM_D // 2} on against that from day {WARM_D}: "
        + ", ".join(f"{each} {share:+.1%}" for each, share in grown.items())
        + (": flat" if max(grown.values()) <= GROWTH_MAX else ": NOT FLAT"),
        highlight=False,
    )
    if max(grown.values()) > GROWTH_MAX:
        raise typer.Exit(1)


def play(servers: str, folder: Path, worker: Worker, minutes: float, days: int, parcels: int) -> list[Sample]:
    """Publish day after day, and look now and then."""
    publish = Publisher(servers)
    start_at = int(time.time() * 1_000) // DAY_MS * DAY_MS - (days + 20) * DAY_MS
    started, samples, events = time.monotonic(), list[Sample](), 0
    traffic = generate(days * parcels, seed=4, start_at=start_at, days=float(days), chunk_parcels=parcels)
    for chunk in traffic:
        events += publish(chunk)
        picked_up = chunk.frame("shipment")["picked_up_at"].max()
        day = (int(str(picked_up)) - start_at) // DAY_MS if picked_up else days
        ahead = started + day / days * minutes * 60 - time.monotonic()
        time.sleep(max(ahead, 0))
        worker.alive()
        if day >= (len(samples) + 1) * EVERY_D and day <= days:
            samples.append(worker.sample(day, events, folder, servers))
    return samples


class Publisher:
    """Puts chunks on the topics."""

    def __init__(self, servers: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": servers, "enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 20}
        )
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, chunk: Chunk) -> int:
        for source in INPUTS:
            for row in chunk.frame(source.kind).iter_rows(named=True):
                value = self._encode({name: each for name, each in row.items() if each is not None})
                self._producer.produce(source.topic, value, f"{row['carrier_code']}:{row['waybill_no']}".encode())
        if self._producer.flush(60):
            raise BenchmarkError("events were not delivered")
        return len(chunk)


class Worker:
    """The worker's process, and its pages."""

    def __init__(self, process: Popen[bytes], port: int, log: Path) -> None:
        self._process, self._log = process, log
        self._page = f"http://127.0.0.1:{port}/metrics"
        self._tree = psutil.Process(process.pid)

    def alive(self) -> None:
        if self._process.poll() is not None:
            raise BenchmarkError(f"the worker ended: {self._log.read_text('utf-8', 'replace')[-2_000:]}")

    def sample(self, day: int, events: int, folder: Path, servers: str) -> Sample:
        found: dict[tuple[str, str], float] = {}
        with urllib.request.urlopen(self._page, timeout=30) as page:
            for family in text_string_to_metric_families(page.read().decode()):
                for each in family.samples:
                    key = each.name, each.labels.get("store", "")
                    found[key] = found.get(key, 0) + each.value
        return Sample(
            day,
            events,
            int(found["waybill_lag_records", ""]),
            self._tree.memory_info().rss / 1e6,
            _size(folder / "state"),
            live_keys(servers, PARCELS_CHANGELOG),
            live_keys(servers, HISTORIES_CHANGELOG),
            sum(
                _size(path)
                for topic in (PARCELS_CHANGELOG, HISTORIES_CHANGELOG)
                for path in (folder / "kafka").rglob(f"{topic}-*")
            ),
        )


def live_keys(servers: str, topic: str) -> int:
    """Keys of a changelog that are not deleted, counted: RocksDB's estimate counts what is overwritten and deleted."""
    reader = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "soak-reader",  # never joins
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    left, keys = set(range(PARTITIONS)), set[tuple[int, bytes]]()
    reader.assign([TopicPartition(topic, number, 0) for number in left])
    try:
        while left:
            for message in reader.consume(50_000, 1.0):
                error, number = message.error(), int(message.partition() or 0)
                if error is None:
                    key = (number, message.key() or b"")
                    keys.discard(key) if message.value() is None else keys.add(key)
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard(number)
                else:
                    raise KafkaException(error)
    finally:
        reader.close()
    return len(keys)


def growth(samples: list[Sample]) -> dict[str, float]:
    """By how much each measure grew between the two halves of the time after the warm-up."""
    warm = [each for each in samples if each.day >= WARM_D]
    first, second = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    names = [each.name for each in fields(Sample)][3:]
    return {
        name: mean(getattr(each, name) for each in second) / mean(getattr(each, name) for each in first) - 1
        for name in names
    }


def show(samples: list[Sample]) -> None:
    """Print the table."""
    table = Table()
    for field in fields(Sample):
        table.add_column(field.name.replace("_", " "), justify="right")
    for each in samples:
        table.add_row(*(f"{value:,.0f}" for value in astuple(each)))
    console.print(table)


@contextmanager
def _worker(servers: str, state: Path) -> Iterator[Worker]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    state.mkdir()
    log = state.with_name("worker.log")
    env = {name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")}
    command = python("streams.cli", "worker", "--web-port", str(port), "--state-dir", str(state))
    with log.open("wb") as output:
        process = Popen(
            command, env={**env, **_WORKER, "KAFKA_BOOTSTRAP_SERVERS": servers}, stdout=output, stderr=output
        )
    try:
        yield Worker(process, port, log)
    finally:
        process.terminate()
        process.wait(60)


def _compact_often(servers: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    asked = [
        ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in _COMPACTED.items()
            ],
        )
        for topic in (PARCELS_CHANGELOG, HISTORIES_CHANGELOG)
    ]
    for altered in admin.incremental_alter_configs(asked).values():
        altered.result(30)


def _size(folder: Path) -> float:
    """Of all files in it, MB; some may go meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        try:
            size += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return size / 1e6
