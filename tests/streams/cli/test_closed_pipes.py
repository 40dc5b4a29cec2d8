"""Whoever reads what a command prints may have seen enough, as `| head -1` has: the command ends quietly, with 0."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from desk.web.users import Account, write
from rules.engine.folder import rule_files
from streams.cli import run
from tests.broker.test_desk import STATIONS, alert_on, publish

KEYS = "--set token_key_file=tokens --set token_state_key_file=state"
WITHOUT_BROKER = (
    *("--help", "--version", "worker --help", "settings", "settings --json"),
    *("generate more --parcels 3", "judge events --out -", "judge events --out alerts"),
    *("backtest events --rules copy --out -", "backtest events --rules copy"),
    *("rules list", "rules list --json", "rules show goods.controlled_term", "rules columns", "rules lint"),
    *("rules copy again", "rules new x.y --rules own", "rules docs pages"),
    *(f"keys new {KEYS}", f"keys show {KEYS}", f"keys rotate {KEYS}"),
    *("rules test --rules copy", "rules test goods.controlled_term", "orders key --set order_key_file=order"),
    *("orders seed --day 2026-11-01 --set order_key_file=seed", "desk user list --users users"),
)
WITH_BROKER = (
    *("replay events", "topics create", "topics show", "offsets show", "offsets show --json", "doctor"),
    *("alerts", "alerts --json", "alerts --csv -", "alerts --shadow", "measures", "tallies"),
    *("clues list", "clues overdue", "rules status"),
    *("rules status --json", "offsets reset --to earliest"),
    *("rules push copy", "rules rollback", "rules push copy --json", "rules rollback --json"),
)
AS = "--as u1 --station PS440111"  # which the generated register has
ABOUT_A_CLUE = (
    *("show", "show --json", f"claim {AS}", f"accept {AS}", f"check {AS}", f"note seen {AS}"),
    *(f"hold --reason x --basis y {AS}", f"release --reason x {AS}", f"answer seizure {AS}", f"judge {AS}"),
    *("confirm --as u2 --same-account", f"keep --until 2090-01-01 --why court {AS}", f"reopen --why more {AS}"),
    f"grade high --why x {AS} --json",
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
    for path in rule_files(made / "copy"):
        if path.parent.name != "goods":  # enough to play and to push
            path.unlink()
    return made


@pytest.fixture
def files(clean: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The present folder holds it, and an account."""
    monkeypatch.chdir(folder)
    Path("seed").write_text("ab" * 32)
    write(Path("users"), [Account(user="u1", roles=("viewer",))])


@pytest.mark.parametrize("arguments", WITHOUT_BROKER)
def test_a_command_ends_quietly(arguments: str, files: None, unread: None, capsys: pytest.CaptureFixture[str]) -> None:
    _ends_quietly(arguments, capsys)


@pytest.mark.broker
def test_a_command_that_asks_a_broker_ends_quietly(
    fresh_kafka: str, files: None, unread: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", fresh_kafka)
    publish(fresh_kafka, *STATIONS, alert_on(1))
    clue = alert_on(1).alert_id
    about = [f"clues {verb} {clue} {' '.join(rest)}" for verb, *rest in map(str.split, ABOUT_A_CLUE)]
    reported = f"clues report SF:9 --adcode 440111 --note x {AS}"
    for arguments in (*WITH_BROKER, "dispatcher --once", *about, reported):
        _ends_quietly(arguments, capsys)


def _ends_quietly(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments.split()) == 0, arguments
    said = capsys.readouterr().err
    assert "error" not in said, arguments
    assert "pipe" not in said, arguments
