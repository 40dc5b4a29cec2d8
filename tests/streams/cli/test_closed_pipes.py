"""Whoever reads what a command prints may have seen enough, as `| head -1` has: the command ends quietly, with 0."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.web.users import Account, write
from streams.cli import run

KEYS = "--set token_key_file=tokens --set token_state_key_file=state"
WITHOUT_BROKER = (
    *("--help", "--version", "worker --help", "settings", "settings --json"),
    *("generate more --parcels 3", "judge events --out -", "judge events --out alerts"),
    *("backtest events --rules copy --out -", "backtest events --rules copy"),
    *("rules list", "rules list --json", "rules show goods.controlled_term", "rules columns", "rules lint"),
    *("rules copy again", "rules new x.y --rules own", "rules docs pages"),
    *(f"keys new {KEYS}", f"keys show {KEYS}", f"keys rotate {KEYS}"),
    *("orders key --set order_key_file=order", "desk user list --users users"),
)
WITH_BROKER = (
    *("replay events", "topics create", "topics show", "offsets show", "offsets show --json", "doctor"),
    *("alerts", "alerts --json", "alerts --csv -", "alerts --shadow", "measures", "tallies"),
    *("clues list", "clues overdue", "rules status"),
    *("rules status --json", "offsets reset --to earliest"),
)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Standard output is a pipe that nobody reads, and each line is written at once."""
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "w", buffering=1, encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands need."""
    made = tmp_path_factory.mktemp("files")
    assert run(["generate", str(made / "events"), "--parcels", "5"]) == 0
    assert run(["rules", "copy", str(made / "copy")]) == 0
    return made


@pytest.fixture
def files(clean: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The present folder holds it, and an account."""
    monkeypatch.chdir(folder)
    write(Path("users"), [Account(user="u1", roles=("viewer",))])


@pytest.mark.parametrize("arguments", WITHOUT_BROKER)
def test_a_command_ends_quietly(arguments: str, files: None, unread: None, capsys: pytest.CaptureFixture[str]) -> None:
    _ends_quietly(arguments, capsys)


@pytest.mark.broker
def test_a_command_that_asks_a_broker_ends_quietly(
    fresh_kafka: str, files: None, unread: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka)
    for arguments in WITH_BROKER:
        _ends_quietly(arguments, capsys)


def _ends_quietly(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments.split()) == 0, arguments
    said = capsys.readouterr().err
    assert "error" not in said, arguments
    assert "pipe" not in said, arguments
