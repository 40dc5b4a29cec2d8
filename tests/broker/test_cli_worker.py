"""`waybill worker`, `alerts` and `doctor` as processes, on a real broker."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from rules import load_catalogue
from schemas import topics
from schemas.records import Alert, encode
from streams.files.driver import TOPIC_OF, Offline
from streams.kafka.admin import delete as delete_topics
from streams.settings import Settings
from tests import forked, worlds
from tests.waiting import PATIENCE_S
from tests.workers import Publisher, Reader

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]
RECORDS = worlds.world(11, 120)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "KAFKA_", "LC_"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "COLUMNS": "80", "PYTHONFAULTHANDLER": "1", **more}


def waybill(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    done = forked.waybill(*arguments, env=environment(**env), cwd=cwd)
    return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())


class Worker:
    """`waybill worker …` with its log."""

    def __init__(self, servers: str, folder: Path, *arguments: str) -> None:
        self.port = free_port()
        self._log = folder / "worker.log"
        command = [
            sys.executable, "-m", "streams.cli", "worker", "--bootstrap-servers", servers, "--state-dir",
            str(folder / "state"), "--web-port", str(self.port), "--set", "idle_partition_s=1", *arguments,
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log)

    def get(self, path: str, offset: int = 0) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + offset}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def until_ready(self, offset: int = 0) -> None:
        self.until(lambda: self.get("/ready", offset)[0] == 200)

    def said(self) -> str:
        return self._log.read_text()

    def ended(self, number: signal.Signals) -> int:
        """The exit code after a signal; one that does not end says where each of its threads stands."""
        self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(PATIENCE_S)
            raise AssertionError(self.said()) from None

    def has_loaded(self, library: str) -> bool:
        return library in Path(f"/proc/{self.process.pid}/maps").read_text()

    def family(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


@contextmanager
def running(servers: str, folder: Path, *arguments: str) -> Iterator[Worker]:
    worker = Worker(servers, folder, *arguments)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.process.kill()  # takes its children along
            worker.process.wait(PATIENCE_S)


def free_port() -> int:
    """A port that is free, and the one after it."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def publish(servers: str, partitioner: str = "murmur2_random") -> None:
    producer = Producer({"bootstrap.servers": servers, "partitioner": partitioner, "enable.idempotence": True})
    for record in RECORDS:
        producer.produce(TOPIC_OF[type(record)], key=record.key, value=encode(record))
    assert producer.flush(PATIENCE_S) == 0


def expected() -> dict[str, Alert]:
    """The open alerts by parcel that these records come to."""
    run = Offline(Settings(), load_catalogue())
    run.feed(run.batches(RECORDS))
    run.close()
    return {_parcel(alert): alert for alert in run.open_alerts()}


def _parcel(alert: Alert) -> str:
    return f"{alert.carrier_code}:{alert.waybill_no}"


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=PATIENCE_S)[1]


def test_from_start_over_alerts_to_a_clean_end(fresh_topics: Callable[[int], str], tmp_path: Path) -> None:
    """Three partitions, where the setting says four: the worker goes by the broker. First it waits for its state."""
    servers = fresh_topics(3)
    wanted = expected()
    events = len(worlds.events_of(RECORDS))
    publish(servers)
    with open_transaction(servers, topics.PARCELS_CHANGELOG) as end, running(servers, tmp_path) as worker:
        worker.until(lambda: _values(worker.get("/metrics")[1], "waybill_lag_records") >= events)
        assert "waits for its state" in worker.get("/live")[1]
        end()
        worker.until_ready()
        assert "3 partitions" in worker.said()

        def judged() -> bool:
            read = _values(worker.get("/metrics")[1], "waybill_events_total")
            return read >= events and '"lag_records": 0' in worker.get("/live")[1]

        worker.until(judged)
        reader = Reader(servers)  # facts are on their way, and partitions fall idle
        assert reader.until(lambda: set(map(_parcel, reader.open().values())) == wanted.keys()), worker.said()
        reader.close()
        worker.until(judged)
        page = worker.get("/metrics")[1]
        # Those that time or the register brought about have no record to be late to.
        assert len(wanted) // 2 < _value(page, "waybill_alert_latency_seconds_count")
        assert _value(page, 'waybill_state_entries{store="parcels"}') > 0
        worker.until(lambda: _values(worker.get("/metrics")[1], "waybill_state_bytes") == on_disk(tmp_path / "state"))

        shown = waybill("alerts", "--json", cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=servers)
        assert (shown.returncode, shown.stderr) == (0, "")
        found = {f"{a['carrier_code']}:{a['waybill_no']}": a for a in map(json.loads, shown.stdout.splitlines())}
        assert found.keys() == wanted.keys()
        assert {key: alert["score"] for key, alert in found.items()} == {k: a.score for k, a in wanted.items()}
        detected = [alert["detected_at"] for alert in found.values()]
        assert detected == sorted(detected, reverse=True)

        high = waybill("alerts", "--tier", "high", "--limit", "3", cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=servers)
        count = sum(alert.tier in ("high", "extreme") for alert in wanted.values())
        assert f"{count} open alerts; the first 3 of them" in high.stdout
        assert max(map(len, high.stdout.splitlines())) <= 80

        family = worker.family()
        worker.process.terminate()
        assert worker.process.wait(PATIENCE_S) == 0
        assert gone(family)
        assert worker.said().splitlines()[-1].endswith("stopped")
        assert "Traceback" not in worker.said()


