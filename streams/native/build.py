"""Build the native library, where there is a Rust toolchain. Where there is none, all works without it, more slowly.

Crates are locked by version and hash in `crates.lock`: that is Cargo's own lock file without the lines that name a
registry, which the Cargo at hand adds again, as it knows which registry it is set up to use.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from schemas.errors import WaybillError

HERE: Final = Path(__file__).resolve().parent
LIBRARY: Final = HERE / "_front.abi3.so"
LOCK: Final = HERE / "crates.lock"
TARGET: Final = HERE.parents[1] / "build" / "native"
CARGO_MIN: Final = (1, 75)
COST: Final = "events are read by Python, and the worker does about two thirds of the events it could"
ADVICE: Final = "install cargo 1.75 or later (Debian 13, Ubuntu 24.04: apt-get install cargo), then run make setup"


class BuildError(WaybillError):
    """The library was not built; the message is one line, and says what to do."""


def build() -> str:
    """Build the library if it is not there or older than its sources; what was done, in one line.

    Raises BuildError where there is no suitable Cargo, or where it fails.
    """
    if LIBRARY.exists() and LIBRARY.stat().st_mtime >= max(path.stat().st_mtime for path in _sources()):
        return "built before"
    cargo = find_cargo()
    _write_lock(cargo)
    _run(cargo, "build", "--release", "--locked", "--quiet")
    part = LIBRARY.with_suffix(".part")
    shutil.copyfile(TARGET / "release" / "lib_front.so", part)
    part.replace(LIBRARY)  # a process that has the old one loaded keeps it
    return "built"


def check() -> str:
    """Format, lints and tests of the crate. Raises BuildError for the first that fails."""
    cargo = find_cargo()
    _write_lock(cargo)
    _run(cargo, "fmt", "--check")
    _run(cargo, "clippy", "--locked", "--quiet", "--all-targets", "--", "--deny", "warnings")
    _run(cargo, "test", "--locked", "--quiet", "--no-default-features")
    return "format, lints and tests of the crate are fine"


def lock() -> str:
    """Resolve all versions anew, and write `crates.lock`."""
    cargo = find_cargo()
    (HERE / "Cargo.lock").unlink(missing_ok=True)
    _run(cargo, "generate-lockfile")
    text = re.sub(r"^source = .*\n", "", (HERE / "Cargo.lock").read_text(encoding="utf-8"), flags=re.MULTILINE)
    LOCK.write_text(re.sub(r"^version = 4$", "version = 3", text, count=1, flags=re.MULTILINE), encoding="utf-8")
    return f"{LOCK.name} is written"


def find_cargo() -> str:
    """A Cargo that can build the library. Raises BuildError where there is none."""
    found = [shutil.which("cargo"), str(Path.home() / ".cargo" / "bin" / "cargo")]
    for cargo in found:
        if cargo and _version(cargo) >= CARGO_MIN:
            return cargo
    raise BuildError(f"no cargo {'.'.join(map(str, CARGO_MIN))} or later here: {COST}. To have it, {ADVICE}")


def _sources() -> list[Path]:
    return [HERE / "Cargo.toml", LOCK, *(HERE / "src").glob("*.rs")]


def _version(cargo: str) -> tuple[int, ...]:
    try:
        said = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    number = re.match(r"cargo (\d+)\.(\d+)", said)
    return tuple(map(int, number.groups())) if number else ()


def _write_lock(cargo: str) -> None:
    """Cargo's own lock file."""
    path = HERE / "Cargo.lock"
    text = LOCK.read_text(encoding="utf-8")
    if path.exists() and re.sub(r"^source = .*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE) == text:
        return
    path.unlink(missing_ok=True)
    _run(cargo, "generate-lockfile")  # its versions do not count
    source = re.search(r"^source = .*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if source is None:
        raise BuildError("cargo generate-lockfile names no registry: see streams/native/Cargo.lock")
    path.write_text(re.sub(r"^(?=checksum = )", source[0], text, flags=re.MULTILINE), encoding="utf-8")


def _run(cargo: str, *arguments: str) -> None:
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(TARGET),
        "PYO3_PYTHON": sys.executable,
        # What it resolves to must do for the oldest compiler that `Cargo.toml` names.
        "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "fallback",
    }
    done = subprocess.run([cargo, *arguments], cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("error", "Caused by"))] or ["it failed"]
        raise BuildError(f"cargo {' '.join(arguments)}: {said[0]} (run it in {HERE} to see all). Without it {COST}")
