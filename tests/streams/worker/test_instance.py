"""Instances: workers that share a state folder never share a name, and a dead one's name is free at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.settings import Settings
from streams.worker.instance import InstanceError, claimed, open_ended
from tests.waiting import PATIENCE_S

CLAIM = """
import sys, time
from streams.settings import load
from streams.worker.instance import claimed
print(claimed(load()).instance, flush=True)
time.sleep(60)
"""


@contextmanager
def worker(state_dir: Path, instance: str = "auto", group: str = "g") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that claims an instance, and the name that it got."""
    env = {"WAYBILL_STATE_DIR": str(state_dir), "WAYBILL_INSTANCE": instance, "WAYBILL_GROUP": group}
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, "-c", CLAIM], cwd=root, env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def test_each_takes_the_lowest_number_that_is_free(tmp_path: Path) -> None:
    with (
        worker(tmp_path) as (first, one),
        worker(tmp_path) as (second, _),
        worker(tmp_path) as (third, _),
        worker(tmp_path, group="other") as (elsewhere, _),
        worker(tmp_path, "rack7-auto") as (named, _),
    ):
        assert (first, second, third, elsewhere, named) == ("0", "1", "2", "0", "rack7-0")
        one.kill()
        one.wait(PATIENCE_S)
        with worker(tmp_path) as (again, _), worker(tmp_path) as (further, _):
            assert (again, further) == ("0", "3")


def test_a_worker_that_is_merely_stopped_keeps_its_name(tmp_path: Path) -> None:
    with worker(tmp_path) as (_, stopped):
        stopped.send_signal(signal.SIGSTOP)
        with worker(tmp_path) as (name, _):
            assert name == "1"


def test_a_name_that_is_given_stays(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "file"):  # one that cannot be had is not told of here
        for name in ("0", "automat", "auto-0"):
            assert not open_ended(name)
            assert claimed(Settings(instance=name, state_dir=folder)).instance == name


def test_a_name_that_is_given_twice_is_refused_and_auto_leaves_it_alone(tmp_path: Path) -> None:
    """Or the second would put the first out of the group, and then itself fail at the folder that the first has."""
    settings = Settings(instance="0", state_dir=tmp_path, group="g")
    with worker(tmp_path, "0") as (first, one), worker(tmp_path) as (other, _):
        assert (first, other) == ("0", "1")
        with pytest.raises(
            InstanceError, match=r"instance 0 runs already.*/g; give each worker an `instance` of its own"
        ):
            claimed(settings)
        claimed(settings.model_copy(update={"group": "other"}))
        one.kill()
        one.wait(PATIENCE_S)
        assert claimed(settings).instance == "0"


def test_a_folder_that_takes_no_lock_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InstanceError, match=r"state_dir .*/file/.*instance"):
        claimed(Settings(instance="auto", state_dir=tmp_path / "file"))
