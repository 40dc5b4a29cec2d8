"""Whatever lies on a topic that others may write: who reads it says so, or leaves it out, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, Producer

from schemas.topics import RULE_ACKS, TOPICS
from tests.broker.test_desk import STATIONS, alert_on, publish
from tests.command import waybill
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker

NESTED = b'{"x":' + b"[" * 2_000
VALUES = (b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"x":1e400}', b'{"x":"\xed\xa0\xbd"}', NESTED)
KEYS = (b"", b"\xff\xfe", b"YT:1", b"set:000001")
COMMANDS = (
    ("alerts",),
    ("alerts", "--shadow"),
    ("dispatcher", "--once"),
    ("tracer", "--once"),
    ("clues", "list"),
    ("clues", "overdue"),
    ("measures",),
    ("tallies",),
    ("rules", "status"),
    ("doctor",),
)


def test_nothing_that_lies_on_a_topic_ends_who_reads_it(fresh_kafka: str, tmp_path: Path) -> None:
    producer = Producer({"bootstrap.servers": fresh_kafka, "log_level": 0})
    refused: list[KafkaError | None] = []
    for topic in (topic.name for topic in TOPICS if not topic.internal or topic.name == RULE_ACKS):
        for key in KEYS:
            for value in VALUES:
                producer.produce(topic, key=key, value=value, on_delivery=lambda error, _: refused.append(error))
    assert producer.flush(PATIENCE_S) == 0
    assert not any(refused)
    publish(fresh_kafka, *STATIONS, alert_on(1))
    env = {"KAFKA_BOOTSTRAP_SERVERS": fresh_kafka, "WAYBILL_STATE_DIR": str(tmp_path / "state")}
    said = {command: waybill(*command, env=env) for command in COMMANDS}
    assert {command: done.stderr for command, done in said.items() if "unexpected" in done.stderr} == {}
    assert {command for command, done in said.items() if done.returncode} <= {("doctor",), ("rules", "status")}
    assert said["dispatcher", "--once"].stderr == "1 open clue\n"
