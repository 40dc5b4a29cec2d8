"""Topics on a real broker: created once, equal in partitions, deleted whole."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from schemas.topics import (
    ACCESS,
    ALERTS,
    ENFORCEMENT,
    ENTRIES,
    GRADES,
    HISTORIES_CHANGELOG,
    LINKS,
    NOTICES,
    REFERENCE,
    REJECTS,
    RULE_ACKS,
    RULES,
    SCANS,
    SHADOW,
    SHIPMENTS,
    TOPICS,
)  # fmt: skip
from streams.kafka import admin as topics
from streams.kafka import handshake
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker

SINGLE = {NOTICES, REFERENCE, RULES, RULE_ACKS, ENFORCEMENT, ENTRIES, ACCESS, GRADES, LINKS}


@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_create_is_idempotent_and_co_partitioned(fresh_topics: Callable[[int], str], partitions: int) -> None:
    servers = fresh_topics(partitions)
    assert topics.create(servers, partitions) == []
    states = topics.show(servers)
    assert [state.topic for state in states] == list(TOPICS)
    for state in states:
        assert state.partitions == (1 if state.topic.name in SINGLE else partitions)
        assert (state.replication, state.offsets) == (1, 0)


def test_differing_partition_count_is_refused_by_name(fresh_kafka: str) -> None:
    with pytest.raises(topics.TopicError, match=r"waybill\.shipments has 4, wanted 6") as refused:
        topics.create(fresh_kafka, 6)
    assert not any(name in str(refused.value) for name in SINGLE)


def test_missing_topics_are_added_to_those_there(fresh_kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": fresh_kafka})
    admin.delete_topics([REFERENCE])[REFERENCE].result(PATIENCE_S)
    assert [state.topic.name for state in topics.show(fresh_kafka) if not state.partitions] == [REFERENCE]
    assert topics.create(fresh_kafka) == [REFERENCE]


def test_show_counts_records(fresh_kafka: str) -> None:
    producer = Producer({"bootstrap.servers": fresh_kafka, "enable.idempotence": True})
    for number in range(20):
        producer.produce(SHIPMENTS, key=str(number), value=b"{}")
    assert producer.flush(PATIENCE_S) == 0
    assert {s.topic.name: s.offsets for s in topics.show(fresh_kafka) if s.offsets} == {SHIPMENTS: 20}


def test_cleanup_is_as_declared(fresh_kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": fresh_kafka})
    asked = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in TOPICS])
    found = {resource.name: future.result(PATIENCE_S) for resource, future in asked.items()}
    for topic in TOPICS:
        assert set(found[topic.name]["cleanup.policy"].value.split(",")) == set(topic.cleanup.split(","))
    assert int(found[HISTORIES_CHANGELOG]["max.message.bytes"].value) == 4 * 1024 * 1024
    # Parcels under way are judged by the record that held when they were accepted.
    week_ms = 7 * 24 * 3_600_000
    assert int(found[REFERENCE]["min.compaction.lag.ms"].value) >= week_ms
    assert int(found[REFERENCE]["delete.retention.ms"].value) >= week_ms


@pytest.mark.parametrize("days", [-400, 400])
def test_what_a_worker_writes_is_dated_by_the_broker(fresh_kafka: str, days: int) -> None:
    """Or a worker's clock that is wrong would have its records refused, or deleted before they are read."""
    dated: list[tuple[str, int, int]] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None
        dated.append((str(message.topic()), *message.timestamp()))

    producer = Producer({"bootstrap.servers": fresh_kafka, "enable.idempotence": True})
    now = time.time()
    written = {topic.name for topic in TOPICS if topic.internal} | {ALERTS, NOTICES, REJECTS, SHADOW}
    for name in written:
        producer.produce(name, key="k", value=b"v", timestamp=int((now + days * 86_400) * 1000), on_delivery=delivered)
    assert producer.flush(PATIENCE_S) == 0
    assert {topic for topic, _, _ in dated} == written
    for topic, kind, at_ms in dated:
        assert (topic, kind) == (topic, TIMESTAMP_LOG_APPEND_TIME)
        assert abs(at_ms / 1000 - now) < 86_400


def test_deleted_topics_are_gone(fresh_kafka: str) -> None:
    assert set(topics.delete(fresh_kafka)) == {topic.name for topic in TOPICS}
    assert not any(state.partitions for state in topics.show(fresh_kafka))
    assert topics.delete(fresh_kafka) == []


def test_silent_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "_TIMEOUT_S", 0.2)
    with pytest.raises(ClientError, match="does not answer"):
        topics.create("127.0.0.1:1", client={"log_level": 0})


def test_whatever_is_asked_of_a_listener_that_says_nothing_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an empty one, as the time-out of a future is."""
    monkeypatch.setattr(handshake, "_CONNECT_S", 0.2)
    monkeypatch.setattr("streams.kafka.cluster._GRACE_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = Cluster({"bootstrap.servers": f"127.0.0.1:{silent.getsockname()[1]}"}, timeout_s=0.2)
        asked: tuple[Callable[[], object], ...] = (
            cluster.brokers,
            lambda: cluster.group("g"),
            lambda: cluster.configs([SCANS]),
            lambda: cluster.set_committed("g", {(SCANS, 0): 1}),
            lambda: cluster.delete_before({(SCANS, 0): 1}),
            lambda: cluster.bounds([(SCANS, 0)]),
        )
        for ask in asked:
            with pytest.raises(ClientError, match="does not answer"):
                ask()
