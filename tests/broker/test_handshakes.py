"""What is said when client and broker do not come together, on a real broker with TLS and logins: each cause reads
differently, and every command that asks the broker says it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from schemas import topics
from schemas.errors import WaybillError
from streams.kafka import admin, cluster, log_reader, replay, transactions
from streams.kafka.alerts import AlertReader
from streams.kafka.errors import ClientError
from streams.kafka.log_reader import LogReader
from streams.kafka.replay import Replay, opened
from streams.kafka.rights import principal
from streams.kafka.transactions import Outgoing, TransactionalWriter, WriteError
from tests.secured import Secured
from tests.waiting import until

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
        r"asks for a login: set kafka\.security\.protocol to SASL_PLAINTEXT",
    ),
    "no login over TLS": (
        lambda kafka: kafka.over_tls(listener="SCRAM"),
        r"asks for a login: set kafka\.security\.protocol to SASL_SSL",
    ),
    "no such user": (
        lambda kafka: kafka.by_scram("worker", **{"sasl.username": "ghost"}),
        r"does not accept kafka\.sasl\.username and kafka\.sasl\.password \(",
    ),
    "another mechanism": (
        lambda kafka: kafka.by_scram("worker", **{"sasl.mechanism": "PLAIN"}),
        r"does not take kafka\.sasl\.mechanism PLAIN: set it to SCRAM-SHA-512",
    ),
    "the broker's certificate is over": (
        lambda kafka: kafka.over_tls(listener="EXPIRED"),
        r"the broker's certificate is not valid at this time",
    ),
    "no certificate": (
        lambda kafka: kafka.over_tls(listener="MTLS"),
        r"asks for a certificate of the client: set kafka\.ssl\.certificate\.location",
    ),
    "the client's certificate is over": (
        lambda kafka: kafka.by_certificate("late"),
        r"does not accept the certificate in \S+/late\.pem \(kafka\.ssl\.certificate\.location\)",
    ),
    "no method for tokens": (
        lambda kafka: kafka.by_token("worker", **{"sasl.oauthbearer.method": "default"}),
        r"kafka\.sasl\.oauthbearer\.method: set it to oidc",
    ),
    "another secret": (
        lambda kafka: kafka.by_token("worker", **{"sasl.oauthbearer.client.secret": "wrong"}),
        r"no token: .* does not accept kafka\.sasl\.oauthbearer\.client\.id and client\.secret",
    ),
    "nobody gives tokens": (
        lambda kafka: kafka.by_token("worker", **{"sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:9/"}),
        r"no token: nobody answers at kafka\.sasl\.oauthbearer\.token\.endpoint\.url",
    ),
    "a token for others": (
        lambda kafka: kafka.by_token("worker", **{"sasl.oauthbearer.scope": "others"}),
        r"does not accept the token of kafka\.sasl\.oauthbearer\.token\.endpoint\.url: its issuer, audience",
    ),
    "a token that is over": (
        lambda kafka: kafka.by_token("worker", **{"sasl.oauthbearer.scope": "over"}),
        r"kafka\.sasl\.oauthbearer\.token\.endpoint\.url gives tokens that are over",
    ),
}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What will not come need not be waited for long."""
    monkeypatch.setattr(admin, "_TIMEOUT_S", 4.0)
    monkeypatch.setattr(log_reader, "_TIMEOUT_S", 4.0)
    monkeypatch.setattr(replay, "ANSWER_S", 4.0)
    monkeypatch.setattr(cluster, "TIMEOUT_S", 4.0)
    monkeypatch.setattr(transactions, "_TIMEOUT_S", 4.0)
    monkeypatch.setattr(cluster, "REFUSED_S", 0.0)


def said(ask: Callable[[], object]) -> str:
    with pytest.raises(WaybillError) as refused:
        ask()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("case", CASES)
def test_each_cause_reads_differently(secured: Secured, case: str) -> None:
    given, wanted = CASES[case]
    servers, client = given(secured)["bootstrap_servers"], given(secured)["kafka"]
    text = said(lambda: admin.show(servers, client=client))
    assert re.search(wanted, text), text
    assert servers in text or text.startswith("kafka.")


def test_whoever_asks_is_told(secured: Secured, tmp_path: Path) -> None:
    servers, client = secured.by_scram("worker", **{"sasl.password": "wrong"}).values()
    (tmp_path / "scans.ndjson").write_text("{}\n")

    def replaying() -> object:
        with opened(tmp_path, "time", lambda *_: None) as index:
            return Replay(index, servers, client)

    def writing() -> object:
        return TransactionalWriter(servers, "worker-0", client)

    for ask in (lambda: AlertReader(servers, client=client), replaying, writing):
        assert "does not accept kafka.sasl.username and kafka.sasl.password" in said(ask)


def test_the_profiles_of_the_page_are_those_that_are_tried(secured: Secured) -> None:
    """Each names just the properties with which a client comes in here."""
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    profiles = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    ways = (secured.by_scram("worker"), secured.by_certificate("worker"), secured.by_token("worker"))
    for profile, given in zip(profiles, ways, strict=True):
        assert {*profile["kafka"], *profile.get("kafka_files", {})} == given["kafka"].keys() - {"log_level"}
        assert cluster.Cluster({**given["kafka"], "bootstrap.servers": given["bootstrap_servers"]}).brokers() == 1


def test_the_right_certificate_is_taken(secured: Secured) -> None:
    given = secured.over_tls()
    config = {**given["kafka"], "bootstrap.servers": given["bootstrap_servers"]}
    assert cluster.Cluster(config).brokers() == 1
    assert "certificate" in principal(config)


def wrote(writer: TransactionalWriter, value: bytes) -> bool:
    """Write a record. False: not this time, as the machine is too busy for tokens that are over in seconds."""
    with suppress(WriteError):
        return bool(writer.write([Outgoing(topics.REJECTS, "a", value)]))
    return False


def read(reader: LogReader, values: list[bytes | None]) -> bool:
    """Add what there is by now. False: not this time, likewise."""
    with suppress(ClientError):
        values.extend(entry.value for entry in reader.to_now())
        return True
    return False


def test_tokens_are_fetched_anew_before_they_are_over(secured: Secured) -> None:
    """Also by a writer that nobody polls; the broker ends a connection whose token is over."""
    secured.allow("worker", "READ", "topic", topics.REJECTS)
    secured.allow("worker", "WRITE", "topic", topics.REJECTS)
    secured.allow("worker", "WRITE", "transactional id", "worker-0")
    servers, client = secured.by_token("worker", **{"sasl.oauthbearer.scope": "short"}).values()
    with LogReader(servers, [topics.REJECTS], client=client) as reader:
        writer = TransactionalWriter(servers, "worker-0", client)
        writer.write([Outgoing(topics.REJECTS, "a", b"before")])
        before = secured.tokens.given
        until(lambda: secured.tokens.given >= before + 6)  # of three clients
        until(lambda: wrote(writer, b"after"))
        values: list[bytes | None] = []
        until(lambda: read(reader, values))
        assert values[-2:] == [b"before", b"after"]
