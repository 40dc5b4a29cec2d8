"""Prometheus, for tests of what watches workers: `make prometheus` fetches it. Without it they do not run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy/prometheus/rules.yml"
CASES = ROOT / "deploy/prometheus/tests.yml"


def program(name: str) -> str:
    """Where `prometheus` or `promtool` is; skips the test where it is not."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("no Prometheus here (`make prometheus` fetches it on Debian)")
    return found


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it, from the root of the project."""
    command = [program("promtool"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule."""

    name: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]


def rules() -> Iterator[dict[str, Any]]:
    """All rules, recording and alerting."""
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        yield from group["rules"]


def alerts() -> list[Alert]:
    """The alerting rules."""
    return [Alert(r["alert"], r["expr"], r["labels"], r["annotations"]) for r in rules() if "alert" in r]
