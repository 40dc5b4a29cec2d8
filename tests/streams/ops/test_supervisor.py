"""Supervision, with children that are small scripts: started anew, given up, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[3]

PARENT = """
import sys, logging
from streams.ops import supervisor
logging.basicConfig(stream=sys.stderr, level="INFO", format="%(message)s")
supervisor.BACK_OFF_S = (0.05,)
supervisor.STOP_S = 1.5
command = [sys.executable, "-c", sys.argv[1]]
children = [supervisor.Child(str(n), [*command, str(n)]) for n in range(2)]
sys.exit(supervisor.supervise(children, give_up_after_s=1.5, stable_s=float(sys.argv[2])))
"""
GIVE_UP_AFTER_S = 1.5
STAYS = "import time; open(f'{__import__(\"sys\").argv[1]}-{time.time_ns()}', 'w').close(); time.sleep(600)"
CLEAN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    "open(f'{sys.argv[1]}-{time.time_ns()}', 'w').close(); time.sleep(600)"
)


@pytest.fixture
def supervisors() -> Iterator[list[subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def start(
    supervisors: list[subprocess.Popen[str]], folder: Path, script: str, stable_s: float = 600.0
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, script, str(stable_s)], cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    supervisors.append(process)
    return process


def started(folder: Path, number: int, times: int = 1) -> None:
    """Wait until child `number` has started so many times."""
    deadline = time.monotonic() + PATIENCE_S
    while len(list(folder.glob(f"{number}-*"))) < times:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(children: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(children, timeout=PATIENCE_S)[1]


def test_ends_with_all_its_children(supervisors: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    parent = start(supervisors, tmp_path, CLEAN)
    started(tmp_path, 0)
    started(tmp_path, 1)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.terminate()
    assert parent.wait(PATIENCE_S) == 0
    assert len(children) == 2
    assert gone(children)


def test_a_child_that_dies_is_started_anew_and_the_other_left_alone(
    supervisors: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    parent = start(supervisors, tmp_path, CLEAN)
    started(tmp_path, 0)
    started(tmp_path, 1)
    victim, other = sorted(psutil.Process(parent.pid).children(), key=lambda child: child.cmdline()[-1])
    victim.kill()
    started(tmp_path, 0, times=2)
    assert len(list(tmp_path.glob("1-*"))) == 1
    assert other.is_running()
    parent.send_signal(signal.SIGINT)
    _, said = parent.communicate(timeout=PATIENCE_S)
    assert parent.returncode == 0
    assert "worker 0 ended with signal SIGKILL; starting it anew" in said


@pytest.mark.parametrize(("code", "starts"), [(1, 3), (2, 1)])
def test_gives_up(supervisors: list[subprocess.Popen[str]], tmp_path: Path, code: int, starts: int) -> None:
    """After a time of quick deaths; at once where the child says that its settings are wrong."""
    script = f"import sys, time; open(f'{{sys.argv[1]}}-{{time.time_ns()}}', 'w').close(); sys.exit({code})"
    started_at = time.monotonic()
    parent = start(supervisors, tmp_path, script)
    _, said = parent.communicate(timeout=PATIENCE_S)
    assert parent.returncode == 1
    assert time.monotonic() - started_at > (GIVE_UP_AFTER_S if code == 1 else 0)
    assert f"ended with exit code {code}" in said
    assert "giving up" in said
    found = max(len(list(tmp_path.glob(f"{number}-*"))) for number in (0, 1))
    assert found >= starts if code == 1 else found == starts


def test_deaths_after_a_long_life_count_anew(supervisors: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    """Each lives longer than `stable_s`: that is no reason to give up, however often."""
    script = "import sys, time; open(f'{sys.argv[1]}-{time.time_ns()}', 'w').close(); time.sleep(0.4); sys.exit(1)"
    parent = start(supervisors, tmp_path, script, stable_s=0.3)
    started(tmp_path, 0, times=7)
    assert parent.poll() is None
    parent.terminate()
    parent.communicate(timeout=PATIENCE_S)


def test_children_die_with_a_parent_that_is_killed(supervisors: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    parent = start(supervisors, tmp_path, STAYS)
    started(tmp_path, 0)
    started(tmp_path, 1)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    assert gone(children)


def test_a_child_that_does_not_end_is_killed(supervisors: list[subprocess.Popen[str]], tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAYS
    parent = start(supervisors, tmp_path, stubborn)
    started(tmp_path, 0)
    started(tmp_path, 1)
    children = psutil.Process(parent.pid).children(recursive=True)
    parent.terminate()
    assert parent.wait(PATIENCE_S) == 1
    assert gone(children)
