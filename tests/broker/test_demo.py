"""`waybill demo` from start to end: alerts come, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from confluent_kafka import Producer

from schemas.topics import SCANS
from streams.kafka import admin
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
DESK = re.compile(r"(?P<desk>http://\S+/desk) .*password (?P<password>\S+)")
ALERT = re.compile(r"^ *([\d.]+) s  [\d-]{10} [\d:]{8} UTC\+8  (medium|high|extreme) \d+  [A-Z]+:\d+  \d{6} ")


class Demo:
    """`waybill demo …` with a folder for temporary files of its own; every process of it ends with the test."""

    def __init__(self, folder: Path, *arguments: str, desk: bool = False, **env: str) -> None:
        self.tmp = folder / "tmp"
        self.tmp.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "KAFKA_", "LC_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "demo", *arguments, *([] if desk else ["--no-desk"])],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.tmp), "LANG": "C.UTF-8", **env},
        )  # fmt: skip
        self.family: set[psutil.Process] = set()

    def first_alert(self) -> str:
        """Its first line that is an alert."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + PATIENCE_S
        for line in self.process.stdout:
            self.look()
            if ALERT.match(line):
                return line
            assert time.monotonic() < deadline
        raise AssertionError(f"it ended without an alert: {self.process.communicate()}")

    def look(self) -> None:
        """Note the processes that it has now."""
        if self.process.poll() is None:
            self.family |= set(psutil.Process(self.process.pid).children(recursive=True))

    def ended(self) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def left(self) -> tuple[list[psutil.Process], list[str]]:
        """Processes and temporary files that are there after its end."""
        return psutil.wait_procs(list(self.family), timeout=PATIENCE_S)[1], [path.name for path in self.tmp.iterdir()]

    def kill(self) -> None:
        for process in [*self.family, psutil.Process(self.process.pid)]:
            if process.is_running():
                process.kill()
        self.process.communicate()


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    made: list[Demo] = []
    yield made
    for demo in made:
        if demo.process.poll() is None:
            demo.look()
            demo.kill()


def test_it_runs_for_its_seconds_and_leaves_nothing(demos: list[Demo], tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--seconds", "4", "--rate", "50")
    demos.append(demo)
    assert demo.process.stdout is not None
    said = []
    for line in demo.process.stdout:
        demo.look()
        said.append(line)
    code, _, err = demo.ended()
    assert (code, err) == (0, "")
    assert len(demo.family) >= 3  # the broker, its keeper, the worker
    assert demo.left() == ([], [])
    assert "events judged" in said[-1]


@pytest.mark.long  # in the gate, the demo with a desk is ended by SIGINT
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_and_all_that_belongs_to_it(
    demos: list[Demo], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    demo = Demo(tmp_path)
    demos.append(demo)
    demo.first_alert()
    demo.look()
    demo.process.send_signal(number)
    assert demo.ended()[0] == code
    assert demo.left() == ([], [])


def test_its_desk_answers_clues_and_ends_with_it(demos: list[Demo], tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--rate", "100", desk=True)
    demos.append(demo)
    assert demo.process.stdout is not None
    said = next(found for line in demo.process.stdout if (found := DESK.search(line)))
    demo.look()
    with httpx2.Client(follow_redirects=True, timeout=PATIENCE_S, headers={"Sec-Fetch-Site": "same-origin"}) as client:
        login = {"user": "analyst", "password": said["password"]}
        assert client.post(f"{said['desk']}/login", data=login).status_code == 200
        until(lambda: "/desk/clues/" in client.get(said["desk"]).text, every_s=0.5)
        rules = f"{said['desk']}/rules"
        until(lambda: "<td>demo</td>" in client.get(rules).text, every_s=0.5)  # the worker, by its group
    demo.process.send_signal(signal.SIGINT)
    assert demo.ended()[0] == 0
    assert len(demo.family) >= 6
    assert demo.left() == ([], [])


def test_when_it_is_killed_its_processes_end_too(demos: list[Demo], tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    demos.append(demo)
    demo.first_alert()
    demo.look()
    demo.process.kill()
    demo.process.communicate(timeout=PATIENCE_S)
    assert demo.left()[0] == []


def test_on_a_kafka_that_is_there_it_ends_when_all_is_judged(
    demos: list[Demo], fresh_kafka: str, tmp_path: Path
) -> None:
    admin.delete(fresh_kafka)
    wanted = ("--parcels", "200", "--rate", "200", "--screenshot", "demo.svg")
    demo = Demo(tmp_path, *wanted, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    demos.append(demo)
    code, out, err = demo.ended()
    assert (code, err) == (0, "")
    assert demo.left() == ([], [])
    assert not any(state.partitions for state in admin.show(fresh_kafka))  # it made the topics, and took them away
    assert re.search(r"\d+ s: [\d,]+ events judged, [1-9]\d* alerts open, first alert [\d.]+ s after the start\n$", out)
    assert "event to alert, p50 " in out
    assert ET.parse(tmp_path / "demo.svg").getroot().tag.endswith("svg")


def test_topics_that_hold_records_are_not_mixed_with_invented_ones(
    demos: list[Demo], fresh_kafka: str, tmp_path: Path
) -> None:
    producer = Producer({"bootstrap.servers": fresh_kafka})
    producer.produce(SCANS, key="SF:1", value=b"{}")
    assert producer.flush(PATIENCE_S) == 0
    demo = Demo(tmp_path, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    demos.append(demo)
    code, _, err = demo.ended()
    assert code == 1
    assert err.startswith("waybill: error: ")
    assert "hold records already" in err
    assert sum(state.offsets for state in admin.show(fresh_kafka)) == 1
