"""A broker that answers before it knows its topics, as one does that starts: whoever needs a topic asks again.

To a client that is a broker on which the topics come a moment later, as they do here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.contestants import everything
from benchmarks.traffic import load_nothing
from schemas.errors import WaybillError
from schemas.topics import RULES, SHIPMENTS
from streams.flow.batches import Batch
from streams.kafka import admin, cluster
from streams.kafka.cluster import Cluster
from streams.kafka.global_table import GlobalTable
from streams.kafka.group_reader import GroupReader
from streams.kafka.log_reader import LogReader
from streams.kafka.reader import Reader
from streams.kafka.transport import committed
from streams.ops import offsets, preflight
from streams.settings import Settings
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker


class Nothing:
    """A table of no records."""

    def add(self, batch: Batch) -> None:
        """None comes."""

    def build(self) -> int:
        """Nothing is known."""
        return 1


def starts(servers: str, folder: Path) -> dict[str, Callable[[], object]]:
    """Each way in which something that starts asks for a topic, by what it is called."""
    config: dict[str, object] = {"bootstrap.servers": servers, "group.id": folder.name, "log_level": 0}

    def preflight_of(role: str) -> object:
        settings = Settings(bootstrap_servers=servers, state_dir=folder / "state", group=folder.name)
        return preflight.checked(settings) if role == "worker" else preflight.permitted(settings, role)

    def log() -> object:
        with LogReader(servers, [RULES], client={"log_level": 0}) as reader:
            return list(reader.to_end())

    def bounds() -> object:
        with Reader(config) as reader:
            return reader.bounds(RULES, 0)

    def read() -> object:
        with Reader(config) as reader:
            reader.assign({(RULES, 0): 0})
            return list(reader.to_end(silent_s=cluster.STARTING_S))

    def table() -> None:
        failures: list[BaseException] = []
        table = GlobalTable(config, RULES, Nothing(), 0)
        table.start(lambda: None, failures.append)
        try:
            table.catch_up(lambda: False, PATIENCE_S)
        finally:
            table.stop()
        assert not failures, failures

    def group() -> object:
        client = Consumer(config)
        try:
            return committed.committed(client, [TopicPartition(SHIPMENTS, 0)], {}, {})
        finally:
            client.close()

    def member() -> None:
        reader = GroupReader(servers, [SHIPMENTS], f"{folder.name}-member", {"log_level": 0})
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not reader.assigned and time.monotonic() < deadline:
                reader.poll(10, 0.1)
            assert reader.assigned
        finally:
            reader.close()

    return {
        "worker": partial(preflight_of, "worker"),
        "desk": partial(preflight_of, "dispatcher"),
        "log": log,
        "bounds": bounds,
        "read": read,
        "table": table,
        "group": group,
        "member": member,
        "offsets": lambda: offsets.show(Cluster(config), folder.name),
    }


def ended(call: Callable[[], object]) -> str:
    """What it ended of; empty where it did not fail."""
    try:
        call()
    except WaybillError as error:
        return str(error)
    return ""


def test_topics_that_come_a_moment_later_are_waited_for(
    fresh_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = starts(fresh_kafka, tmp_path)
    admin.delete(fresh_kafka)
    with ThreadPoolExecutor(len(asking)) as threads:
        patient(monkeypatch, 1.0)
        for name, error in zip(asking, threads.map(ended, asking.values()), strict=True):
            assert "waybill." in error or "no topics" in error, f"{name}: {error or 'did not fail'}"
        patient(monkeypatch, PATIENCE_S)
        errors = threads.map(ended, asking.values())
        time.sleep(1.0)  # all ask meanwhile: one that has not yet would only be easier to please
        admin.create(fresh_kafka)
        assert dict(zip(asking, errors, strict=True)) == dict.fromkeys(asking, "")


def patient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Ask for so long."""
    for module in (cluster, committed):
        monkeypatch.setattr(module, "STARTING_S", seconds)


def test_a_benchmark_empties_topics_that_someone_else_deletes_meanwhile(fresh_kafka: str) -> None:
    other = AdminClient({"bootstrap.servers": fresh_kafka, "log_level": 0})
    for empty, names in ((everything._empty_outputs, everything.WRITTEN), (load_nothing, (SHIPMENTS,))):
        other.list_topics(timeout=PATIENCE_S)
        deleted = other.delete_topics([*names])
        empty(fresh_kafka)
        for each in deleted.values():
            each.exception(PATIENCE_S)
        assert all(facts.partitions for facts in Cluster({"bootstrap.servers": fresh_kafka}).topics(names).values())