def _value(page: str, sample: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.rpartition(" ")[0] == sample)


def _values(page: str, metric: str) -> float:
    """Over all labels."""
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{metric}{{"))


def on_disk(folder: Path) -> int:
    """Bytes of the stores below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.parent.name.isdigit())


@contextmanager
def open_transaction(servers: str, topic: str) -> Iterator[Callable[[], None]]:
    """A record of a topic whose transaction is open until the function given is called: it is aborted then."""
    producer = Producer({"bootstrap.servers": servers, "transactional.id": uuid.uuid4().hex, "log_level": 0})
    producer.init_transactions(PATIENCE_S)
    producer.begin_transaction()
    producer.produce(topic, key=b"k", value=b"v", partition=0)
    producer.flush(PATIENCE_S)
    yield producer.abort_transaction


def test_follow_shows_an_alert_when_it_comes(fresh_kafka: str, tmp_path: Path) -> None:
    with running(fresh_kafka, tmp_path) as worker:
        worker.until_ready()
        command = [sys.executable, "-m", "streams.cli", "alerts", "--follow", "--bootstrap-servers", fresh_kafka]
        table = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)
        try:
            assert table.stdout is not None
            for seed in count():  # what comes before it is there is not shown
                assert seed < PATIENCE_S
                Publisher(fresh_kafka)(worlds.world(seed, 20))
                if select.select([table.stdout], [], [], 1.0)[0]:
                    break
            line = table.stdout.readline()
            assert any(tier in line for tier in ("medium", "high", "extreme"))
        finally:
            table.send_signal(signal.SIGINT)
            table.communicate(timeout=PATIENCE_S)
        assert table.returncode == 130
        assert worker.ended(signal.SIGINT) == 0, worker.said()


MOMENTS: dict[str, Callable[[Worker], bool]] = {
    "asking the broker for its topics": lambda worker: worker.has_loaded("confluent_kafka"),
    "importing": lambda worker: worker.has_loaded("rocksdict"),
    "starting": lambda worker: "starting" in worker.said(),
    "joining the group": lambda worker: "pages at" in worker.said(),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_a_signal_at_any_moment_of_the_start_is_a_clean_end(
    fresh_kafka: str, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    with running(fresh_kafka, tmp_path) as worker:
        worker.until(partial(MOMENTS[moment], worker))
        family = worker.family()
        assert worker.ended(number) == 0, worker.said()
        assert gone(family)


def test_a_hangup_is_a_clean_end(fresh_kafka: str, tmp_path: Path) -> None:
    """As SIGTERM and SIGINT are, with which tests above end a worker that is ready."""
    with running(fresh_kafka, tmp_path) as worker:
        worker.until_ready()
        assert worker.ended(signal.SIGHUP) == 0, worker.said()


def test_two_processes_share_the_partitions_one_that_dies_comes_back_and_both_die_with_their_supervisor(
    fresh_kafka: str, tmp_path: Path
) -> None:
    """Its end in order is in tests/broker/test_broker_away.py."""
    with running(fresh_kafka, tmp_path, "--processes", "2", "--set", "session_timeout_ms=2000") as worker:
        worker.until_ready(0)
        worker.until_ready(1)
        worker.until(lambda: all('"partitions": 10' in worker.get("/ready", offset)[1] for offset in (0, 1)))
        names = [path.name for path in (tmp_path / "state" / "waybill-sentinel").glob("[!.]*")]
        assert sorted(names) == ["0", "1"]
        family = worker.family()
        victim = next(process for process in family[1:] if _option(process, "--instance") == "1")
        victim.kill()
        worker.until(lambda: "worker 1 ended with signal SIGKILL; starting it anew" in worker.said())
        worker.until(lambda: worker.get("/ready", 1)[0] == 200)
        family = worker.family()
        assert len(family) == 3
        worker.process.kill()
        assert gone(family)


def _option(process: psutil.Process, name: str) -> str:
    command = process.cmdline()
    return command[command.index(name) + 1] if name in command else ""


def test_what_keeps_it_from_starting_is_one_line(fresh_topics: Callable[[int], str], tmp_path: Path) -> None:
    servers = fresh_topics(1)

    def refused(*arguments: str, code: int = 1) -> str:
        done = waybill("worker", "--state-dir", str(tmp_path / "s"), "--log-level", "error", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    assert "nobody answers at 127.0.0.1:1; start a Kafka" in refused("--bootstrap-servers", "127.0.0.1:1")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"web_port: {port} on 127.0.0.1 is taken" in refused("--bootstrap-servers", servers, "--web-port", port)
    (tmp_path / "rules" / "route").mkdir(parents=True)
    (tmp_path / "rules" / "route" / "odd.yaml").write_text("title: 3\n")
    assert "odd.yaml" in refused("--bootstrap-servers", servers, "--set", f"rules_dir={tmp_path / 'rules'}")
    (tmp_path / "file").touch()
    assert "file/x: Not a directory" in refused(
        "--bootstrap-servers", servers, "--state-dir", str(tmp_path / "file" / "x")
    )
    assert "no such setting" in refused("--set", "staet_dir=x", code=2)


def test_missing_topics_are_named(fresh_kafka: str, tmp_path: Path) -> None:
    from streams.kafka import admin

    admin.delete(fresh_kafka)
    done = waybill("worker", cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    assert (done.returncode, done.stderr) == (1, "waybill: error: no topics; run `waybill topics create`\n")
    done = waybill("alerts", cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    assert (done.returncode, "run `waybill topics create`" in done.stderr) == (1, True)


def test_the_doctor_finds_good_producers_good_and_others_not(fresh_kafka: str, tmp_path: Path) -> None:
    def report() -> tuple[int, str]:
        done = waybill("doctor", "--state-dir", str(tmp_path), "--set", "web_port=0", cwd=tmp_path,
                       KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)  # fmt: skip
        assert done.stderr == ""
        return done.returncode, done.stdout

    publish(fresh_kafka)
    code, text = report()
    assert code == 0, text
    assert text.count("are keyed and placed as they must be") == 3
    assert "0 FAIL" in text.splitlines()[-1]

    publish(fresh_kafka, partitioner="consistent_random")  # librdkafka's default
    producer = Producer({"bootstrap.servers": fresh_kafka, "partitioner": "murmur2_random"})
    producer.produce(topics.SCANS, value=b"{}")
    producer.produce(topics.SCANS, key="SF:1", value=b'{"carrier_code": "SF", "waybill_no": "2"}')
    producer.flush(PATIENCE_S)
    code, text = report()
    assert code == 1
    assert "are not where murmur2 puts their key" in text
    assert "have no key" in text
    assert "have a key other than CARRIER:NUMBER" in text
    assert "partitioner=murmur2_random" in text


def test_the_doctor_sees_topics_that_are_not_as_they_are_made(fresh_kafka: str, tmp_path: Path) -> None:
    wrong = {
        topics.FACTS: ("max.message.bytes", "100000"),
        topics.ALERTS: ("message.timestamp.type", "CreateTime"),
        topics.PARCELS_CHANGELOG: ("cleanup.policy", "delete"),
        topics.HISTORIES_CHANGELOG: ("max.message.bytes", "9000000"),  # more is fine
    }
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            name,
            incremental_configs=[ConfigEntry(*pair, incremental_operation=AlterConfigOpType.SET)],
        )
        for name, pair in wrong.items()
    ]
    admin = AdminClient({"bootstrap.servers": fresh_kafka})
    for future in admin.incremental_alter_configs(resources).values():
        future.result(PATIENCE_S)
    done = waybill("doctor", "--state-dir", str(tmp_path), cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    assert done.returncode == 1
    assert "FAIL cleanup     waybill.internal.parcels-changelog delete instead of compact\n" in done.stdout
    assert "waybill.alerts message.timestamp.type=CreateTime instead of LogAppendTime" in done.stdout
    assert "waybill.internal.facts max.message.bytes=100000 instead of 4194304" in done.stdout
    assert "9000000" not in done.stdout
    delete_topics(fresh_kafka)  # or the next test would find them so


def test_the_doctor_sees_missing_topics_and_no_broker(fresh_kafka: str, tmp_path: Path) -> None:
    from streams.kafka import admin

    admin.delete(fresh_kafka)
    done = waybill("doctor", "--state-dir", str(tmp_path), cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    assert done.returncode == 1
    assert "FAIL topics      no topics\n" in done.stdout
    assert "→ run `waybill topics create`" in done.stdout
    done = waybill("doctor", "--state-dir", str(tmp_path), cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert done.returncode == 1
    assert "FAIL broker      nobody answers at 127.0.0.1:1" in done.stdout


def test_rules_that_cannot_be_read_are_said_once_before_any_process_starts(fresh_kafka: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules" / "goods"
    rules.mkdir(parents=True)
    (rules / "x.yaml").write_text("title: [", encoding="utf-8")
    options = ("--processes", "2", "--state-dir", str(tmp_path / "state"), "--set", f"rules_dir={rules.parent}")
    done = waybill("worker", *options, cwd=tmp_path, KAFKA_BOOTSTRAP_SERVERS=fresh_kafka)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "error" in line and "x.yaml" in line]
    assert "starting" not in done.stderr
