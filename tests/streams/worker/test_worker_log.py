"""The worker's log: readable, and calm when the broker is away."""

from __future__ import annotations

import json
import logging
import random

import pytest

from streams.cli.logs import Folded, Json
from streams.explain import explain
from streams.worker.health import HealthError


def fail(client: str, broker: str, said: str, kind: str = "FAIL") -> str:
    """A line as librdkafka writes it."""
    return f"{kind} [{client}] [thrd:{broker}]: {broker}: {said}"


# What librdkafka says when one broker goes away, of four clients of a worker.
CLOSED = "Disconnected: connection closed by peer (after 4131ms in state UP)"
REFUSED = "Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT"
LOST = [
    fail("rdkafka#consumer-8", "GroupCoordinator", f"127.0.0.1:9092: {CLOSED}"),
    fail("g1-0#consumer-5", "127.0.0.1:9092/1", CLOSED),
    fail("g1-0#consumer-5", "GroupCoordinator", "Disconnected: reset by peer (after 1ms in state APIVERSION_QUERY)"),
    fail("rdkafka#consumer-6", "127.0.0.1:9092/bootstrap", f"{REFUSED})"),
    fail("g1-0#producer-2", "127.0.0.1:9092/bootstrap", f"{REFUSED}, 30 identical error(s) suppressed)"),
    f"ERROR [g1-0#producer-2] [thrd:app]: g1-0#producer-2: 127.0.0.1:9092/bootstrap: {REFUSED})",
    "ERROR [g1-0#producer-2] [thrd:app]: 1/1 brokers are down",
    "SESSTMOUT [g1-0#consumer-5] [thrd:main]: Consumer group session timed out (in join-state steady) after 2032 ms",
]


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("streams", logging.ERROR, "", 0, text, (), None)


def written(folded: Folded, *lines: str) -> list[str]:
    records = [record(line) for line in lines]
    return [each.getMessage() for each in records if folded.filter(each)]


@pytest.mark.parametrize("order", range(4))
def test_a_broker_that_goes_away_is_one_line_now_and_then(order: int) -> None:
    """Whichever of its clients and threads says so first, and however it says so."""
    lines = LOST[:]
    random.Random(order).shuffle(lines)
    lines.sort(key=lambda line: "brokers are down" in line or "GroupCoordinator: Disconnected" in line)
    now = 0.0
    folded = Folded(every_s=30, clock=lambda: now)
    said = []
    for tick in range(1_000):
        now = tick / 20
        said += written(folded, *lines)
    assert len(said) == 2
    assert all(line.startswith("Kafka at 127.0.0.1:9092: ") for line in said)
    assert all("#" not in line and "thrd" not in line for line in said)
    assert said[1].endswith(" more like it held back)")


def test_each_broker_and_each_fault_is_an_event_of_its_own() -> None:
    client, broker = "rdkafka#producer-2", "sasl_ssl://h2:9093/bootstrap"
    assert written(
        Folded(),
        *LOST,
        LOST[1].replace("127.0.0.1", "kafka-2.example.org"),
        LOST[1].replace("127.0.0.1", "[::1]"),
        fail(client, broker, "SASL authentication error: Authentication failed (after 3ms in state AUTH_REQ)"),
        fail(client, broker, "SASL authentication error: Authentication failed (after 5ms in state AUTH_REQ)"),
        fail(client, broker, "SSL handshake failed: certificate verify failed (after 3ms in state SSL_HANDSHAKE)"),
    ) == [
        "Kafka at 127.0.0.1:9092: connection closed by peer",
        "Kafka at kafka-2.example.org:9092: connection closed by peer",
        "Kafka at [::1]:9092: connection closed by peer",
        "Kafka at h2:9093: SASL authentication error: Authentication failed",
        "Kafka at h2:9093: SSL handshake failed: certificate verify failed",
    ]


def test_what_we_say_ourselves_is_never_held_back() -> None:
    folded = Folded()
    for number in range(5):
        assert folded.filter(record(f"worker {number} ended with exit code 1; starting it anew in 0.5 s"))


def test_an_error_that_may_quote_data_gives_kind_and_place_only() -> None:
    try:
        {"sender_name": "x"}["王建国"]
    except KeyError as error:
        text = explain(error)
    assert "王建国" not in text
    assert text.startswith("unexpected builtins.KeyError at test_worker_log.py:")
    assert explain(HealthError("port 1 is taken")) == "port 1 is taken"
    assert explain(PermissionError(13, "Permission denied", "/x")) == "/x: Permission denied"


def test_the_log_as_json_is_one_object_a_line() -> None:
    made = logging.LogRecord("streams.x", logging.WARNING, "", 0, "two\nlines of %s", ("王",), None)
    line = Json("worker 0").format(made)
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["process"], found["message"]) == ("warning", "worker 0", "two\nlines of 王")
    assert found["time"].endswith("+00:00")
