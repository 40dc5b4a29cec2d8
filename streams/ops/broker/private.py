"""A private Kafka: one KRaft node, broker and controller in one process, on loopback, that dies with its owner."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from streams.kafka import training
from streams.kafka.cluster import Cluster
from streams.kafka.errors import ClientError
from streams.ops.broker.errors import BrokerError
from streams.ops.broker.image import Image, prepare_image

BOOTSTRAP_ENV = "KAFKA_BOOTSTRAP_SERVERS"

_HOST = "127.0.0.1"
_KEEPER = Path(__file__).with_name("keeper.py")
# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes the port between two starts.
_PORTS = range(20_000, 32_000)
_PORT_TRIES = 5
_LOG_TAIL_BYTES = 4_000
_STOP_S = 15.0  # asked to stop in its first second, Kafka now and then does not
_TRAINING_S = 180.0  # its start, and what it writes as it stops: a minute on a busy machine


@contextmanager
def bootstrap() -> Iterator[str]:
    """Yield bootstrap servers: those of `KAFKA_BOOTSTRAP_SERVERS`, else of a private broker that lives as long.

    Raises `BrokerError` when a private broker is needed and cannot be had.
    """
    if servers := os.environ.get(BOOTSTRAP_ENV, "").strip():
        yield servers
        return
    with PrivateKafka() as kafka:
        yield kafka.bootstrap_servers


class PrivateKafka:
    """Apache Kafka as a child process, a context manager.

    data_dir      holds the broker's data and `kafka.log`, and is kept; None: a temporary one, removed at `stop()`.
    port          of the listener on 127.0.0.1; 0: a free one, kept over `restart()`.
    settings      broker properties over those of `image.properties`; `+listeners`: further listeners, NAME://HOST:PORT.
    jvm_options   further options of the Java runtime.
    fast_start    use only the JVM's first compiler: the broker answers a third sooner. A million records in and out
                  took no longer than with both compilers; runs of many minutes may do better with False.
    heap_mb       Java heap, MiB.
    timeout_s     how long `start()` waits for an answer.
    stop_s        how long a stop waits for its end, before it is killed.
    image         what to start from; None: the one in the cache.

    The process ends when this object's process does, by whatever death, and takes a temporary directory with it.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = (),
        fast_start: bool = True,
        heap_mb: int = 512,
        timeout_s: float = 60.0,
        stop_s: float = _STOP_S,
        image: Image | None = None,
    ) -> None:
        self._kept_dir = data_dir.absolute() if data_dir else None  # Kafka runs in a folder of its own
        self._dir = self._kept_dir
        self._ports = (port, 0)
        self._port_given = port
        self._settings = dict(settings or {})
        self._jvm_options = tuple(jvm_options)
        self._fast_start = fast_start
        self._heap_mb = heap_mb
        self._timeout_s = timeout_s
        self._stop_s = stop_s
        self._image = image
        self._keeper: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None
        self._cluster = ""
        self._log_from = 0  # where the log of this start begins, bytes

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of the broker. Raises `BrokerError` before the first start."""
        if not self._ports[0]:
            raise BrokerError("the private Kafka was not started yet, so it has no address")
        return f"{_HOST}:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """Process id of the broker itself. Raises `BrokerError` when it is not running."""
        if self._pid is None:
            raise BrokerError("the private Kafka is not running")
        return self._pid

    @property
    def data_dir(self) -> Path:
        """Where data and log are. Raises `BrokerError` when there is no such directory now."""
        if self._dir is None:
            raise BrokerError("the private Kafka has no data directory: it was not started, or was stopped")
        return self._dir

    @property
    def log_path(self) -> Path:
        """The broker's log: warnings and errors."""
        return self.data_dir / "kafka.log"

    @property
    def running(self) -> bool:
        """Whether the broker's process is alive."""
        return self._keeper is not None and self._keeper.poll() is None

    def start(self) -> None:
        """Start and wait until the broker answers. Raises `BrokerError` with the end of its log when it does not."""
        if self.running:
            raise BrokerError(f"the private Kafka is running already, on {self.bootstrap_servers}")
        if self._dir is not None:  # before minutes go into fetching and preparing
            self._dir.mkdir(parents=True, exist_ok=True)
        image = self._image or prepare()
        if self._dir is None:
            self._dir = Path(tempfile.mkdtemp(prefix="waybill-kafka-"))
        try:
            for attempt in range(_PORT_TRIES):
                self._choose_ports()
                try:
                    self._launch(image)
                    self._wait_until_it_answers()
                    return
                except BrokerError:
                    self._end(signal.SIGKILL)
                    if attempt == _PORT_TRIES - 1 or not self._lost_a_port():
                        raise
                    self._ports = (self._port_given, 0)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the broker and remove a temporary directory. In a kept directory it shuts down in order. Idempotent."""
        self._end(signal.SIGTERM if self._kept_dir else signal.SIGKILL)
        if self._kept_dir is None and self._dir is not None:
            shutil.rmtree(self._dir, ignore_errors=True)
            self._dir = None

    def kill(self) -> None:
        """kill -9 the broker; directory and port are kept for `restart()`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again on the same directory and port, ending the broker in order first when it runs."""
        self._end(signal.SIGTERM)
        self.start()

    def _choose_ports(self) -> None:
        """Fix broker and controller ports at the first start: clients of a restarted broker know only the old one."""
        if not self._ports[1]:
            first = self._port_given or _free_port()
            self._ports = (first, _free_port(but=first))

    def _launch(self, image: Image) -> None:
        with self._locked() as lock:
            self._log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
            self._run(image, lock)

    def _locked(self) -> BinaryIO:
        """The data directory's lock. The keeper inherits it, and so has it until the broker has ended.

        Kafka has one of its own, but writes into its metadata before it asks for it, of which the other one dies.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lock = (self.data_dir / ".lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise BrokerError(f"a private Kafka runs on {self.data_dir} already") from None
        return lock

    def _run(self, image: Image, lock: BinaryIO) -> None:
        properties, self._cluster = image.install(self.data_dir, self._ports, self._settings)
        command = image.command(properties, self._jvm_options, fast_start=self._fast_start, heap_mb=self._heap_mb)
        remove = "" if self._kept_dir else str(self.data_dir)
        # A session of its own: Ctrl-C at the terminal is for our process, which still needs its broker to end well.
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_KEEPER), str(os.getpid()), str(self.log_path), remove, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as answer:
            line = answer.readline()
        if not line.strip().isdigit():
            raise BrokerError(self._failure("the private Kafka could not be launched"))
        self._pid = int(line)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            if not self.running:
                raise BrokerError(self._failure("the private Kafka ended while it was starting"))
            # The port is open before the broker serves; a request waits for it there. The plain connection comes
            # first because librdkafka logs every refused one.
            if _listens(self._ports[0]) and _cluster_at(self.bootstrap_servers) == self._cluster:
                return
            time.sleep(0.02)
        raise BrokerError(self._failure(f"the private Kafka did not answer within {self._timeout_s:.0f} s"))

    def _end(self, how: signal.Signals) -> None:
        """Send `how` to the broker and wait for it and its keeper; a broker that does not end is killed."""
        keeper, self._keeper = self._keeper, None
        pid, self._pid = self._pid, None
        if keeper is None:
            return
        if keeper.poll() is None and pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
        elif keeper.poll() is None:
            keeper.kill()
        try:
            keeper.wait(self._stop_s)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()

    def _lost_a_port(self) -> bool:
        """Whether the failed start was for a port that something else took, and another can be chosen."""
        return not self._port_given and _PORT_TAKEN in _tail(self.log_path, self._log_from)

    def _failure(self, what: str) -> str:
        """What happened, and why: in one line where the log has it so, else by the end of the log."""
        tail = _tail(self.log_path, self._log_from)
        for line in tail.splitlines():
            if _PORT_TAKEN in line:
                return f"{what}: {line.rpartition('Exception: ')[2].strip()}"
        return f"{what}. The end of {self.log_path}:\n{tail or '(empty)'}"


