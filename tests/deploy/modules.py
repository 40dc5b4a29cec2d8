"""What the chart is tested with, from Go's modules: `make helm` gets it, once, where Go is.

Helm itself; the schemas of resources that are not Kubernetes' own; and `accept`, which is the part of Kubernetes' API
server that says whether it would create an object. `modules.sum` is the lock of the first two, in the form of `go.sum`:
a hash of all that is in a module, of its own lock too. `accept` has a lock of its own, as has `apiserver`, the whole
server, which only `make apiserver` builds. `collector` is OpenTelemetry's Collector, for the tests of traces.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from streams.ops.broker import jars

LOCK = Path(__file__).with_name("modules.sum")
ACCEPT = Path(__file__).with_name("accept")
APISERVER = Path(__file__).with_name("apiserver")
COLLECTOR = Path(__file__).with_name("collector")
HELM = "helm.sh/helm/v3"
SCHEMAS = {
    "github.com/kedacore/keda/v2": ("config/crd/bases/keda.sh_scaledobjects.yaml",),
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
}
_KUBERNETES = "k8s.io/kubernetes"


class ModulesError(Exception):
    """A module cannot be had, or is not what the lock says."""


def locked() -> dict[str, tuple[str, str]]:
    """Version and hash by module."""
    lines = (line.split() for line in LOCK.read_text(encoding="utf-8").splitlines())
    return {module: (version, total) for module, version, total in lines}


def folder() -> Path:
    """Where what is made of them is kept; another lock has another folder."""
    return jars.cache_dir() / f"helm-{_digest(LOCK)}"


def accept() -> Path:
    """Where the program `accept` is, if it was built; another version of it is another file."""
    return folder() / f"accept-{_digest(*(ACCEPT / name for name in ('main.go', 'go.mod', 'go.sum')))}"


def apiserver() -> Path:
    """Where the whole API server is, if it was built."""
    return folder() / f"apiserver-{_digest(*(APISERVER / name for name in ('main.go', 'go.mod', 'go.sum')))}"


def collector() -> Path:
    """Where OpenTelemetry's Collector is, if it was built."""
    return jars.cache_dir() / f"collector-{_digest(*(COLLECTOR / name for name in ('main.go', 'go.mod', 'go.sum')))}"


def _digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:12]


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
        _program(ACCEPT, accept())


def make_apiserver() -> None:
    """Build the whole API server, by one process at a time. Raises ModulesError."""
    if shutil.which("go") is None:
        raise ModulesError("no Go here")
    with jars.exclusive("apiserver"):
        folder().mkdir(parents=True, exist_ok=True)
        # Without a version it says 0, and Helm takes it for one that is too old.
        version = f"-X k8s.io/component-base/version.gitVersion={_version(APISERVER, _KUBERNETES)}"
        _program(APISERVER, apiserver(), "-p", "1", flags=version)


def make_collector() -> None:
    """Build OpenTelemetry's Collector, by one process at a time. Raises ModulesError."""
    if shutil.which("go") is None:
        raise ModulesError("no Go here")
    with jars.exclusive("collector"):
        _program(COLLECTOR, collector())


def _version(source: Path, module: str) -> str:
    """Of a module, in the `go.mod` of a program."""
    lines = (line.split() for line in (source / "go.mod").read_text(encoding="utf-8").splitlines())
    return next(words[1] for words in lines if words[:1] == [module])


def _program(source: Path, place: Path, *options: str, flags: str = "") -> None:
    if not place.exists():
        made = place.with_name(f"{place.name}.new")
        _go("build", "-C", str(source), "-buildvcs=false", *options, *_small(flags), "-o", str(made), ".")
        made.replace(place)


def _small(flags: str = "") -> tuple[str, str]:
    return "-trimpath", f"-ldflags=-s -w {flags}".rstrip()


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
    _go("install", *_small(), f"{HELM}/cmd/helm@{locked()[HELM][0]}", GOBIN=str(work))
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
