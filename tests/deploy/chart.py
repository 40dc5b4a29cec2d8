"""The chart, rendered by Helm: `make helm` builds it. Without it the tests of the chart do not run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import modules

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/waybill-sentinel"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
SETS = [path.name.removesuffix("-values.yaml") for path in VALUES]
"""Sets of values that the chart is tried with; the defaults alone are refused, since no broker is named."""
VERSIONS = ("1.27", "1.37")
"""Of Kubernetes: the oldest that Chart.yaml allows, and the newest with schemas here."""

Object = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it on nobody's cluster; skips the test where it is not."""
    built = modules.folder() / "helm"
    found = str(built) if built.exists() else shutil.which("helm")
    if found is None:
        pytest.skip("no Helm here (`make helm` builds it where Go is)")
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, env={})


def template(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Render it as the release `waybill` of the namespace `parcels`."""
    return helm("template", "waybill", CHART, "--namespace", "parcels", "--kube-version", VERSIONS[-1], *arguments)


@cache
def rendered(values: str, *options: str) -> tuple[Object, ...]:
    """All objects of a set of values, with further `--set`."""
    named = ("--values", CHART / "ci" / f"{values}-values.yaml")
    done = template(*named, *(part for option in options for part in ("--set", option)))
    assert done.returncode == 0, done.stderr
    return tuple(each for each in yaml.safe_load_all(done.stdout) if each)


def accepted(objects: tuple[Object, ...]) -> str:
    """What an API server says against creating these objects; skips the test where `accept` is not."""
    if not modules.accept().exists():
        pytest.skip("no API server's checks here (`make helm` builds them where Go is)")
    stream = yaml.safe_dump_all(objects)
    done = subprocess.run([modules.accept()], input=stream, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


def of_kind(objects: tuple[Object, ...], kind: str) -> list[Object]:
    """The objects of one kind."""
    return [each for each in objects if each["kind"] == kind]


def named(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    """The object of this kind and name."""
    (found,) = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


def templates(objects: tuple[Object, ...]) -> Iterator[Object]:
    """The templates of all pods."""
    for each in objects:
        if each["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield each["spec"]["template"]


def containers(objects: tuple[Object, ...]) -> Iterator[Object]:
    """The containers of all pods."""
    for each in templates(objects):
        yield from each["spec"]["containers"]


def variables(objects: tuple[Object, ...], container: Object) -> dict[str, str]:
    """The environment that a container has, without what the cluster fills in."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    return found | {each["name"]: each["value"] for each in container["env"] if "value" in each}


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether labels have all that a selector asks for."""
    return selector.items() <= labels.items()
