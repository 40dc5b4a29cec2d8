"""Kafka and workers in containers: the alerts of a run without a broker, whoever joins, goes or is killed meanwhile."""

from __future__ import annotations

import json
import time

import pytest

from tests.containers.stack import Stack, page, said, slots
from tests.runs import open_alerts, run
from tests.workers import Publisher, Stream, expect
from tests.worlds import world

pytestmark = pytest.mark.containers

ALERTS_S = 120.0


def test_scaled_and_killed_they_give_the_alerts_of_judge(stack: Stack) -> None:
    """In mid-stream: three instead of one, one of them killed and back, Kafka killed and back, one instead of three."""
    records = world(31, 1_500)
    wanted = open_alerts(run(records))
    assert len(wanted) > 100
    stream = Stream(stack.servers, records, 40.0)
    stream.start()

    stack.up(3)
    stack.until_ready(3)
    workers = stack.containers("worker")
    assert slots(workers) == ["0", "1", "2"], "one name each"
    assert all(page(each, "/live")[0] == 200 for each in workers)
    assert all("waybill_lag_records" in page(each, "/metrics")[1] for each in workers)

    killed = workers[1]
    killed.kill()
    stack.until(lambda: len(stack.containers("worker")) == 2, "one is dead")
    stack.up(3)
    stack.until_ready(3)
    assert slots(stack.containers("worker")) == ["0", "1", "2"], "it has its name again"
    assert killed.id in [each.id for each in stack.containers("worker")]

    (kafka,) = stack.containers("kafka")
    kafka.kill()
    time.sleep(2)
    kafka.start()
    stack.until_ready(3)

    stack.up(1)
    stack.until(lambda: len(stack.containers("worker")) == 1, "two were asked to go")
    stack.until_ready(1)
    stream.join()
    try:
        expect(stack.servers, wanted, timeout_s=ALERTS_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n\n{stack.told()}") from None


def test_a_stopped_container_writes_nothing_and_the_state_outlives_all_containers(stack: Stack) -> None:
    """One is paused beyond its session while the others take over; then everything is removed, and started again."""
    records = world(32, 900)
    wanted = open_alerts(run(records))
    half = len(records) // 2
    publish = Publisher(stack.servers)
    stack.up(2)
    stack.until_ready(2)
    paused, other = stack.containers("worker")
    publish(records[:half])
    paused.pause()
    stack.until(lambda: _partitions(other) == 6, "the other has all partitions")
    publish(records[half:])
    paused.unpause()
    stack.until_ready(2)
    expect(stack.servers, wanted, timeout_s=ALERTS_S).close()

    stack.down()
    stack.up(2)
    stack.until_ready(2)
    told = "".join(said(each) for each in stack.containers("worker"))
    assert "partitions is there" in told
    reader = expect(stack.servers, wanted, timeout_s=ALERTS_S)
    before = len(reader.values)
    time.sleep(2)
    reader.poll(1.0)
    assert len(reader.values) == before, "what is known already is not published again"


def _partitions(worker: object) -> int:
    status, body = page(worker, "/ready")
    return int(json.loads(body)["partitions"]) if status == 200 else 0


def test_asked_to_stop_it_ends_at_once_and_is_started_anew(stack: Stack) -> None:
    """SIGTERM reaches the worker, which is the container's first process; Compose keeps it running."""
    (worker,) = stack.containers("worker")
    worker.exec_run(["sh", "-c", "kill -TERM 1"])
    stack.until(lambda: said(worker).count("starting: group") == 2, "started anew")
    stack.until_ready(1)

    started = time.monotonic()
    worker.stop(timeout=60)
    seconds = time.monotonic() - started
    worker.reload()
    assert (worker.attrs["State"]["ExitCode"], seconds < 15) == (0, True), said(worker)


def test_it_runs_without_root_on_a_root_that_it_cannot_write(stack: Stack) -> None:
    (worker,) = stack.containers("worker")
    host = worker.attrs["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert worker.exec_run(["id", "-u"]).output.strip() == b"10001"
    assert worker.exec_run(["touch", "/opt/waybill/file"]).exit_code != 0
    assert worker.exec_run(["sh", "-c", "ls -a /var/lib/waybill/waybill-sentinel"]).output.split()[2:] == [
        b".slots",
        b"0",
    ]
    stack.until(lambda: _health(worker) == "healthy", "its health is looked at")


def _health(worker: object) -> str:
    worker.reload()  # type: ignore[attr-defined]
    return str(worker.attrs["State"]["Health"]["Status"])  # type: ignore[attr-defined]
