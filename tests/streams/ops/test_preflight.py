"""What is said before a worker starts."""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

from schemas.topics import REFERENCE, TOPICS
from streams.flow.describe.tokens import KeyFileError
from streams.kafka import admin
from streams.kafka.admin import TopicState, expected_partitions
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError
from streams.ops import preflight
from streams.settings import Settings


def states(partitions: int, **other: int) -> list[TopicState]:
    """All topics with `partitions`, but those named (`waybill_scans=3`); 0: missing."""
    counts = {topic.name: other.get(topic.name.replace(".", "_"), partitions) for topic in TOPICS}
    return [
        TopicState(topic, expected_partitions(topic, counts[topic.name]) if counts[topic.name] else 0, 1, 0)
        for topic in TOPICS
    ]


def test_topics_that_are_there_and_alike_have_no_fault() -> None:
    assert preflight.faults(states(7)) == []


def test_faults_say_what_to_do() -> None:
    assert preflight.faults(states(0)) == ["no topics; run `waybill topics create`"]
    missing = preflight.faults(states(6, waybill_rejects=0))
    assert missing == ["missing topics: waybill.rejects; run `waybill topics create --partitions 6`"]
    (differ,) = preflight.faults(states(4, waybill_scans=3))
    assert differ.startswith("partition counts differ (waybill.shipments 4, waybill.scans 3, ")


def test_a_topic_that_is_read_whole_has_one_partition() -> None:
    """A broker that creates topics by itself, for the first who writes to them, gives each the same count."""
    split = [replace(state, partitions=4) if state.topic.name == REFERENCE else state for state in states(4)]
    (found,) = preflight.faults(split)
    assert found.startswith(
        "topics of one partition have more (waybill.reference 4), of which only the first is read; "
    )


def test_addresses_are_read_as_kafka_writes_them() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        for servers in (f"127.0.0.1:{port}", f"PLAINTEXT://localhost:{port}", f"127.0.0.1:1, 127.0.0.1:{port}"):
            assert preflight.answers(servers)
    for servers in ("127.0.0.1:1", "[::1]:1", "no such host:9092", "127.0.0.1:99999999", ""):
        assert not preflight.answers(servers)


def test_why_nobody_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_TIMEOUT_S", 0.3)
    with pytest.raises(ClientError, match=r"does not answer: .*127\.0\.0\.1:1/bootstrap: .*Connection refused"):
        admin.show("127.0.0.1:1", client={"log_level": 0})


def test_one_reason_for_all_topics_is_said_once() -> None:
    futures: dict[str, Future[None]] = {topic.name: Future() for topic in TOPICS}
    for future in futures.values():
        future.set_exception(KafkaException(KafkaError(KafkaError.INVALID_REPLICATION_FACTOR, "no 2 brokers")))
    cluster = Cluster({"bootstrap.servers": "127.0.0.1:1"})
    with pytest.raises(ClientError) as refused:
        cluster._await("CREATE", futures, ok=KafkaError.TOPIC_ALREADY_EXISTS)
    assert str(refused.value).count("no 2 brokers") == 1
    assert all(name in str(refused.value) for name in futures)


def test_a_worker_says_what_it_should_not_be_run_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WAYBILL_")]:
        monkeypatch.delenv(name)
    assert ["development keys" in each for each in preflight.cautions(Settings())] == [True]
    keys = {"token_key": "k1:" + "ab" * 32, "token_state_key": "cd" * 32}
    assert preflight.cautions(Settings.model_validate(keys)) == []
    monkeypatch.setenv("WAYBILL_TOKEN_KEY_FIEL", "/etc/key")
    (misspelt,) = preflight.cautions(Settings.model_validate(keys))
    assert misspelt.startswith("WAYBILL_TOKEN_KEY_FIEL names no setting")


def test_nobody_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    assert preflight.servers(Settings()) == "127.0.0.1:9092"
    with pytest.raises(preflight.PreflightError, match=r"nobody answers at 127\.0\.0\.1:1; start a Kafka") as refused:
        preflight.checked(Settings(bootstrap_servers="127.0.0.1:1", state_dir=tmp_path))
    assert "\n" not in str(refused.value)


def test_what_can_be_checked_alone_comes_before_the_broker(tmp_path: Path) -> None:
    """Also before a supervisor starts workers, which would fail again and again."""
    (tmp_path / "file").touch()
    for folder, why in (("file", "File exists"), ("file/s", "Not a directory")):
        with pytest.raises(preflight.PreflightError, match=rf"^state_dir {tmp_path / folder}: {why}; name a folder"):
            preflight.checked(Settings(bootstrap_servers="127.0.0.1:1", state_dir=tmp_path / folder))
    none = tmp_path / "none"
    with pytest.raises(KeyFileError, match="token_state_key_file: cannot read"):
        preflight.checked(
            Settings(
                bootstrap_servers="127.0.0.1:1", state_dir=tmp_path, token_key_file=none, token_state_key_file=none
            )
        )
