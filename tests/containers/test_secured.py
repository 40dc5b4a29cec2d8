"""deploy/compose.secured.yaml, brought up as deploy/README.md says: each process is a principal with its own rights."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.records import encode
from streams.files.driver import TOPIC_OF
from tests.command import waybill
from tests.containers.stack import DEPLOY, Stack
from tests.runs import open_alerts, run
from tests.worlds import world

pytestmark = pytest.mark.containers

ROLES = ("operator", "worker", "tracer", "dispatcher", "desk", "analyst", "publisher", "producer")
_WITHIN = ("-e", "BOOTSTRAP=localhost:9094", "-e", "ADMIN=/dev/null", "-e", "PATH=/opt/kafka/bin:/usr/bin:/bin")


@pytest.fixture
def secured(settings: dict[str, str], tmp_path: Path) -> Iterator[Stack]:
    """Certificates, keys, rights, and then all processes."""
    secrets = tmp_path / "secrets"
    subprocess.run([DEPLOY / "certificates.sh", secrets, "kafka", *ROLES], check=True)
    keys = ("keys", "new", "--set", f"token_key_file={secrets}/token", "--set", f"token_state_key_file={secrets}/state")
    assert waybill(*keys, env={}).returncode == 0
    for name in ("token", "state"):
        (secrets / name).chmod(0o444)  # who runs this may not be root, who would give them to user 10001
    stack = Stack(tmp_path, {**settings, "WAYBILL_SECRETS": str(secrets)}, "compose.secured.yaml")
    try:
        stack.compose("up", "--detach", "kafka")
        stack.compose("exec", "-T", *_WITHIN, "kafka", "bash", "-e", typed="".join(map(_rights, ROLES)))
        with stack:
            stack.until_ready(1)
            yield stack
    finally:
        stack.compose("down", "--volumes")


def _rights(role: str) -> str:
    roles = ("--role", role, *(("--role", "registry") if role == "producer" else ()))
    return waybill("acl", *roles, "--principal", f"User:{role}", "--format", "kafka-acls", env={}).stdout


def test_each_process_is_a_principal_with_its_own_rights(secured: Stack, tmp_path: Path) -> None:
    """Alerts are those of a run without a broker; they become clues; and who may not, is told so."""
    records = world(35, 300)
    wanted = open_alerts(run(records))
    for record in records:
        name = TOPIC_OF[type(record)].removeprefix("waybill.")
        (tmp_path / "events").mkdir(exist_ok=True)
        with (tmp_path / "events" / f"{name}.ndjson").open("ab") as file:
            file.write(encode(record) + b"\n")
    secrets = tmp_path / "secrets"
    carrier = _outside(secured, secrets, secrets / "producer.pem")
    sent = waybill("replay", str(tmp_path / "events"), env=carrier)
    assert sent.returncode == 0, sent.stderr

    def read() -> set[str]:
        lines = secured.run("command", "alerts", "--json").splitlines()
        newest = {each["alert_id"]: each["status"] for each in map(json.loads, lines)}
        return {key for key, status in newest.items() if status == "open"}

    secured.until(lambda: read() == wanted.keys(), "an analyst reads all alerts")
    secured.until(lambda: "opened" in secured.run("command", "measures", "--json"), "the dispatcher opens clues")
    refused = waybill("alerts", env=carrier)
    assert refused.returncode == 1
    assert "waybill.alerts" in refused.stderr
    stranger = waybill("alerts", env=_outside(secured, secrets, None))
    assert stranger.returncode == 1
    assert "certificate" in stranger.stderr
    secured.run("command", "rules", "rollback", want=1)
    assert secured.run("command", "rules", "status", WAYBILL_AS="publisher")


def _outside(stack: Stack, secrets: Path, own: Path | None) -> dict[str, str]:
    """The environment of a client on this machine, with a certificate of its own or without."""
    kafka = {"security.protocol": "SSL", "ssl.ca.location": str(secrets / "ca.pem")}
    if own is not None:
        kafka |= {"ssl.certificate.location": str(own), "ssl.key.location": str(own)}
    return {"KAFKA_BOOTSTRAP_SERVERS": stack.servers, "WAYBILL_KAFKA": json.dumps(kafka)}
