"""Versions to install: each a wheel in an environment of its own, as an operator has them in /opt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from streams.native.build import LIBRARY
from streams.ops.broker import jars

ROOT = Path(__file__).parents[2]
LAST = "4e7708a5f6db"
"""The version before the present one: the last whose state has format 10, on the way to what is released next."""


class ReleaseError(RuntimeError):
    """A version cannot be made; the message says what failed."""


def last() -> Path:
    """Where the last release is installed; made once and kept."""
    place = jars.cache_dir() / f"release-{LAST}"
    if not (place / "bin/waybill").exists():
        with jars.exclusive("release"), tempfile.TemporaryDirectory() as folder:
            source = Path(folder)
            archive = subprocess.run(["git", "archive", LAST], cwd=ROOT, capture_output=True, check=False)
            if archive.returncode:
                raise ReleaseError(f"{LAST} is not in this repository: {archive.stderr.decode().strip()}")
            subprocess.run(["tar", "-x"], cwd=source, input=archive.stdout, check=True)
            _install(source, place)
    return place


def this(place: Path) -> Path:
    """Install what is here."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, [*kept.split("\0"), str(LIBRARY.relative_to(ROOT))]):
            if (ROOT / name).is_file():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, source / name)
        _install(source, place)
    return place


def version(place: Path) -> str:
    """What it calls itself."""
    return _run([str(place / "bin/waybill"), "--version"], place).strip()


def _install(source: Path, place: Path) -> None:
    """`make wheel` there, and what deploy/README.md says to do with a wheel; dependencies are those of its lock."""
    shutil.rmtree(place, ignore_errors=True)
    python = sys.executable
    _run([python, "-m", "streams.native", "build"], source)
    options = _run([python, "-m", "streams.native", "wheel-options"], source).split()
    wheel = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist"]
    _run([*wheel, *options, "."], source)
    (made,) = (source / "dist").glob("*.whl")
    _run([python, "-m", "venv", str(place)], source)
    pip = [str(place / "bin/pip"), "install", "--quiet", "--no-deps"]
    _run([*pip, "--require-hashes", "--requirement", "requirements.txt"], source)
    _run([*pip, str(made)], source)


def _run(command: list[str], folder: Path) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "WAYBILL_"))}
    plain |= {"PYTHONWARNINGS": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command[:5])} failed:\n{(done.stdout + done.stderr)[-2_000:]}")
    return done.stdout
