"""The desk's projection: how long the topics take into tables, and then the queue with many open clues.

First a log of closed clues, eight events each, those of 2,000 clues interleaved: the tables are built from it. Then
open clues of all tiers and many places, the last of them with traces. Then the queue is asked for in several ways, and
pages are, each many times.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from confluent_kafka import Producer
from httpx2 import Response
from rich.console import Console
from starlette.testclient import TestClient

from benchmarks import report
from benchmarks.clues import AT, life
from desk.queue import Filter
from desk.scope import Scope
from desk.store.database import Database
from desk.store.reading import COUNT_MAX, Page, Store
from desk.store.sink import READ
from desk.web.app import application
from desk.web.core import Desk
from desk.web.search import TRACES_MAX
from desk.web.serving import desk_on
from desk.web.users import Account, Users, hashed
from schemas import topics
from schemas.desk import Movement, Trace
from schemas.records import encode
from streams.kafka import admin
from streams.kafka.log_reader import LogReader
from streams.ops.broker import PrivateKafka
from streams.settings import Settings

console = Console(stderr=not sys.stdout.isatty(), width=120)
_ID = "wa-000000000000000000000000"
_TOGETHER = 2_000  # clues whose events are interleaved
_ASKED = 30
_TOKEN = f"k:{'0a' * 16}"


def main(
    events: Annotated[int, typer.Option(min=8, help="Events of closed clues.")] = 1_000_000,
    open_clues: Annotated[int, typer.Option("--open", min=1, help="Open clues.")] = 100_000,
    postgres: Annotated[bool, typer.Option("--postgres", help="A PostgreSQL of its own instead of SQLite.")] = False,
) -> None:
    """Seconds to build the desk's tables from the clue log, and milliseconds of its pages."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    with tempfile.TemporaryDirectory() as folder, PrivateKafka(fast_start=False, heap_mb=1_024) as kafka:
        admin.create(kafka.bootstrap_servers, 4)
        _produce(kafka.bootstrap_servers, closed(events // 8))
        with database(Path(folder), postgres) as url:
            _measure(kafka.bootstrap_servers, url, open_clues)


def _measure(servers: str, url: str, open_clues: int) -> None:
    began, cpu = time.monotonic(), time.process_time()
    with desk_on(servers, {}, url, Settings()) as desk:
        took, burnt = time.monotonic() - began, time.process_time() - cpu
        done = desk.projection.progress.done
        console.print(f"built: {done:,} events in {took:.1f} s, {burnt:.1f} s of CPU here", highlight=False)
        _produce(servers, opened(open_clues))
        _produce(servers, traces(min(open_clues, TRACES_MAX)), topics.TRACES)
        began = time.monotonic()
        with LogReader(servers, READ) as reader:
            ends = {place: end for place, (_, end) in reader.bounds.items() if end}
        while not all(desk.projection.has(place, end - 1) for place, end in ends.items()):
            time.sleep(0.1)
        console.print(f"followed: {open_clues:,} more clues in {time.monotonic() - began:.1f} s", highlight=False)
        database = Database(url)
        database.tidy(desk.store.tables())  # as PostgreSQL does by itself after so many changes
        database.engine.dispose()
        _ask(desk.store)
        _show(desk)


def _ask(store: Store) -> None:
    everyone = Scope("u1")
    first = store.queue(Filter("u1"), everyone)
    ways: dict[str, Callable[[], Page]] = {
        "all open": lambda: store.queue(Filter("u1"), everyone),
        "page 2": lambda: store.queue(Filter("u1"), everyone, first.after),
        "tier high": lambda: store.queue(Filter("u1", tier="high"), everyone),
        "place 4401": lambda: store.queue(Filter("u1", adcode="4401"), everyone),
        "rule": lambda: store.queue(Filter("u1", rule="goods.powder_or_liquid"), everyone),
        "three prefixes": lambda: store.queue(Filter("u1"), Scope("u1", ("44", "31", "5101"))),
        "accepted": lambda: store.queue(Filter("u1", states=frozenset({"accepted"})), everyone),
    }
    for name, ask in ways.items():
        page = ask()
        count = f"{page.count:,}" if page.count <= COUNT_MAX else f"more than {COUNT_MAX:,}"
        _tell(f"{name:<15} {count:>16} clues, {len(page.clues)} shown", ask)


def _show(desk: Desk) -> None:
    """Pages, from request to answer, as a server makes them."""
    accounts = [
        Account(user="u1", roles=("supervisor",), token=hashed("t" * 40)),
        Account(user="s1", roles=("station",), station="S", token=hashed("s" * 40)),
    ]
    asked = {"t": ("/desk", "/desk/overdue", "/desk/holds", "/desk/rules"), "s": ("/desk", "/desk/station")}
    for letter, paths in asked.items():
        with TestClient(application(desk, Users(accounts)), headers={"Sec-Fetch-Site": "same-origin"}) as browser:
            browser.post("/desk/login", data={"token": letter * 40})
            for path in paths:
                ask = partial(browser.get, path)
                _tell(f"{path:<14} {'a supervisor' if letter == 't' else 'a station'}, {_size(ask)} kB", ask)
            if letter == "t":
                _show_measures(browser)
    for name, text in (("of one in all traces", _TOKEN.encode()), ("of nobody", b"0" * 40)):
        search = partial(desk.store.carrying, text, Scope("u1"), TRACES_MAX)
        _tell(f"search {name}: {len(search())} clues", search)


def _size(ask: Callable[[], Response]) -> int:
    return len(ask().content) // 1_000


def _show_measures(browser: TestClient) -> None:
    began = time.monotonic()
    browser.get("/desk/measures?days=0")
    waited = time.monotonic() - began
    while "refresh" in browser.get("/desk/measures?days=0").headers:
        time.sleep(0.1)
    console.print(
        f"/desk/measures of everything: answers in {waited:.1f} s, has its first figures after "
        f"{time.monotonic() - began:.1f} s", highlight=False,
    )  # fmt: skip
    _tell("/desk/measures then", lambda: browser.get("/desk/measures?days=0"))


def _tell(what: str, ask: Callable[[], object]) -> None:
    times, burnt = [], []
    for _ in range(_ASKED):
        began, cpu = time.perf_counter(), time.process_time()
        ask()
        times.append((time.perf_counter() - began) * 1_000)
        burnt.append((time.process_time() - cpu) * 1_000)
    console.print(
        f"{what}: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms; "
        f"{statistics.median(burnt):.0f} ms of CPU here", highlight=False,
    )  # fmt: skip


def closed(clues: int) -> Iterator[tuple[str, bytes]]:
    """Keys and events of clues from alert to answer, in the order of a busy desk."""
    lines = life(_ID)
    for start in range(0, clues, _TOGETHER):
        for line in lines:
            for number in range(start, min(start + _TOGETHER, clues)):
                name = f"wa-{number * 2_654_435_761 % 2**64:024d}"
                yield name, line.replace(_ID.encode(), name.encode())


def opened(clues: int) -> Iterator[tuple[str, bytes]]:
    """Keys and events of clues that are with their stations."""
    first, second = life(_ID)[:2]
    for number in range(clues):
        name = f"wb-{number * 2_654_435_761 % 2**64:024d}"
        tier = ("low", "medium", "medium", "high", "extreme")[number % 5]
        place = f"{(4401, 3101, 5101, 1101, 3301)[number % 7 % 5]}{number % 11:02d}"
        for line in (first, second):
            event = msgspec.json.decode(line)
            event |= {"clue_id": name, **({"parcel": f"SF:{clues - number - 1}"} if "parcel" in event else {})}
            event |= {"adcode": place, **({"tier": tier} if "tier" in event else {})}
            for due in ("accept_by", "check_by", "answer_by"):
                if due in event:
                    event[due] += number * 1_000
            yield name, msgspec.json.encode(event)


def traces(clues: int) -> Iterator[tuple[str, bytes]]:
    """Keys and traces of the open clues that come last, all of one sender."""
    scan = Movement(at=AT, kind="arrived", event_id="e", facility_id="F", adcode="440111")
    trace = Trace(
        alert_id="a", revision=1, carrier_code="SF", waybill_no="1", sender_tokens=(_TOKEN,), movements=(scan,) * 8
    )
    value = encode(trace)
    for number in range(clues):
        yield f"SF:{number}", value


def _produce(servers: str, records: Iterator[tuple[str, bytes]], topic: str = topics.CLUES) -> None:
    producer = Producer(
        {"bootstrap.servers": servers, "partitioner": "murmur2_random", "queue.buffering.max.messages": 500_000}
    )
    for key, value in records:
        while True:
            try:
                producer.produce(topic, key=key, value=value)
                break
            except BufferError:
                producer.poll(0.5)
    producer.flush()


@contextmanager
def database(folder: Path, postgres: bool) -> Iterator[str]:
    """The address of a database of its own, for as long as the context lasts."""
    if not postgres:
        yield f"sqlite:///{folder / 'desk.sqlite'}"
        return
    from tests.postgres import Postgres

    with Postgres() as server:
        yield server.url
