"""Secrets: from files, and never on the command line of a child."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streams.cli.options import given
from streams.cli.worker import _supervise
from streams.ops.supervisor import Child
from streams.settings import Settings, SettingsError, load
from streams.settings_shown import shown, variables


def test_a_property_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush hush\n")
    (tmp_path / "waybill.toml").write_text(f'kafka_files.sasl.password = "{secret}"\nkafka.sasl.username = "w"\n')
    settings = load(tmp_path / "waybill.toml")
    assert settings.kafka == {"sasl.username": "w", "sasl.password": "hush hush"}
    assert "hush" not in shown(settings, "kafka")
    monkeypatch.setenv("WAYBILL_KAFKA_FILES", f'{{"ssl.key.password": "{secret}"}}')
    assert load(tmp_path / "waybill.toml").kafka["ssl.key.password"] == "hush hush"
    settings = load(None, given([f"kafka_files.sasl.password={secret}"]))
    assert settings.kafka["sasl.password"] == "hush hush"


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kafka_files\.sasl\.password: cannot read .*nowhere"):
        load(None, {"kafka_files": {"sasl.password": str(tmp_path / "nowhere")}})


def test_children_get_no_secret_on_their_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []

    def supervise(children: Sequence[Child], **_: Any) -> int:
        started.extend(children)
        return 0

    monkeypatch.setattr("streams.ops.supervisor.supervise", supervise)
    assignments = ["kafka.sasl.password=hush", "token_key=k1:" + "ab" * 32, "token_state_key=" + "cd" * 32]
    settings = load(None, given(assignments, bootstrap_servers="127.0.0.1:1"))
    assert _supervise(2, settings, None, assignments) == 0
    assert len(started) == 2
    for child in started:
        line = " ".join(child.command)
        assert not any(secret in line for secret in ("hush", "abab", "cdcd"))
        for name, value in child.env.items():
            monkeypatch.setenv(name, value)
        again = Settings()
        assert again.kafka["sasl.password"] == "hush"
        assert again.token_key == settings.token_key


def test_variables_say_what_was_assigned() -> None:
    assignments = ["home_adcodes=430421,440111", "kafka.debug=broker", "emit_from=low"]
    settings = load(None, given(assignments))
    assert variables(settings, assignments) == {
        "WAYBILL_HOME_ADCODES": "430421,440111", "WAYBILL_KAFKA": '{"debug": "broker"}', "WAYBILL_EMIT_FROM": "low"
    }  # fmt: skip