_PORT_TAKEN = "Address already in use"


def prepare() -> Image:
    """Fetch and make all that a private Kafka starts from, unless it is there (30 s once). Raises `BrokerError`."""
    return prepare_image(_train)


def _train(image: Image, scratch: Path) -> None:
    """Record a start, a little work and an orderly stop in the ahead-of-time cache, which is written as it stops."""
    kafka = PrivateKafka(
        scratch, jvm_options=[f"-XX:AOTCacheOutput={image.aot_cache}"], fast_start=False,
        timeout_s=_TRAINING_S, stop_s=_TRAINING_S, image=image,
    )  # fmt: skip
    with kafka:
        try:
            training.work(kafka.bootstrap_servers)
        except ClientError as error:
            raise BrokerError(f"the training run failed: {error}") from error
    if not image.aot_cache.exists():
        raise BrokerError(f"the training run wrote no cache. The end of its log:\n{_tail(kafka.log_path, 0)}")


def _free_port(but: int = 0) -> int:
    for port in random.sample(_PORTS, 200):
        if port == but:  # chosen for the other listener, which does not hold it yet
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise BrokerError(f"no free port among {_PORTS.start}-{_PORTS.stop} on {_HOST}")


def _listens(port: int) -> bool:
    try:
        socket.create_connection((_HOST, port), 1.0).close()
    except OSError:
        return False
    return True


def _cluster_at(servers: str) -> str | None:
    """Id of the cluster that answers there; a port that was taken by another broker answers too."""
    try:
        return Cluster({"bootstrap.servers": servers}, timeout_s=5.0).id()
    except ClientError:
        return None


def _tail(path: Path, since: int) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(since, path.stat().st_size - _LOG_TAIL_BYTES))
            return log.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""
