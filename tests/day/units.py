"""Processes as the units of deploy/systemd start them, for machines on which no systemd is at work.

Command, variables and credentials are read from the unit, from what all units have in common, and from the operator's
own addition to it. What a unit shuts its process in with is systemd's to do, and is not done here.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.prometheus import free_port
from tests.waiting import until

SHIPPED = Path(__file__).parents[2] / "deploy/systemd"
PROGRAM = "/opt/waybill"
TIMEOUT_STOP_S = 90.0  # DefaultTimeoutStopSec


class Unit(AbstractContextManager["Unit"]):
    """One service on the machine whose root is `root`.

    name       such as waybill-worker@6066, or waybill-tracer
    release    where the version is installed that it starts; may be changed between two starts
    machine    what `%l` is
    """

    def __init__(self, root: Path, name: str, release: Path, machine: str = "day") -> None:
        self.name = name
        self.release = release
        template, _, self.port = name.partition("@")
        self._file = f"{template}{'@' if self.port else ''}.service"
        self._root = root
        self._signs = {
            "%i": self.port,
            "%l": machine,
            "%S": str(root / "var/lib"),
            "%d": str(root / "run/credentials" / name),
        }
        self.metrics, self.web = str(free_port()), str(free_port())
        self.log = root / "var/log" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0
        self._lock = threading.Lock()
        self.codes: list[int] = []
        """How it has ended by itself since it was started."""
        self._drop = root / "etc/systemd/system" / f"{self._file}.d/override.conf"

    def adds(self, text: str) -> None:
        """What `systemctl edit` writes."""
        self._drop.parent.mkdir(parents=True, exist_ok=True)
        self._drop.write_text(text, encoding="utf-8")

    def said(self, key: str) -> list[str]:
        """All values of a key, signs filled in."""
        files = [SHIPPED / "waybill-.service.d/common.conf", SHIPPED / self._file, self._drop]
        lines = [line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()]
        return [self._filled(line.partition("=")[2]) for line in lines if line.startswith(f"{key}=")]

    def _filled(self, text: str) -> str:
        for sign, value in self._signs.items():
            text = text.replace(sign, value)
        return text

    @property
    def variables(self) -> dict[str, str]:
        """Its environment."""
        given = dict(part.split("=", 1) for line in self.said("Environment") for part in shlex.split(line))
        given = {name: value.replace("/etc/waybill", str(self._root / "etc/waybill")) for name, value in given.items()}
        return {"PATH": f"{self.release}/bin:{os.environ['PATH']}", "LANG": "C.UTF-8", **given}

    def start(self, without: tuple[str, ...] = ()) -> Self:
        """Start it, also again whenever it ends by a fault; returns at once.

        without: arguments that this version does not know, with their values.
        """
        assert self._process is None
        command = self._command(without)
        self.codes.clear()
        self._process = self._begin(command)
        threading.Thread(target=self._keep, args=(self._process, command), daemon=True).start()
        return self

    def _command(self, without: tuple[str, ...]) -> list[str]:
        (line,) = self.said("ExecStart")
        command = shlex.split(line.replace(PROGRAM, str(self.release)))
        if "--metrics-port" in command:  # where others have theirs at work
            command[command.index("--metrics-port") + 1] = self.metrics
        if "serve" in command:
            command += ["--port", self.web]
        for each in without:
            at = command.index(each)
            del command[at : at + 2]
        return command

    def _begin(self, command: list[str]) -> subprocess.Popen[bytes]:
        self._give_credentials()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._said_before = log.tell()
            return subprocess.Popen(
                command, cwd="/tmp", env=self.variables, stdout=log, stderr=log, start_new_session=True
            )

    def _keep(self, process: subprocess.Popen[bytes], command: list[str]) -> None:
        """Restart=on-failure, as the units have it, until somebody stops or kills it."""
        (seconds,) = map(float, self.said("RestartSec"))
        ends = {0, *map(int, (*self.said("RestartPreventExitStatus"), *self.said("SuccessExitStatus")))}
        while True:
            code = process.wait()
            with self._lock:
                if self._process is not process:
                    return
                self.codes.append(code)
            if code in ends:
                return
            time.sleep(seconds)
            with self._lock:
                if self._process is not process:
                    return
                self._process = process = self._begin(command)

    def _give_credentials(self) -> None:
        folder = Path(self._signs["%d"])
        folder.mkdir(parents=True, exist_ok=True)
        for each in self.said("LoadCredential"):
            name, _, source = each.partition(":")
            shutil.copy(self._root / source.lstrip("/"), folder / name)

    def kill(self) -> None:
        """kill -9."""
        process = self._taken()
        process.kill()
        process.wait()

    def _taken(self) -> subprocess.Popen[bytes]:
        with self._lock:
            process, self._process = self._process, None
        assert process is not None
        return process

    def killed_when(self, done: Callable[[], bool]) -> None:
        """kill -9 at the moment that something holds."""
        until(done, self.told)
        self.kill()

    def said_since(self) -> str:
        """What it has said since it was started."""
        return self.log.read_bytes()[self._said_before :].decode(errors="replace")

    def stop(self) -> int:
        """SIGTERM, and SIGKILL where that is not enough, as systemd does; its exit code."""
        process = self._taken()
        process.terminate()
        try:
            return process.wait(TIMEOUT_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def page(self, path: str, port: str = "") -> tuple[int, str]:
        """Status and text of one of its pages; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> float:
        """Wait until it says that it is ready, with partitions; how long that took."""
        began = time.monotonic()

        def there() -> bool:
            status, text = self.page("/ready")
            return status == 200 and bool(json.loads(text).get("partitions"))

        until(there, self.told)
        return time.monotonic() - began

    def told(self, lines: int = 25) -> str:
        """The end of what it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
