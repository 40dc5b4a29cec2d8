"""Helm, and the schemas of others' resources, from Go's modules: `make helm` gets them, once, where Go is.

`modules.sum` is their lock, in the form of `go.sum`: a hash of all that is in a module, of its own lock too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from streams.ops.broker import jars

LOCK = Path(__file__).with_name("modules.sum")
HELM = "helm.sh/helm/v3"
SCHEMAS = {
    "github.com/kedacore/keda/v2": ("config/crd/bases/keda.sh_scaledobjects.yaml",),
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
}


class ModulesError(Exception):
    """A module cannot be had, or is not what the lock says."""


def locked() -> dict[str, tuple[str, str]]:
    """Version and hash by module."""
    lines = (line.split() for line in LOCK.read_text(encoding="utf-8").splitlines())
    return {module: (version, total) for module, version, total in lines}


def folder() -> Path:
    """Where what is made of them is kept; another lock has another folder."""
    return jars.cache_dir() / f"helm-{locked()[HELM][0]}"


def files() -> list[str]:
    """The names of the schemas in `folder`."""
    return [Path(name).name for names in SCHEMAS.values() for name in names]


def make() -> None:
    """Build and fetch what is missing. Raises ModulesError."""
    if shutil.which("go") is None:
        raise ModulesError("no Go here")
    with jars.exclusive("helm"):
        for module, names in SCHEMAS.items():
            missing = [name for name in names if not (folder() / Path(name).name).exists()]
            for name in missing:
                _put(_source(module) / name)
        if not (folder() / "helm").exists():
            _source(HELM)
            _build()


def _source(module: str) -> Path:
    """The folder of a module in Go's own cache, at the version and hash of the lock."""
    version, total = locked()[module]
    found = json.loads(_go("mod", "download", "-json", f"{module}@{version}"))
    if found["Sum"] != total:
        raise ModulesError(f"{module} {version}: its hash is {found['Sum']}, {LOCK.name} says {total}")
    return Path(found["Dir"])


def _build() -> None:
    """By the versions that the module's own lock names."""
    work = folder() / "bin"
    _go("install", "-trimpath", "-ldflags=-s -w", f"{HELM}/cmd/helm@{locked()[HELM][0]}", GOBIN=str(work))
    (work / "helm").replace(folder() / "helm")
    work.rmdir()


def _put(file: Path) -> None:
    folder().mkdir(parents=True, exist_ok=True)
    made = folder() / f".{file.name}"
    shutil.copyfile(file, made)
    made.replace(folder() / file.name)


def _go(*arguments: str, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(["go", *arguments], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise ModulesError(f"go {' '.join(arguments[:2])}: {said[-300:]}")
    return done.stdout
