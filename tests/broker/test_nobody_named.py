"""Persons of the input are nowhere else on a real broker: no topic, log, state folder, page, or message of an error."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AdminClient
from starlette.testclient import TestClient

from desk.web.app import application
from desk.web.guard import PAGES
from desk.web.rendering import NAV
from desk.web.users import Users
from schemas import topics
from schemas.desk import Trace
from schemas.records import encode
from streams.kafka.log_reader import LogReader
from streams.kafka.reader import Reader
from tests import forked
from tests.broker.test_desk import STATIONS
from tests.desk_accounts import account
from tests.desk_site import desk_of
from tests.forked import Forked
from tests.persons import AGENT_ID, PERSONS, RECIPIENT, SENDER, SENDER_ID, SENDER_PHONE, bad, found_in, good
from tests.schemas.samples import SCAN, SHIPMENT, wire
from tests.waiting import PATIENCE_S, until
from tests.workers import Publisher, Worker
from tests.worlds import START

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
GIVEN = {topics.SHIPMENTS, topics.SCANS, topics.INSPECTIONS, topics.REFERENCE}  # what carriers say: persons are there


def input_of(servers: str) -> None:
    """Shipments that lead to alerts, of these persons, who stand in names of goods as well; and what cannot be read."""
    publish = Publisher(servers)
    for station in STATIONS:
        publish.raw(topics.REFERENCE, station.key.encode(), encode(station))
    for number, value in enumerate(good()):
        publish.raw(topics.SHIPMENTS, f"SF:{number % 25:06d}".encode(), value)
    for number, goods in enumerate((f"海洛因 {SENDER}收", f"海洛因{SENDER_PHONE}", f"海洛因 {RECIPIENT} {SENDER_ID}")):
        given = {**SHIPMENT, **PERSONS, "waybill_no": f"{900 + number:06d}", "event_id": f"g{number}"}
        given |= {"goods_name": goods, "picked_up_at": START, "recorded_at": None}
        publish.raw(topics.SHIPMENTS, f"SF:{900 + number:06d}".encode(), wire(given))
        scan = {**SCAN, "waybill_no": f"{900 + number:06d}", "event_id": f"gs{number}", "scanned_at": START + 1_000}
        publish.raw(topics.SCANS, f"SF:{900 + number:06d}".encode(), wire(scan))
    for number, value in enumerate(bad()):
        publish.raw(topics.SHIPMENTS, f"bad-{number}".encode(), value)
    publish.raw(topics.REFERENCE, b"courier:x", wire({"kind": "courier", "id": "x", "id_no": [SENDER_ID]}))
    publish.flush()


class Machine:
    """The commands of `waybill` at a station, each with its log."""

    def __init__(self, servers: str, folder: Path) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "DESK_"))}
        self._env = {
            **plain, "KAFKA_BOOTSTRAP_SERVERS": servers, "WAYBILL_LOG_LEVEL": "debug", "DESK_USER": "u1",
            "DESK_STATION": "ST-1", "LANG": "C.UTF-8",
        }  # fmt: skip
        self._folder = folder
        self.said: list[tuple[str, bytes]] = []

    def start(self, *arguments: str) -> Forked:
        """A process that stays."""
        command = (sys.executable, "-m", "streams.cli", *arguments)
        return Forked(command, env=self._env, cwd=ROOT, log=self._folder / f"{arguments[0]}.log")

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = forked.waybill(*arguments, env=self._env, cwd=ROOT)
        said = done.stdout + done.stderr
        assert done.returncode == code, said.decode()
        self.said.append((" ".join(arguments[:2]), said))
        return done.stdout.decode()


def answer_one(waybill: Machine, page: Path) -> None:
    """What a station does about a clue, and what it must not write: persons, in any free text."""
    clue = msgspec.json.decode(waybill("clues", "list", "--json").splitlines()[0])["clue_id"]
    waybill("clues", "show", clue)
    waybill("clues", "accept", clue)
    waybill("clues", "note", clue, f"called {SENDER_PHONE}", code=1)
    waybill("clues", "hold", clue, "--reason", f"of {SENDER_ID}", "--basis", "33", code=1)
    waybill("clues", "answer", clue, "seizure")
    waybill("clues", "judge", clue, "--right", f"goods.{AGENT_ID}", code=1)
    waybill("clues", "judge", clue, "--right", "goods.controlled_term")
    waybill("measures", "--html", str(page))


def pages_of(servers: str, door: Path) -> bytes:
    """The desk's pages in a browser: each clue in both languages, and every other page; and the list as JSON."""
    users = Users(
        [
            account("u1", "x" * 40, None, "station", "supervisor", "auditor", "admin"),
            account("u3", "y" * 40, None, "supervisor"),
        ]
    )
    own = {"Sec-Fetch-Site": "same-origin"}
    with desk_of(servers) as desk, TestClient(application(desk, users, None, door), headers=own) as browser:
        browser.post("/desk/login", data={"token": "x" * 40})
        told = [browser.get("/desk"), browser.get("/clues", headers={"Authorization": f"Bearer {'x' * 40}"})]
        clues = [each["clue_id"] for each in told[1].json()]
        told += [browser.get(f"/desk/clues/{clue}?lang={lang}") for clue in clues for lang in ("zh", "en")]
        told += [browser.get(f"{PAGES}{path}") for path, _ in NAV.values()]
        see_one_field(browser, clues[0])
    assert {page.status_code for page in told} == {200}
    assert any("甄*" in page.text for page in told)  # a person of the input, masked
    return b"\n".join(page.content for page in told)


