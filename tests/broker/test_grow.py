"""More partitions: state, history and what is unread come along, once, whoever is killed on the way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from streams.kafka import admin
from streams.kafka.rights import WORKER_TOPICS
from tests.broker.test_operators import waybill
from tests.runs import open_alerts, run
from tests.workers import Publisher, Worker, expect
from tests.worlds import world

pytestmark = pytest.mark.broker


def grow(servers: str, state_dir: Path, group: str, partitions: int, *more: str) -> subprocess.CompletedProcess[str]:
    """`waybill topics grow` for workers whose producers are stopped."""
    return waybill(
        servers, "topics", "grow", "--partitions", str(partitions), "--producers-s", "0", "--set", f"group={group}",
        "--set", f"state_dir={state_dir}", *more,
    )  # fmt: skip


def counts(servers: str) -> set[int]:
    """Partitions of the topics of workers."""
    return {
        each.partitions for each in admin.show(servers) if each.topic.name in WORKER_TOPICS and not each.topic.single
    }


def test_alerts_are_those_of_a_run_without_growth(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(3, 120)
    before, behind = records[: len(records) // 2], records[len(records) // 2 :]
    group = "waybill-grow"
    publish = Publisher(fresh_kafka)
    publish(before)
    state = tmp_path / "one" / "state"
    with Worker(fresh_kafka, state, group=group) as worker:
        expect(fresh_kafka, open_alerts(run(before)), worker).close()
        assert worker.stop() == 0
    done = grow(fresh_kafka, state, group, 6)
    assert done.returncode == 0, done.stderr
    assert counts(fresh_kafka) == {6}
    Publisher(fresh_kafka)(behind)
    with Worker(fresh_kafka, state, group=group) as worker:
        expect(fresh_kafka, open_alerts(run(records)), worker).close()
        assert worker.stop() == 0
