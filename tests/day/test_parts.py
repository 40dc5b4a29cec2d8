"""What the day takes from docs and units: `make day` plays it whole."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.day.day import runbook
from tests.day.site import LOGIN, profile
from tests.day.units import Unit
from tests.prometheus import alerts


def test_the_profile_of_the_docs_is_filled_in() -> None:
    assert tomllib.loads(profile("kafka:1", "/ca.pem", "tracer", "/password")) == {
        "bootstrap_servers": "kafka:1",
        "kafka": {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": "/ca.pem",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "tracer",
        },
        "kafka_files": {"sasl.password": "/password"},
    }


def test_a_unit_is_started_with_its_own_variables_and_credentials(tmp_path: Path) -> None:
    unit = Unit(tmp_path, "waybill-worker@7000", tmp_path / "opt/waybill")
    unit.adds(LOGIN.format(role="worker"))
    assert unit.said("LoadCredential") == [
        "token:/etc/waybill/token.key",
        "state:/etc/waybill/state.key",
        "kafka:/etc/waybill/worker.password",
    ]
    variables, credentials = unit.variables, tmp_path / "run/credentials/waybill-worker@7000"
    assert variables["WAYBILL_INSTANCE"] == "day-7000"
    assert variables["WAYBILL_TOKEN_KEY_FILE"] == str(credentials / "token")
    assert variables["WAYBILL_KAFKA_FILES"] == f'{{"sasl.password": "{credentials}/kafka"}}'
    assert variables["WAYBILL_CONFIG"] == str(tmp_path / "etc/waybill/worker.toml")


def test_each_runbook_has_something_to_run() -> None:
    assert [alert.name for alert in alerts() if not runbook(alert.name)] == []
