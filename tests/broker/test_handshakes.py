"""What is said when client and broker do not come together, on a real broker with TLS and logins: each cause reads
differently, and every command that asks the broker says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import WaybillError
from streams.kafka import admin, cluster, log_reader, replay
from streams.kafka.alerts import AlertReader
from streams.kafka.replay import Replay, opened
from streams.kafka.rights import principal
from tests.secured import Secured

pytestmark = pytest.mark.broker

Given = Callable[[Secured], dict[str, Any]]

CASES: dict[str, tuple[Given, str]] = {
    "wrong CA": (
        lambda kafka: kafka.over_tls(**{"ssl.ca.location": str(kafka.other_ca)}),
        r"not issued by a CA that this client trusts: set kafka\.ssl\.ca\.location",
    ),
    "wrong host name": (lambda kafka: kafka.over_tls("127.0.0.1"), r"certificate is for another host name"),
    "missing file": (
        lambda kafka: kafka.over_tls(**{"ssl.ca.location": "/no/such/ca.pem"}),
        r"kafka\.ssl\.ca\.location: /no/such/ca\.pem: No such file",
    ),
    "plaintext on a TLS port": (
        lambda kafka: {**kafka.over_tls(), "kafka": {"log_level": 0}},
        r"the listener speaks TLS: set kafka\.security\.protocol",
    ),
    "TLS on a plain port": (
        lambda kafka: {**kafka.over_tls(), "bootstrap_servers": kafka.servers},
        r"does not speak TLS",
    ),
    "wrong password": (
        lambda kafka: kafka.as_user("worker", **{"sasl.password": "wrong"}),
        r"does not accept kafka\.sasl\.username",
    ),
    "no login": (
        lambda kafka: {**kafka.as_user("worker"), "kafka": {"log_level": 0}},
        r"probably asks for a login",
    ),
}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What will not come need not be waited for long."""
    monkeypatch.setattr(admin, "_TIMEOUT_S", 4.0)
    monkeypatch.setattr(log_reader, "_TIMEOUT_S", 4.0)
    monkeypatch.setattr(replay, "ANSWER_S", 4.0)
    monkeypatch.setattr(cluster, "TIMEOUT_S", 4.0)


def said(ask: Callable[[], object]) -> str:
    with pytest.raises(WaybillError) as refused:
        ask()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("case", CASES)
def test_each_cause_reads_differently(secured: Secured, case: str, tmp_path: Path) -> None:
    given, wanted = CASES[case]
    servers, client = given(secured)["bootstrap_servers"], given(secured)["kafka"]
    (tmp_path / "scans.ndjson").write_text("{}\n")

    def replaying() -> object:
        with opened(tmp_path, "time", lambda *_: None) as index:
            return Replay(index, servers, client)

    for ask in (lambda: admin.show(servers, client=client), lambda: AlertReader(servers, client=client), replaying):
        text = said(ask)
        assert re.search(wanted, text), text


def test_the_right_certificate_is_taken(secured: Secured) -> None:
    given = secured.over_tls()
    config = {**given["kafka"], "bootstrap.servers": given["bootstrap_servers"]}
    assert cluster.Cluster(config).brokers() == 1
    assert "certificate" in principal(config)
