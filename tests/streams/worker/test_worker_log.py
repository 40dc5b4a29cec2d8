"""The worker's log: readable, and calm when the broker is away."""

from __future__ import annotations

import json
import logging

import pytest

from streams.cli.worker import Calm, Json
from streams.explain import explain
from streams.worker.health import HealthError

AWAY = "FAIL [%s] 127.0.0.1:9092: Connect failed: Connection refused (after %sms in state CONNECT)"


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("streams", logging.ERROR, "", 0, text, (), None)


@pytest.mark.parametrize("client", ["rdkafka#consumer-2", "waybill-sentinel-0#consumer-2", "rdkafka#producer-1"])
def test_a_broker_that_is_away_is_reported_now_and_then(client: str) -> None:
    now = 0.0
    calm = Calm(every_s=30, clock=lambda: now)
    passed = []
    for tick in range(1_000):
        now = tick / 20
        each = record(AWAY % (client, tick))
        if calm.filter(each):
            passed.append(each.getMessage())
    assert len(passed) == 2
    assert passed[1].endswith("(599 more like it held back)")
    assert calm.filter(record(f"another thing from {client}"))


def test_what_we_say_ourselves_is_never_held_back() -> None:
    calm = Calm()
    for number in range(5):
        assert calm.filter(record(f"worker {number} ended with exit code 1; starting it anew in 0.5 s"))


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
