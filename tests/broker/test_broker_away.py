"""A broker that goes away, for a while or for good. Workers outlast it or start anew, but do not wait for ever."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka import admin
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError
from streams.ops.broker.private import PrivateKafka
from tests.runs import open_alerts, run
from tests.waiting import PATIENCE_S, until
from tests.workers import WAYBILL, Publisher, Stream, Worker, expect
from tests.worlds import Record, world

pytestmark = [pytest.mark.broker, pytest.mark.chaos]
# Seconds for which the broker is away, longer than a transaction and its abort may take; 60 was played too.
AWAY_S = float(os.environ.get("WAYBILL_TESTS_AWAY_S", "8"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateKafka]:
    """A broker for the test alone, with topics, that coordinates groups: on a busy machine its first may wait long."""
    with PrivateKafka(tmp_path / "kafka", heap_mb=300) as kafka:
        admin.create(kafka.bootstrap_servers)
        until(lambda: coordinates(kafka.bootstrap_servers))
        yield kafka


def coordinates(servers: str) -> bool:
    try:
        Cluster({"bootstrap.servers": servers}).group("any")
    except ClientError:
        return False
    return True


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)["why"]
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)["why"]
    except OSError:
        return 0, ""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_supervised_workers_outlast_it_under_load(broker: PrivateKafka, tmp_path: Path) -> None:
    """Stopped, and then frozen."""
    servers, records = broker.bootstrap_servers, list[Record]()
    command = (*WAYBILL, "--processes", "2")
    with Worker(servers, tmp_path / "state", command=command, epoch_ms_max=50) as workers:
        until(lambda: workers.says("state of 2 partitions is there") >= 2, workers.told)
        for seed, how in ((31, "stopped"), (33, "frozen")):
            before, after = world(seed, 60), world(seed + 1, 60)
            stream = Stream(servers, before, 3.0)
            stream.start()
            time.sleep(1.5)
            if how == "stopped":  # in order: a kill may cost it the marks of a transaction (tests/chaos/RESULTS.md)
                broker.stop()
                time.sleep(AWAY_S)
                broker.start()
            else:
                os.kill(broker.pid, signal.SIGSTOP)
                time.sleep(AWAY_S)
                os.kill(broker.pid, signal.SIGCONT)
            stream.join()
            Publisher(servers)(after)
            records += [*before, *after]
            expect(servers, open_alerts(run(records)), workers)
            # One that could not give its partitions back in time is still on its way out, and would end a stop with 1.
            until(lambda: workers.says("starting it anew") == workers.says("waybill: error: "), workers.told)
        assert workers.stop() == 0, workers.told(200)


def test_an_idle_worker_whose_broker_is_gone_says_so_and_ends(broker: PrivateKafka, tmp_path: Path) -> None:
    servers, port = broker.bootstrap_servers, free_port()
    bounds = {"stalled_ms_max": 14_000, "give_up_after_ms": 18_000}
    with Worker(servers, tmp_path / "state", WAYBILL, web_port=port, **bounds) as worker:
        worker.ready()  # and has read nothing: it would end of a commit that hangs
        until(lambda: page(port, "/ready")[0] == 200)
        broker.kill()
        gone_at = time.monotonic()
        first: dict[str, float] = {}
        last: dict[str, str] = {}
        while worker.alive and time.monotonic() - gone_at < PATIENCE_S:
            for path in ("/ready", "/live"):
                status, why = page(port, path)
                if status == 503:
                    first.setdefault(path, time.monotonic() - gone_at)
                    last[path] = why
            time.sleep(0.2)
        assert worker.code == 1
        assert "no broker has answered for " in worker.last_words()
        assert worker.last_words().endswith(f"; nobody answers at {servers}")
        assert first["/ready"] <= first["/live"]
        assert "none has answered" in last["/ready"]
        assert "no broker has answered" in last["/live"]


def test_a_worker_that_ends_amid_a_commit_names_the_broker_that_is_away(broker: PrivateKafka, tmp_path: Path) -> None:
    servers = broker.bootstrap_servers
    for how in (signal.SIGSTOP, signal.SIGKILL):
        bounds = {"epoch_ms_max": 50, "stalled_ms_max": 14_000, "give_up_after_ms": 18_000}
        with Worker(servers, tmp_path / how.name / "state", WAYBILL, **bounds) as worker:
            worker.ready()
            publish = Publisher(servers)
            for record in world(int(how), 20):
                publish([record])
            os.kill(broker.pid, how)
            until(lambda: not worker.alive, worker.told)
            assert worker.ended() == 1
            assert worker.last_words().endswith(f"; nobody answers at {servers}"), worker.told()
        if how is signal.SIGSTOP:
            os.kill(broker.pid, signal.SIGCONT)
            until(lambda: coordinates(servers))
