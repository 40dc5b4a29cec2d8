"""From an alert on the topic to its row in open queues: a dispatcher, a desk, and browsers' streams, each a process.

Times are those of one clock: when the alert is given to the producer, and when a stream has read its row.
"""

from __future__ import annotations

import asyncio
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from html import unescape
from pathlib import Path
from typing import Annotated

import httpx2
import msgspec
import typer
from confluent_kafka import Producer
from rich.console import Console

from benchmarks import report
from benchmarks.clues import alert_of
from desk.web.users import Account, hashed, write
from schemas import topics
from schemas.records import encode
from schemas.reference import Station
from streams.kafka import admin
from streams.ops import supervisor
from streams.ops.broker import PrivateKafka

console = Console(stderr=not sys.stdout.isatty(), width=120)
_TOKEN = "t" * 40
_STATION = Station(id="S", station_id="S", name="示例派出所", station_kind="police", adcode="440000")
_ROW = re.compile(rb'"id":"([^"]+)","html"')
_GRACE_S = 10.0  # for the last rows


def main(
    streams: Annotated[int, typer.Option(min=1, help="Open queues.")] = 50,
    rate: Annotated[float, typer.Option(min=0.1, help="Alerts a second.")] = 30.0,
    seconds: Annotated[float, typer.Option(min=1, help="For so long.")] = 60.0,
) -> None:
    """Seconds from an alert on the topic to its row in open queues."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    with tempfile.TemporaryDirectory() as folder, PrivateKafka(heap_mb=512) as kafka:
        admin.create(kafka.bootstrap_servers, 4)
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
        producer.produce(topics.REFERENCE, key="station:S", value=encode(_STATION))
        producer.flush()
        users = Path(folder) / "users"
        write(users, [Account(user="u1", roles=("supervisor",), token=hashed(_TOKEN))])
        port = _free_port()
        serve = ("desk", "serve", "--users", str(users), "--port", str(port), "--set", f"state_dir={folder}")
        processes = [_start(Path(folder), each, kafka.bootstrap_servers) for each in (("dispatcher",), serve)]
        try:
            took = asyncio.run(_measure(producer, f"http://127.0.0.1:{port}", streams, rate, seconds))
        finally:
            for process in processes:
                supervisor.stop(process, within_s=10.0)
    wanted = streams * round(rate * seconds)
    cuts = statistics.quantiles(took, n=100)
    console.print(
        f"{len(took):,} of {wanted:,} rows in {streams} streams at {rate:g} alerts/s: p50 {cuts[49]:.2f} s, "
        f"p95 {cuts[94]:.2f} s, worst {max(took):.2f} s", highlight=False,
    )  # fmt: skip
    if len(took) != wanted:
        raise typer.Exit(1)


async def _measure(producer: Producer, site: str, streams: int, rate: float, seconds: float) -> list[float]:
    """Seconds of each row in each stream."""
    sent: dict[str, float] = {}
    took: list[float] = []
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(
        base_url=site, timeout=None, limits=limits, follow_redirects=True, headers={"Sec-Fetch-Site": "same-origin"}
    ) as client:
        while not await _serves(client):
            await asyncio.sleep(0.2)
        await client.post("/desk/login", data={"token": _TOKEN})
        readers = [asyncio.create_task(_read(client, sent, took)) for _ in range(streams)]
        await asyncio.sleep(3.0)  # until all are open
        began = time.monotonic()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            alert = msgspec.structs.replace(alert_of(f"wa-{number:024d}"), detected_at=int(time.time() * 1_000))
            sent[alert.alert_id] = time.monotonic()
            producer.produce(topics.ALERTS, key=f"SF:{alert.waybill_no}", value=encode(alert))
            producer.poll(0)
        end = time.monotonic() + _GRACE_S
        while time.monotonic() < end and len(took) < streams * len(sent):
            await asyncio.sleep(0.1)
        producer.flush()
        for reader in readers:
            reader.cancel()
    return took


async def _read(client: httpx2.AsyncClient, sent: dict[str, float], took: list[float]) -> None:
    """Read one stream as a page does; each row counts once, when it is new."""
    page = (await client.get("/desk")).text
    found = re.search(r'data-live="([^"]+)"', page)
    assert found is not None
    seen: set[str] = set()
    async with client.stream("GET", unescape(found[1])) as answer:
        async for line in answer.aiter_lines():
            now = time.monotonic()
            for name in _ROW.findall(line.encode()):
                if (clue := name.decode()) not in seen:
                    seen.add(clue)
                    took.append(now - sent[clue])


def _start(folder: Path, command: tuple[str, ...], servers: str) -> subprocess.Popen[bytes]:
    with (folder / f"{command[0]}.log").open("wb") as output:
        return supervisor.start([*supervisor.WAYBILL, *command, "--bootstrap-servers", servers], output=output)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _serves(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/desk/login")).status_code == 200
    except httpx2.TransportError:
        return False
