"""The two locks: what runs needs no tool of who develops, and whoever develops has the very versions that run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNNING, DEVELOPING = "requirements.txt", "requirements-dev.txt"
TOOLS = {"hypothesis", "mypy", "pip-tools", "pytest", "pytest-xdist", "ruff", "testcontainers"}
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+) \\$")


def pins(name: str) -> dict[str, str]:
    """Version by package."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return {found[1]: found[2] for line in lines if (found := PIN.match(line))}


def test_what_runs_is_without_tools_and_part_of_what_develops() -> None:
    running, developing = pins(RUNNING), pins(DEVELOPING)
    assert {"confluent-kafka", "faust-streaming", "polars", "setuptools"} <= running.keys()
    assert not running.keys() & TOOLS
    assert developing.keys() >= running.keys() | TOOLS
    assert {name: developing[name] for name in running} == running


@pytest.mark.parametrize("name", [RUNNING, DEVELOPING])
def test_every_package_has_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert "://" not in text
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(packages) == len(pins(name))
    assert all("--hash=sha256:" in package for package in packages)
