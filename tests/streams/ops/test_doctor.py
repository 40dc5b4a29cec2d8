"""The doctor's checks of the machine, good and bad."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr

from schemas.rulesets import Ack, Held
from streams.cli.doctor import _desk as desk_finding
from streams.ops.doctor import broker, formats, machine
from streams.ops.doctor.findings import Finding
from streams.rulesets.board import Board
from streams.settings import Settings
from streams.state.format import FORMAT, OLDEST, UPGRADED
from streams.state.partition import THIS
from streams.state.rocks import RocksStore
from streams.state.tuning import Shared

pytestmark = pytest.mark.usefixtures("clean")

KEYS = {"token_key": "k1:" + "ab" * 32, "token_state_key": "cd" * 32}


def report(tmp_path: Path, keys: dict[str, str] | None = None, processes: int = 1, **given: Any) -> dict[str, Finding]:
    settings = Settings(**{"state_dir": tmp_path / "state", "web_port": 0, **(keys or {}), **given})
    return {finding.what: finding for finding in machine.checks(settings, processes)}


def test_a_machine_in_order(tmp_path: Path) -> None:
    found = report(tmp_path, KEYS, native="0")
    assert {what: finding.status for what, finding in found.items()} == dict.fromkeys(found, "OK")
    assert not any(finding.advice for finding in found.values())
    assert list((tmp_path / "state").iterdir()) == []  # the probe is gone


def test_development_keys_are_a_warning_and_half_a_pair_a_failure(tmp_path: Path) -> None:
    assert report(tmp_path)["token keys"].status == "WARN"
    bad = report(tmp_path, token_key=KEYS["token_key"])["token keys"]
    assert bad.status == "FAIL"
    assert "abab" not in bad.says


def test_what_the_native_front_end_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.native._library", None)
    monkeypatch.setattr("streams.native._missing", "is not built")
    found = {switch: report(tmp_path, native=switch)["native front end"] for switch in ("auto", "1", "0")}
    assert {switch: finding.status for switch, finding in found.items()} == {"auto": "WARN", "1": "FAIL", "0": "OK"}
    assert all("make setup" in found[switch].advice for switch in ("auto", "1"))


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = report(tmp_path, state_dir=tmp_path / "file" / "state")["state"]
    assert found.status == "FAIL"
    assert "Not a directory" in found.says
    assert "state_dir" in found.advice


def test_little_disk_and_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "DISK_FAIL_BYTES", 2**62)
    assert report(tmp_path)["state"].status == "FAIL"
    monkeypatch.setattr(machine, "DISK_FAIL_BYTES", 0)
    monkeypatch.setattr(machine, "DISK_WARN_BYTES", 2**62)
    assert report(tmp_path)["state"].status == "WARN"
    assert report(tmp_path, processes=100_000)["memory"].status == "WARN"


@pytest.mark.parametrize("name", ["hot_bytes_max", "state_cache_mb", "state_buffers_mb", "fetch_queue_mb"])
def test_memory_counts_what_settings_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    available = machine.BASE_BYTES + 1_000 * machine.MB
    monkeypatch.setattr(machine, "memory_available", lambda: available)
    assert report(tmp_path)["memory"].status == "OK"
    more: dict[str, Any] = {name: available if name == "hot_bytes_max" else 1_000}
    assert report(tmp_path, **more)["memory"].status == "WARN"


def test_a_broken_rule_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "rules" / "route"
    folder.mkdir(parents=True)
    (folder / "broken.yaml").write_text("title: [")
    found = report(tmp_path, rules_dir=tmp_path / "rules")["rules"]
    assert found.status == "FAIL"
    assert "broken.yaml" in found.says


def test_a_misspelt_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_STATE_DIRR", "x")
    assert "WAYBILL_STATE_DIRR" in report(tmp_path)["settings"].says


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b'{"why": "waits for partitions"}')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def worker_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Ready)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_port_held_by_a_worker_is_fine_by_another_program_not(tmp_path: Path, worker_port: int) -> None:
    found = report(tmp_path, web_port=worker_port)["pages"]
    assert (found.status, "waits for partitions" in found.says) == ("OK", True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(0)
        other_port = other.getsockname()[1]
        found = report(tmp_path, web_port=other_port)["pages"]
    assert found.status == "FAIL"
    assert "web_port" in found.advice


@pytest.mark.parametrize("answer", [b"-ERR unknown command 'GET'\r\n", b"HTTP/1.0 200 OK\r\n\r\n[]", b""])
def test_a_port_held_by_what_is_no_worker_of_ours(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            taken, _ = other.accept()
            with taken:
                taken.recv(4096)
                taken.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        found = report(tmp_path, web_port=other.getsockname()[1])["pages"]
        thread.join()
    assert found.status == "FAIL"


@dataclass
class Said:
    """A board on which workers have said these things."""

    found: dict[str, Ack]
    there: set[str]

    def acks(self) -> dict[str, Ack]:
        """As `Board.acks`."""
        return self.found

    def members(self) -> set[str]:
        """As `Board.members`."""
        return self.there


def test_a_rule_that_is_held_back_is_a_warning_while_the_worker_runs() -> None:
    held = Held(rule="goods.vague_name", since=1_741_140_000_000, share=0.5, budget=0.05)
    acks = {
        name: Ack(group="g", instance=name, newest=0, in_force=0, fingerprint="f", at=0, held=held_by)
        for name, held_by in {"0": (), "1": (held,), "gone": (held,)}.items()
    }
    (found,) = broker._floods(cast(Board, Said(acks, {"0", "1", "new"})))
    assert (found.status, found.what) == ("WARN", "floods")
    assert found.says.startswith("worker 1: goods.vague_name opens too many alerts: 50.0% of verdicts")
    assert "push the rule corrected" in found.advice
    (found,) = broker._floods(cast(Board, Said(acks, {"0"})))
    assert found.status == "OK"


def test_a_database_of_the_desk_that_does_not_answer_fails_without_its_password() -> None:
    assert list(desk_finding(Settings())) == []
    settings = Settings(desk_store_url=SecretStr("postgresql://desk:secret@127.0.0.1:1/desk"))
    (finding,) = desk_finding(settings)
    assert finding.status == "FAIL"
    assert "127.0.0.1" in finding.says
    assert "secret" not in finding.says


def test_the_address_of_that_database_comes_from_a_file_too(tmp_path: Path) -> None:
    settings = Settings(desk_store_url_file=tmp_path / "database")
    (finding,) = desk_finding(settings)
    assert (finding.status, "desk_store_url_file: cannot read" in finding.says) == ("FAIL", True)
    (tmp_path / "database").write_text("\n")
    (finding,) = desk_finding(settings)
    assert finding.status == "FAIL"  # and not SQLite
    (tmp_path / "database").write_text(f"sqlite:///{tmp_path}/desk.sqlite\n")
    (finding,) = desk_finding(settings)
    assert finding.status == "OK"
    with pytest.raises(ValueError, match="give either desk_store_url or desk_store_url_file"):
        Settings(desk_store_url=SecretStr("sqlite:///x"), desk_store_url_file=tmp_path / "database")


def test_what_formats_stand_on_a_changelog_and_what_would_happen() -> None:
    name = formats.CHANGELOGS[0]
    found = [
        formats.of_changelog(name, dict(enumerate(each)))
        for each in ([{FORMAT}, {FORMAT}], [], [{OLDEST, FORMAT}, {FORMAT}], [{FORMAT}, {FORMAT + 1}], [{OLDEST - 1}])
    ]
    assert [finding.status for finding in found] == ["OK", "OK", "WARN", "FAIL", "FAIL"]
    assert "1 partitions have values of an earlier one" in found[2].says
    assert "there is no way back" in found[3].advice
    assert "first run a version between" in found[4].advice


def test_what_formats_stand_in_the_folders_here(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, web_port=0)
    assert [*formats.in_folders(settings)] == []
    stored = {"new": [(UPGRADED, THIS)], "older": [], "foreign": [(b"\x00format", bytes([OLDEST - 1]))]}
    for instance, more in stored.items():
        store = RocksStore("parcels", tmp_path / settings.group / instance, Shared.of(8, 64), hot_bytes_max=1)
        store.open(0)
        store.restore(0, {b"SF:1": THIS, **dict(more)}, 7)
        if instance != "older":
            store.close_all()
    found = {Path(finding.says.partition(":")[0]).name: finding for finding in formats.in_folders(settings)}
    assert found.keys() == {"foreign", "older"}
    assert f"format {OLDEST - 1}" in found["foreign"].says
    assert "builds its state from the changelog" in found["foreign"].advice
    assert "1 partitions may hold values of an earlier format" in found["older"].says
    store.close_all()
