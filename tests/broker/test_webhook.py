"""The webhook on a real broker: told of each dispatch, signed, again until answered, and not twice over a restart."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from desk.dispatcher import Dispatcher
from desk.log import ClueLog
from desk.verbs import Monitor
from desk.webhook import WAITS_S, Webhook, WebhookError, key_in
from tests.broker.test_desk import STATIONS, alert_on, do, publish

KEY = bytes(range(32))

Told = list[tuple[dict[str, str], bytes]]


@contextmanager
def receiver(answers: list[int]) -> Iterator[tuple[str, Told]]:
    """An HTTP server that answers with these, then with 200."""
    told: Told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tell(servers: str, url: str, count: int) -> list[float]:
    """Run a webhook until it has told of so many; how long it waited in between, seconds."""
    waited: list[float] = []
    with Webhook(servers, {}, url, KEY, sleep=waited.append) as running:
        for _ in range(200):
            if running.step(0.2) and running.told + running.given_up >= count:
                break
        assert running.told + running.given_up == count
    return waited


@pytest.mark.broker
def test_each_dispatch_is_told_signed_and_once(fresh_kafka: str) -> None:
    secret = alert_on(9)
    publish(fresh_kafka, *STATIONS, alert_on(1), alert_on(2), secret)
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
        with ClueLog(fresh_kafka, {}) as log:
            log.catch_up()
            do(log, secret.alert_id, Monitor(why="order 7", users=("u9",)))
        with receiver([503, 302]) as (url, told):
            assert tell(fresh_kafka, url, 2) == [1, 2]
            assert len(told) == 4
            first = told[0][0]["webhook-id"]
            assert [headers["webhook-id"] for headers, _ in told[:3]] == [first] * 3
            for headers, body in told:
                signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
                mac = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()
                assert headers["webhook-signature"] == f"v1,{mac}"
                assert json.loads(body)["station"] == "ST-1"
                assert "tier" not in json.loads(body)
            assert secret.alert_id not in {json.loads(body)["clue_id"] for _, body in told}
            publish(fresh_kafka, alert_on(3))
            while len(dispatcher.log.open) < 4:
                dispatcher.step()
            tell(fresh_kafka, url, 1)
            assert json.loads(told[-1][1])["clue_id"] == alert_on(3).alert_id
            assert len(told) == 5


@pytest.mark.broker
def test_who_never_answers_is_given_up_after_the_last_attempt(fresh_kafka: str) -> None:
    publish(fresh_kafka, *STATIONS, alert_on(1))
    with Dispatcher(fresh_kafka, {}, 40) as dispatcher:
        dispatcher.start()
    with receiver([500] * 50) as (url, told):
        assert tell(fresh_kafka, url, 1) == list(WAITS_S)
        assert len(told) == len(WAITS_S) + 1


def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text, why in (("secret", "not hex"), ("abcd", "2 bytes"), ("", "0 bytes")):
        file.write_text(text)
        with pytest.raises(WebhookError, match=why) as refused:
            key_in(file)
        assert "secret" not in str(refused.value)
    file.write_text(KEY.hex() + "\n")
    assert key_in(file) == KEY
