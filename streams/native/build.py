"""Build the native library, where there is a Rust toolchain. Where there is none, all works without it, more slowly.

Crates are locked by version and hash in `crates.lock`: that is Cargo's own lock file without the lines that name a
registry, which the Cargo at hand adds again, as it knows which registry it is set up to use.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from schemas.errors import WaybillError

HERE: Final = Path(__file__).resolve().parent
LIBRARY: Final = HERE / "_front.abi3.so"
LOCK: Final = HERE / "crates.lock"
TARGET: Final = HERE.parents[1] / "build" / "native"
CARGO_MIN: Final = (1, 75)
COST: Final = "Python does all, and the worker does less than half of the events it could"
ADVICE: Final = "install cargo 1.75 or later (Debian 13, Ubuntu 24.04: apt-get install cargo), then run make setup"


class BuildError(WaybillError):
    """The library was not built; the message is one line, and says what to do."""


class NoCargoError(BuildError):
    """There is no suitable Cargo here."""


def build() -> str:
    """Build the library if it is not there or of other sources; what was done, in one line.

    As root it gets Cargo from the system's packages, where they have it. Raises NoCargoError where it cannot be had,
    and BuildError where it fails.
    """
    if os.environ.get("WAYBILL_NATIVE") == "0":
        return "not built, as WAYBILL_NATIVE is 0"
    if _built_from() == sources():
        return "built before"
    try:
        cargo = find_cargo()
    except NoCargoError:
        _install()
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
    lints = ("fmt", "--check"), ("clippy", "--locked", "--quiet", "--all-targets", "--", "--deny", "warnings")
    there = [lint for lint in lints if _version(cargo, lint[0])]  # some systems package them apart from Cargo
    for lint in there:
        _run(cargo, *lint)
    _run(cargo, "test", "--locked", "--quiet", "--no-default-features")
    return f"{', '.join(['cargo test', *(f'cargo {lint[0]}' for lint in there)])}: passed"


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
    raise NoCargoError(f"no cargo {'.'.join(map(str, CARGO_MIN))} or later here: {COST}. To have it, {ADVICE}")


@cache
def sources() -> str:
    """A digest of what the library is built from, which it carries; empty where that is not here, as in a wheel."""
    found = sorted((HERE / "src").glob("*.rs"))
    digest = hashlib.sha256()
    for path in (HERE / "Cargo.toml", LOCK, *found) if found else ():
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16] if found else ""


def wheel_options() -> str:
    """Options for `pip wheel`: with the library the wheel is for this platform, from this C library on."""
    if not LIBRARY.exists():
        return ""
    major, minor = platform.libc_ver()[1].split(".")[:2]
    return f"--config-settings=--build-option=--plat-name=manylinux_{major}_{minor}_{platform.machine()}"


def _built_from() -> str:
    """The digest that the library carries, asked in a process of its own; empty where it cannot be loaded.

    What was built elsewhere may be for another C library.
    """
    module = f"streams.native.{LIBRARY.name.partition('.')[0]}"
    command = [sys.executable, "-c", f"import {module} as library; print(library.SOURCES)"]
    return subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True).stdout.strip()


def _install() -> None:
    """Get Cargo from the system's packages, as root, if it is recent enough there."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    if _number(_said("apt-cache", "policy", "cargo"), _CANDIDATE) == ():
        _said("apt-get", "update", "-qq")
    if _number(_said("apt-cache", "policy", "cargo"), _CANDIDATE) >= CARGO_MIN:
        print("native front end: getting cargo from the system's packages", flush=True)
        _said("apt-get", "install", "--yes", "-qq", "--no-install-recommends", "cargo", "gcc", "libc6-dev")


_CANDIDATE: Final = r"Candidate: (?:\d+:)?(\d+)\.(\d+)"


def _version(cargo: str, *subcommand: str) -> tuple[int, ...]:
    return _number(_said(cargo, *subcommand, "--version"), r"\D*(\d+)\.(\d+)")


def _said(*command: str) -> str:
    """What a command writes; nothing where it cannot be run."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout
    except OSError:
        return ""


def _number(said: str, pattern: str) -> tuple[int, ...]:
    found = re.search(pattern, said)
    return tuple(map(int, found.groups())) if found else ()


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
        "WAYBILL_SOURCES": sources(),
        # The same bytes wherever it is built.
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(
            f"--remap-path-prefix={path}=" for path in (HERE, TARGET, _cargo_home())
        ),
        # What it resolves to must do for the oldest compiler that `Cargo.toml` names.
        "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS": "fallback",
    }
    done = subprocess.run([cargo, *arguments], cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("error", "Caused by"))] or ["it failed"]
        raise BuildError(f"cargo {' '.join(arguments)}: {said[0]} (run it in {HERE} to see all). Without it {COST}")


def _cargo_home() -> Path:
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
