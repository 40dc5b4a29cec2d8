"""Folders and files without rights: one line that names what was asked for, and no half of a result."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli import run

ROOT = Path(__file__).parents[3]
_DROP, _OVERRIDE, _SEARCH = 24, 1, 2  # prctl(2), capabilities(7): what lets root read and write everything
# One process for all commands.
COMMANDS = """
import sys
sys.path.insert(0, sys.argv[1])
from streams.cli import run
for command in sys.stdin.read().splitlines():
    sys.stderr.write(f"> {command}\\n")
    sys.stderr.flush()
    code = run(command.split())
    sys.stderr.write(f"= {code}\\n")
    sys.stderr.flush()
"""
DENIED = {
    "judge closed --out alerts": "path 'closed' is not readable",
    "judge searched --out alerts": "path 'searched' is not readable",
    "judge listed --out alerts": "error: listed: Permission denied: its files cannot be opened",
    "judge partly --out alerts": "error: partly/shipments.ndjson: Permission denied",
    "judge closed/shipments.ndjson --out alerts": "error: closed/shipments.ndjson: Permission denied",
    "judge events --out sealed/alerts.ndjson": "error: sealed/alerts.ndjson: Permission denied",
    "judge events --out - --rejects sealed/r.ndjson": "error: sealed/r.ndjson: Permission denied",
    "generate sealed/traffic --parcels 5": "error: sealed/traffic: Permission denied",
    "generate sealed --parcels 5": "error: sealed: Permission denied",
    "rules lint --rules unread": "error: unread/identity: cannot be read: Permission denied",
    "rules copy sealed/rules": "error: sealed/rules: Permission denied",
    "rules docs sealed/pages": "error: sealed/pages: Permission denied",
    "settings --config secret": "path 'secret' is not readable",
    "judge events --out alerts --set token_key_file=secret": "error: token_key_file: cannot read secret",
    "keys new --set token_key_file=sealed/a --set token_state_key_file=sealed/b": "error: sealed/a: Permission denied",
    "orders key --set order_key_file=sealed/a": "error: sealed/a: Permission denied",
    "replay partly --bootstrap-servers 127.0.0.1:1": "error: partly/shipments.ndjson: Permission denied",
    "broker run --port 0 --data-dir sealed/kafka": "sealed/kafka: Permission denied",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folders and files that nobody may open, search or write to."""
    assert run(["generate", str(tmp_path / "events"), "--parcels", "2"]) == 0
    for name in ("closed", "searched", "listed", "partly"):
        assert run(["generate", str(tmp_path / name), "--parcels", "2"]) == 0
    assert run(["rules", "copy", str(tmp_path / "unread")]) == 0
    (tmp_path / "secret").write_text("x")
    (tmp_path / "sealed").mkdir()
    rights = {
        "closed": 0, "searched": 0o111, "listed": 0o444, "partly/shipments.ndjson": 0, "unread/identity": 0,
        "secret": 0, "sealed": 0o555,
    }  # fmt: skip
    for name, mode in rights.items():
        (tmp_path / name).chmod(mode)
    return tmp_path


def without_rights() -> None:
    """Take from root what it has beyond the owner of a file."""
    for each in (_OVERRIDE, _SEARCH):
        ctypes.CDLL(None).prctl(_DROP, each, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="drops rights as Linux does")
def test_a_folder_or_file_without_rights_is_named_in_one_line(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(ROOT)], input="\n".join(DENIED), capture_output=True, text=True,
        cwd=folder, preexec_fn=without_rights, timeout=300,
    )  # fmt: skip
    said = [part.splitlines() for part in done.stderr.split("> ")[1:]]
    assert [command for command, *_ in said] == list(DENIED), done.stderr
    for command, *lines in said:
        *told, code = lines
        assert code in ("= 1", "= 2"), (command, lines)
        wrong = [line for line in told if "error" in line]
        assert len(wrong) == 1, (command, lines)
        assert DENIED[command] in wrong[0], (command, lines)
        assert "Traceback" not in "".join(told)
    assert not (folder / "alerts").exists()
