"""The private Kafka: it answers, keeps what it was given over kill -9, and never outlives its owner."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.ops.broker import BrokerError, PrivateKafka, bootstrap, prepare
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.broker


def test_records_survive_kill_and_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that is named from here, which serves one broker at a time."""
    monkeypatch.chdir(tmp_path)
    with PrivateKafka(Path("data")) as kafka:
        servers = kafka.bootstrap_servers
        _create(servers, "kept")
        _produce(servers, "kept", [b"%d" % i for i in range(1000)])
        kafka.kill()
        assert not kafka.running
        kafka.restart()
        assert kafka.bootstrap_servers == servers
        assert _read(servers, "kept", 1000) == [b"%d" % i for i in range(1000)]
        with pytest.raises(BrokerError, match=r"^a private Kafka runs on .* already$"):
            PrivateKafka(Path("data")).start()
        time.sleep(1)  # in which it died of what the other had written, before Kafka asked for its own lock
        assert kafka.running
        kafka.restart()
        assert _read(servers, "kept", 1000) == [b"%d" % i for i in range(1000)]
    assert (tmp_path / "data" / "kafka.log").exists()


def test_its_two_listeners_never_choose_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both look for a free one before either holds its own."""
    monkeypatch.setattr(random, "sample", lambda ports, count: ports[:count])
    kafka = PrivateKafka()
    kafka._choose_ports()
    assert kafka._ports[0] != kafka._ports[1]


def test_aborted_records_are_hidden(kafka: str) -> None:
    """The reason for a real broker: stand-ins for one show aborted records."""
    topic = f"transactions-{uuid.uuid4().hex}"
    _create(kafka, topic)
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(PATIENCE_S)
    for value, commit in ((b"aborted", False), (b"committed", True)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush()
        (producer.commit_transaction if commit else producer.abort_transaction)(PATIENCE_S)
    assert _read(kafka, topic, 1) == [b"committed"]
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    admin.delete_topics([topic])[topic].result(PATIENCE_S)


def test_topics_are_not_created_by_accident(kafka: str) -> None:
    producer = Producer({"bootstrap.servers": kafka, "log_level": 0})
    # A producer's question creates a topic where that is allowed.
    producer.list_topics("nobody-made-this", timeout=PATIENCE_S)
    assert "nobody-made-this" not in producer.list_topics(timeout=PATIENCE_S).topics


def test_a_port_that_another_has_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"^[^\n]*127\.0\.0\.1:{port}: Address already in use\.$"):
            PrivateKafka(tmp_path, port=port).start()


def test_it_outlives_the_thread_that_started_it_and_leaves_no_process_and_no_directory() -> None:
    kafka = PrivateKafka()
    thread = threading.Thread(target=kafka.start)
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert (
        AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
        .list_topics(timeout=PATIENCE_S)
        .brokers
    )
    pid, directory = kafka.pid, kafka.data_dir
    listeners = {at.laddr.ip for at in psutil.Process(pid).net_connections() if at.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in listeners} == {"127.0.0.1"}
    kafka.stop()
    kafka.stop()
    assert not psutil.pid_exists(pid)
    assert not directory.exists()


@pytest.mark.chaos
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_broker_dies_with_its_owner(how: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
    )
    with owner:
        assert owner.stdout is not None
        broker, directory = owner.stdout.readline().split()
        keeper = psutil.Process(int(broker)).parent()
        assert keeper is not None
        os.kill(owner.pid, how)
        owner.wait(PATIENCE_S)
    until(lambda: not psutil.pid_exists(int(broker)) and not keeper.is_running())
    assert not Path(directory).exists()


_OWNER = """
import time
from streams.ops.broker import PrivateKafka
with PrivateKafka() as kafka:
    print(kafka.pid, kafka.data_dir, flush=True)
    time.sleep(60)
"""


@pytest.mark.chaos
def test_broker_dies_with_its_keeper() -> None:
    with PrivateKafka() as kafka:
        pid = kafka.pid
        keeper = psutil.Process(pid).parent()
        assert keeper is not None
        keeper.kill()
        until(lambda: not psutil.pid_exists(pid))


def test_it_starts_from_an_ahead_of_time_cache() -> None:
    """Without one each start takes twice the CPU, and nothing else fails."""
    assert prepare().aot_cache.exists()


def test_failed_start_shows_the_log(tmp_path: Path) -> None:
    kafka = PrivateKafka(tmp_path, settings={"log.segment.bytes": "many"})
    with pytest.raises(BrokerError, match="ended while it was starting") as refused:
        kafka.start()
    assert "Invalid value many" in str(refused.value)
    assert not kafka.running


def test_environment_names_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    with bootstrap() as servers:
        assert servers == "kafka.example:9092"


def test_no_address_before_the_first_start() -> None:
    kafka = PrivateKafka()
    with pytest.raises(BrokerError, match="not started"):
        _ = kafka.bootstrap_servers
    with pytest.raises(BrokerError, match="not running"):
        _ = kafka.pid


def _create(servers: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(PATIENCE_S)


def _produce(servers: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(PATIENCE_S) == 0


def _read(servers: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(values) < count and time.monotonic() < deadline:
        for message in consumer.consume(count, 0.5):
            assert message.error() is None
            values.append(message.value() or b"")
    consumer.close()
    return values
