"""The stage of the demo: a broker, its topics, and processes: a worker, and where it is wanted, the desk."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

from schemas.errors import WaybillError
from streams.kafka import admin
from streams.ops import preflight, supervisor
from streams.ops.broker import PrivateKafka
from streams.settings import Settings

WORKER_START_S = 60.0

Step = Literal["kafka", "topics", "worker", "running", "desk", "ending"]


class Say(Protocol):
    """Who is told what the demo is at, and where that is; texts are the view's."""

    def __call__(self, step: Step, *where: str) -> None: ...


class DemoError(WaybillError):
    """The demo cannot go on; the message says why."""


class Stage:
    """Broker, topics and worker, for as long as the context lasts; nothing of them is left behind.

    servers   of a Kafka that is there, else a private one is started. Topics that this had to create are deleted.
    mix       publish to topics that hold records already.
    """

    def __init__(self, settings: Settings, config: Path | None, say: Say, *, mix: bool = False) -> None:
        self._settings = settings
        self._config = config
        self._say = say
        self._mix = mix
        self._stack = ExitStack()
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}  # with what they say
        self.folder = Path()
        self.servers = ""
        self.url = ""
        self.desk_url = ""

    def __enter__(self) -> Self:
        with self._stack:
            self.folder = Path(tempfile.mkdtemp(prefix="waybill-demo-"))
            self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._broker()
            self._topics()
            self._start_worker()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def await_worker(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Wait until the worker is assigned and caught up. Raises DemoError."""
        deadline = time.monotonic() + WORKER_START_S
        while not self._ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"the worker was not ready after {WORKER_START_S:.0f} s: {self._last_words('worker')}")
            meanwhile()
            time.sleep(0.05)

    def open_desk(self, users: Path) -> None:
        """Start dispatcher, tracer and desk. users: the file of its accounts."""
        port = _free_port()
        self.desk_url = f"http://127.0.0.1:{port}/desk"
        self._start("dispatcher", "dispatcher")
        self._start("tracer", "tracer", "--group", f"waybill-{self.folder.name[-8:]}-tracer")
        state = f"state_dir={self.folder / 'desk'}"
        given = "--users", str(users), "--port", str(port), "--set", state, "--set", self._group
        self._start("desk", "desk", "serve", *given)

    @property
    def _group(self) -> str:
        """The setting by which the desk knows whose workers these are."""
        return f"group=waybill-demo-{self.folder.name[-8:]}"

    @property
    def desk_answers(self) -> bool:
        """Whether the desk serves its pages."""
        return bool(_page(f"{self.desk_url}/login"))

    def check(self) -> None:
        """Raises DemoError when a process has ended."""
        for name, (process, _) in self._processes.items():
            if (code := process.poll()) is not None:
                raise DemoError(f"the {name} ended with {code}: {self._last_words(name)}")

    def page(self, path: str) -> str:
        """A page of the worker's; empty when it does not answer."""
        return _page(f"{self.url}{path}")

    def _ready(self) -> bool:
        return bool(self.page("/ready"))  # 503 is an error, hence empty

    def _broker(self) -> None:
        if self._settings.bootstrap_servers is not None:
            self.servers = self._settings.bootstrap_servers
            if not preflight.answers(self.servers):
                raise DemoError(preflight.silence(self.servers))
            return
        self._say("kafka")
        kafka = self._stack.enter_context(PrivateKafka())
        self.servers = kafka.bootstrap_servers

    def _topics(self) -> None:
        client = preflight.client(self._settings)
        before = admin.show(self.servers, client=client)
        if any(state.offsets for state in before) and not self._mix:
            raise DemoError(
                f"topics on {self.servers} hold records already, and the demo publishes invented parcels; "
                "--mix does so all the same"
            )
        if not any(state.partitions for state in before):
            self._stack.callback(self._delete_topics)
        self._say("topics", self.servers)
        count = max((state.partitions for state in before if not state.topic.single), default=0)
        admin.create(self.servers, count or self._settings.partitions, self._settings.replication, client=client)

    def _delete_topics(self) -> None:
        if self._settings.bootstrap_servers is not None:  # a private broker goes away with all it holds
            with suppress(WaybillError):
                admin.delete(self.servers, client=preflight.client(self._settings))

    def _start_worker(self) -> None:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._say("worker")
        self._start(
            "worker", "worker", "--instance", "demo", "--state-dir", str(self.folder / "state"),
            "--web-port", str(port), "--log-level", "info", "--set", self._group, "--set", "web_host=127.0.0.1",
        )  # fmt: skip

    def _start(self, name: str, *command: str) -> None:
        log = self.folder / f"{name}.log"
        given = ["--bootstrap-servers", self.servers, *(["--config", str(self._config)] if self._config else [])]
        with log.open("wb") as output:
            process = supervisor.start([*supervisor.WAYBILL, *command, *given], output=output)
        self._processes[name] = process, log
        self._stack.callback(lambda: supervisor.stop(process, within_s=10.0))

    def _last_words(self, name: str) -> str:
        lines = self._processes[name][1].read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _page(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=1.0) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
