"""Prometheus, for tests of what watches workers: `make prometheus` fetches it. Without it they do not run."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.waiting import until

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


class Prometheus(AbstractContextManager["Prometheus"]):
    """A server with the shipped configuration and rules, which looks at these targets every second.

    targets   host and port of each, by job.
    """

    def __init__(self, folder: Path, targets: Mapping[str, list[str]]) -> None:
        self._targets = dict(targets)
        self._config = folder / "prometheus.yml"
        folder.mkdir()
        self._configure()
        self._log = folder / "log"
        options = (f"--config.file={self._config}", f"--storage.tsdb.path={folder / 'data'}")
        self._command = [program("prometheus"), *options]
        self._at = f"127.0.0.1:{free_port()}"

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            command = [*self._command, f"--web.listen-address={self._at}"]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._ready, self.told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def look_at(self, job: str, targets: list[str]) -> None:
        """From now on these are the targets of a job."""
        self._targets[job] = targets
        self._configure()
        self._process.send_signal(signal.SIGHUP)

    def _configure(self) -> None:
        shipped = yaml.safe_load(RULES.with_name("prometheus.yml").read_text(encoding="utf-8"))
        shipped["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        shipped["rule_files"] = [str(RULES)]
        for job in shipped["scrape_configs"]:
            job["static_configs"] = [{"targets": self._targets[job["job_name"]]}]
        self._config.write_text(yaml.safe_dump(shipped), encoding="utf-8")

    def ask(self, expr: str) -> list[float]:
        """The values of a query now, of all its series; what is no number is left out."""
        answer = self._get("query?" + urlencode({"query": expr}))["data"]["result"]
        values = [float(series["value"][1]) for series in answer]
        return [value for value in values if not isnan(value)]

    def firing(self) -> dict[str, str]:
        """The alerts that fire, and where each leads to."""
        found = self._get("alerts")["data"]["alerts"]
        return {a["labels"]["alertname"]: a["annotations"]["runbook_url"] for a in found if a["state"] == "firing"}

    def unwell(self) -> list[str]:
        """Rules that could not be evaluated, and why."""
        groups = self._get("rules")["data"]["groups"]
        return [f"{rule['name']}: {rule['lastError']}" for g in groups for rule in g["rules"] if rule.get("lastError")]

    def told(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")[-4_000:]

    def _ready(self) -> bool:
        assert self._process.poll() is None, self.told()
        try:
            with urlopen(f"http://{self._at}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _get(self, path: str) -> Any:
        try:
            with urlopen(f"http://{self._at}/api/v1/{path}", timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from None


_COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)(?![^{]*\})")


def asked(expr: str) -> str:
    """The same query where comparisons give 0 or 1: empty only where there are no figures to compare."""
    return _COMPARISON.sub(r"\1 bool", expr)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
