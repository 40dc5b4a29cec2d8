"""The environments of peers: every package and jar has its hash, and no lock names where it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from jgo.env import LockFile

from benchmarks.contestants import contestants
from benchmarks.peers.environments import HERE, Java, Venv

ENVIRONMENTS = {file: each.ENVIRONMENT for file, each in contestants().items()} | {"plots": Venv("plots")}
LOCKS = sorted(each.lock for each in ENVIRONMENTS.values() if isinstance(each, Java | Venv))


def test_every_peer_has_its_lock_and_every_lock_its_peer() -> None:
    assert sorted([*HERE.glob("*.txt"), *HERE.glob("*.toml")]) == sorted(LOCKS)
    assert {lock.stem for lock in LOCKS if lock.suffix == ".txt"} == {each.stem for each in HERE.glob("*.in")}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_names_an_address(lock: Path) -> None:
    assert "://" not in lock.read_text("utf-8")


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.suffix == ".txt"], ids=lambda lock: lock.name)
def test_packages_have_hashes(lock: Path) -> None:
    lines = [line for line in lock.read_text("utf-8").splitlines() if line and not line.lstrip().startswith("#")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith(" "):
            assert "==" in line, line
            assert following.startswith("    --hash=sha256:"), line


@pytest.mark.parametrize("file", [file for file, each in ENVIRONMENTS.items() if isinstance(each, Java)])
def test_jars_have_hashes_and_are_those_wanted(file: str) -> None:
    environment = ENVIRONMENTS[file]
    assert isinstance(environment, Java)
    locked = LockFile.load(environment.lock).dependencies
    assert set(environment.wanted) <= {f"{jar.groupId}:{jar.artifactId}:{jar.version}" for jar in locked}
    assert all(jar.sha256 and len(jar.sha256) == 64 for jar in locked)