def see_one_field(browser: TestClient, clue: str) -> None:
    """Two persons: what they see is on that one page."""
    asked = {"clue": clue, "field": "sender_name", "why": "to compare"}
    told = browser.post("/desk/reveals", data=asked)
    (reveal,) = re.findall('aria-labelledby="reveal-([^"]+)"', told.text)
    for token, step in (("y", "grant"), ("x", "show")):
        browser.post("/desk/login", data={"token": token * 40})
        told = browser.post(f"/desk/reveals/{reveal}/{step}")
    assert SENDER in told.text


def records_of(servers: str) -> dict[str, bytes]:
    """By topic, all that is on it, keys and values, aborted or not; of those that carriers do not write."""
    there = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=PATIENCE_S).topics
    found: dict[str, bytes] = {}
    for topic in sorted(set(there) - GIVEN - {"__consumer_offsets", "__transaction_state"}):
        with Reader({"bootstrap.servers": servers}, committed=False) as reader:
            reader.assign({(topic, number): 0 for number in there[topic].partitions})
            records = [record for piece in reader.to_end() for record in piece.records]
        found[topic] = b"\n".join(
            part if isinstance(part, bytes) else str(part).encode()
            for record in records
            for part in (record.key(), record.value())
            if part
        )
    return found


def traced(servers: str) -> set[str]:
    with LogReader(servers, [topics.TRACES]) as reader:
        return {msgspec.json.decode(entry.value or b"", type=Trace).waybill_no for entry in reader.to_end()}


def dispatched(servers: str) -> int:
    with LogReader(servers, [topics.CLUES]) as reader:
        return sum(b'"dispatched"' in (entry.value or b"") for entry in reader.to_end())


def test_persons_of_the_input_are_on_no_other_topic_in_no_log_and_on_no_page(
    fresh_topics: Callable[[int], str], tmp_path: Path
) -> None:
    servers = fresh_topics(2)
    input_of(servers)
    waybill, page = Machine(servers, tmp_path), tmp_path / "measures.html"
    with Worker(servers, tmp_path / "state", log_level="debug") as worker:
        door = tmp_path / "door" / "tracer"
        beside = [waybill.start("tracer", "--door", str(door)), waybill.start("dispatcher")]
        try:
            until(lambda: {"000900", "000901", "000902"} <= traced(servers))
            until(lambda: dispatched(servers) > 2)
            answer_one(waybill, page)
            shown = pages_of(servers, door)
        finally:
            for process in beside:
                process.terminate()
                process.wait(PATIENCE_S)
        worker.stop()
    assert not found_in(shown), "pages"
    told = records_of(servers)
    # There is something to search.
    for topic in (
        topics.ALERTS,
        topics.ORDERS,
        topics.REJECTS,
        topics.TRACES,
        topics.CLUES,
        topics.FEEDBACK,
        topics.PARCELS_CHANGELOG,
    ):
        assert told[topic], topic
    assert b"violation" in told[topics.FEEDBACK] or b"seizure" in told[topics.FEEDBACK]
    for topic, data in told.items():
        assert not found_in(data), topic
    for command, said in waybill.said:
        assert not found_in(said), command
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"measures.html", "tracer.log", "dispatcher.log"} <= {path.name for path in files}
    assert sum("state" in str(path) for path in files) > 4
    for path in files:
        assert not found_in(path.read_bytes()), path
