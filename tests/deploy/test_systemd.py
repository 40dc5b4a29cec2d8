"""The units for systemd: systemd takes them, they are shut in, and they say what the code does."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from streams.cli.worker import _LEAVE_S
from streams.settings import CONFIG_ENV, ENV_PREFIX, Settings, SettingsError
from tests.command import waybill

UNITS = Path(__file__).parents[2] / "deploy/systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
COMMON = "waybill-.service.d/common.conf"
SYSTEM = Path("/usr/lib/systemd/system")
TARGETS = ("basic", "multi-user", "network-online", "shutdown", "sysinit", "time-sync")


def said(name: str, key: str) -> list[str]:
    """All that a unit, or what it has in common with the others, sets by this name."""
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(f"{key}=") for line in lines if line.startswith(f"{key}=")]


def variables(name: str) -> dict[str, str]:
    """The variables that a unit sets."""
    return dict(
        part.split("=", 1) for each in (COMMON, name) for line in said(each, "Environment") for part in line.split()
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system with these units, the targets that they name, and their program."""
    if shutil.which("systemd-analyze") is None or not (SYSTEM / "basic.target").exists():
        pytest.skip("no systemd here")
    root = tmp_path_factory.mktemp("root")
    there = root / "etc/systemd/system"
    shutil.copytree(UNITS, there)
    for target in TARGETS:
        shutil.copy(SYSTEM / f"{target}.target", there)
    program = root / "opt/waybill/bin/waybill"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return root


def analyze(root: Path, *arguments: str, unit: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd about a unit; of a template, about one worker."""
    command = ["systemd-analyze", *arguments, f"--root={root}", "--no-pager", unit.replace("@.", "@6066.")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_takes_it_and_finds_it_shut_in(root: Path, unit: str) -> None:
    done = analyze(root, "verify", unit=unit)
    assert (done.returncode, done.stderr) == (0, "")
    exposed = analyze(root, "security", "--offline=true", "--threshold=15", unit=unit)  # tenths, of 100
    assert exposed.returncode == 0, exposed.stdout[-300:]


@pytest.mark.parametrize("unit", SERVICES)
def test_its_command_and_its_variables_are_known(unit: str) -> None:
    (command,) = said(unit, "ExecStart")
    assert waybill(*command.split()[1:], "--help", env={}).returncode == 0
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG_ENV}
    assert {name for name in variables(unit) if name.startswith(ENV_PREFIX)} <= known
    credentials = {each.split(":")[0] for each in said(unit, "LoadCredential")}
    text = (UNITS / unit).read_text(encoding="utf-8")
    assert set(re.findall(r"%d/(\w+)", text)) == credentials
    folder = variables(unit).get("WAYBILL_STATE_DIR", "").removeprefix("%S/")
    assert said(unit, "StateDirectory") == ([folder] if folder else [])


def test_a_worker_has_the_time_it_takes_and_is_not_started_again_with_a_wrong_setting() -> None:
    (stop,) = said("waybill-worker@.service", "TimeoutStopSec")
    assert int(stop) >= Settings().stop_s + _LEAVE_S
    assert said(COMMON, "RestartPreventExitStatus") == [str(SettingsError.exit_code)]
    assert said(COMMON, "SuccessExitStatus") == [str(128 + signal.SIGTERM)]


@pytest.mark.parametrize("unit", SERVICES)
def test_only_who_makes_tokens_holds_their_keys(unit: str) -> None:
    held = "WAYBILL_TOKEN_KEY_FILE" in variables(unit)
    assert held == (unit in ("waybill-worker@.service", "waybill-tracer.service"))
