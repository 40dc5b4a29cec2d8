"""Kafka and workers in containers: the alerts of a run without a broker, whoever joins, goes or is killed meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from html import unescape
from typing import Any

import httpx2
import pytest

from schemas import topics
from tests.containers.stack import Stack, page, said, slots
from tests.runs import Alerts, open_alerts, run
from tests.workers import Publisher, Reader, Stream, expect
from tests.worlds import Record, world

pytestmark = pytest.mark.containers

OWN = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "en"}


def test_scaled_and_killed_they_give_the_alerts_of_judge(stack: Stack) -> None:
    """In mid-stream: three instead of one, one of them killed and back, Kafka killed and back, one instead of three."""
    records = world(31, 1_500)
    wanted = open_alerts(run(records))
    assert len(wanted) > 100
    steps: Sequence[Callable[[Stack], None]] = (_scale_up, _kill_a_worker, _kill_kafka, _scale_down)
    for i, step in enumerate(steps):
        part = records[len(records) * i // len(steps) : len(records) * (i + 1) // len(steps)]
        stream = Stream(stack.servers, part, 5.0)
        stream.start()
        step(stack)
        stream.join()
    _expect(stack, wanted)


def _scale_up(stack: Stack) -> None:
    stack.up(3)
    stack.until_ready(3)
    workers = stack.containers("worker")
    assert slots(workers) == ["0", "1", "2"], "one name each"
    assert all(page(each, "/live")[0] == 200 for each in workers)
    assert all("waybill_lag_records" in page(each, "/metrics")[1] for each in workers)


def _kill_a_worker(stack: Stack) -> None:
    killed = stack.containers("worker")[1]
    killed.kill()
    stack.until(lambda: len(stack.containers("worker")) == 2, "one is dead")
    stack.up(3)
    stack.until_ready(3)
    assert killed.id in [each.id for each in stack.containers("worker")]
    assert slots(stack.containers("worker")) == ["0", "1", "2"], "it has its name again"


def _kill_kafka(stack: Stack) -> None:
    (kafka,) = stack.containers("kafka")
    kafka.kill()
    time.sleep(2)
    kafka.start()
    stack.until_ready(3)


def _scale_down(stack: Stack) -> None:
    stack.up(1)
    stack.until(lambda: len(stack.containers("worker")) == 1, "two were asked to go")
    stack.until_ready(1)


def test_alerts_are_traced_and_become_clues_whoever_is_killed(stack: Stack) -> None:
    records = world(33, 600)
    wanted = open_alerts(run(records))
    publish = Publisher(stack.servers)
    publish(records[: len(records) // 2])
    for service in ("tracer", "dispatcher"):
        (one,) = stack.containers(service)  # up with the worker that is ready
        assert one.attrs["HostConfig"]["ReadonlyRootfs"]
        one.kill()
        one.start()
    publish(records[len(records) // 2 :])
    alerts = _expect(stack, wanted)
    alerts.close()
    _until_told(stack, topics.TRACES, set(wanted), lambda record: record["alert_id"])
    _until_told(stack, topics.CLUES, set(wanted), lambda record: record["clue_id"])
    for service in ("tracer", "dispatcher"):
        (one,) = stack.containers(service)
        one.stop(timeout=30)
        one.reload()
        assert one.attrs["State"]["ExitCode"] != 137, f"{service} was asked to end and had to be killed"


def test_an_alert_becomes_a_clue_that_an_analyst_sees_in_the_desk(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = ("--users", "/var/lib/waybill/users")
    account = ("desk", "user", "add", "u1", "--role", "supervisor", "--password-file", "-")
    monkeypatch.setenv("COMPOSE_PROFILES", "desk")
    stack.run("desk", *account, *users, typed="correct horse battery")
    stack.up(1)
    records = world(34, 300)
    wanted = open_alerts(run(records))
    Publisher(stack.servers)(records)
    _expect(stack, wanted).close()
    _until_told(stack, topics.CLUES, set(wanted), lambda record: record["clue_id"])

    (desk,) = stack.containers("desk")
    assert desk.attrs["HostConfig"]["ReadonlyRootfs"]
    stack.until(lambda: _health(desk) == "healthy", "the desk has read its clues", 300.0)
    with httpx2.Client(base_url=stack.desk, headers=OWN, follow_redirects=True) as browser:
        assert str(browser.get("/").url).endswith("/desk/login")
        queue = browser.post("/desk/login", data={"user": "u1", "password": "correct horse battery"})
        assert (queue.status_code, str(queue.url)) == (200, f"{stack.desk}/desk")
        shown = [each for each in wanted if f"/desk/clues/{each}" in queue.text]
        assert shown, queue.text
        clue = browser.get(f"/desk/clues/{shown[0]}")
        assert clue.status_code == 200
        titles = [reason.title.en for reason in wanted[shown[0]].reasons]  # it was opened with some of them
        assert any(title in unescape(clue.text) for title in titles), clue.text
    desk.stop(timeout=30)
    desk.reload()
    assert desk.attrs["State"]["ExitCode"] != 137, "it was asked to end and had to be killed"


def _until_told(stack: Stack, topic: str, wanted: set[str], alert_of: Callable[[Any], str]) -> None:
    """Read a topic until it has told of all alerts wanted."""
    reader = Reader(stack.servers, topic=topic)

    def told() -> bool:
        return wanted <= {alert_of(json.loads(value)) for value in reader.values if value}

    assert reader.until(told, 180), f"{topic} lacks {sorted(wanted)[:3]}\n\n{stack.told()}"
    reader.close()


def test_paused_removed_and_asked_to_stop(stack: Stack) -> None:
    """One is paused beyond its session; then all containers are removed, and made anew; then one is asked to end."""
    _is_fenced_in(stack.containers("worker")[0])
    records = world(32, 900)
    wanted = open_alerts(run(records))
    stack.up(2)
    stack.until_ready(2)
    _pause_one(stack, records)
    _expect(stack, wanted).close()

    stack.down()
    assert stack.containers("worker", ended=True) == []
    stack.up(2)
    stack.until_ready(2)
    reader = _expect(stack, wanted)
    before = len(reader.values)
    time.sleep(2)
    reader.poll(1.0)
    assert len(reader.values) == before, "what is known already is not published again"
    _ask_to_stop(stack)


def _is_fenced_in(worker: Any) -> None:
    """No root, a root file system that it cannot write, and a state folder that it can."""
    host = worker.attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert worker.exec_run(["id", "-u"]).output.strip() == b"10001"
    assert worker.exec_run(["touch", "/var/lib/file"]).exit_code != 0
    assert worker.exec_run(["touch", "/var/lib/waybill/file"]).exit_code == 0


def _pause_one(stack: Stack, records: list[Record]) -> None:
    """Half of the records before, the others while the other worker has its partitions; then it goes on."""
    publish = Publisher(stack.servers)
    paused, other = stack.containers("worker")
    every = _partitions(paused) + _partitions(other)
    publish(records[: len(records) // 2])
    paused.pause()
    stack.until(lambda: _partitions(other) == every, "the other has all partitions")
    publish(records[len(records) // 2 :])
    paused.unpause()
    stack.until_ready(2)


def _ask_to_stop(stack: Stack) -> None:
    """SIGTERM reaches the worker, which is the container's first process; Compose keeps it running."""
    worker = stack.containers("worker")[0]
    worker.exec_run(["sh", "-c", "kill -TERM 1"])
    stack.until(lambda: said(worker).count("starting: group") == 2, "started anew")
    stack.until_ready(2)
    stack.until(lambda: _health(worker) == "healthy", "its health is looked at")

    started = time.monotonic()
    worker.stop(timeout=60)
    seconds = time.monotonic() - started
    worker.reload()
    assert (worker.attrs["State"]["ExitCode"], seconds < 30) == (0, True), said(worker)


def _partitions(worker: Any) -> int:
    status, body = page(worker, "/ready")
    return int(json.loads(body)["partitions"]) if status == 200 else 0


def _health(worker: Any) -> str:
    worker.reload()
    return str(worker.attrs["State"]["Health"]["Status"])


def _expect(stack: Stack, wanted: Alerts) -> Reader:
    try:
        return expect(stack.servers, wanted)
    except AssertionError as error:
        raise AssertionError(f"{error}\n\n{stack.told()}") from None
