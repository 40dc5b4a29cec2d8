"""Workers as processes of their own on a real broker, and what a reader of the alerts sees of them.

Publisher   puts records on the input topics, whole or bit by bit
Worker      one worker process on a state folder; start, kill -9, SIGTERM
Reader      the newest alert of each parcel on `waybill.alerts`
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, Producer

from schemas import topics
from schemas.records import Alert, Reject, encode
from streams.files.driver import TOPIC_OF
from tests.forked import Forked
from tests.ordering import ORDER_KEY, ORDER_SHARE, drawn, standing
from tests.runs import Alerts, comparable, difference
from tests.tallies import published_values, recount
from tests.waiting import PATIENCE_S
from tests.worlds import HOME, Record

ROOT = Path(__file__).parents[1]
SESSION_MS = 2_000
WAYBILL = (sys.executable, "-m", "streams.cli", "worker")
FAUST = (sys.executable, "-m", "faust", "-A", "streams.main", "worker", "--without-web", "-l", "info")
_SAID = re.compile(r"\d{4}-\d\d-\d\d |waybill: ")
Process = Forked | subprocess.Popen[bytes]
READY = "partitions is there"  # what a worker says when it begins to read


class Publisher:
    """Puts records on the input topics, keyed as producers must. `last`: topic, partition and offset of the last."""

    last: tuple[str, int, int] = ("", 0, 0)

    def __init__(self, servers: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 1,
                "log_level": 0,
            }
        )

    def __call__(self, records: Iterable[Record]) -> None:
        for record in records:
            self.raw(TOPIC_OF[type(record)], record.key.encode(), encode(record))
        self.flush()

    def raw(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Any bytes at all."""
        while True:
            try:
                self._producer.produce(topic, key=key, value=value, on_delivery=self._delivered)
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None
        self.last = (str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))

    def flush(self) -> None:
        """Wait until all of it is on the broker."""
        assert self._producer.flush(PATIENCE_S) == 0


class Stream(threading.Thread):
    """Publishes records over some seconds, as producers do, while the test does something else."""

    def __init__(self, servers: str, records: Sequence[Record], seconds: float) -> None:
        super().__init__(daemon=True)
        self._publish = Publisher(servers)
        parts = int(seconds * 20)
        self._parts = [records[len(records) * i // parts : len(records) * (i + 1) // parts] for i in range(parts)]

    def run(self) -> None:
        for part in self._parts:
            self._publish(part)
            time.sleep(0.05)


class Worker(AbstractContextManager["Worker"]):
    """One worker process. Ends with the `with` block whatever happens."""

    def __init__(self, servers: str, state_dir: Path, command: tuple[str, ...] = WAYBILL, **settings: Any) -> None:
        given = {
            "group": f"waybill-{state_dir.parent.name}",
            "instance": "0",
            "state_dir": str(state_dir),
            "session_timeout_ms": SESSION_MS,
            "transaction_timeout_ms": 3_000,
            "web_port": 0,
            "idle_partition_s": 1,
            "settle_s": 0.5,  # what is wrongly found missing is withdrawn
            "fetch_timeout_ms": 100,  # five times the default: a worker that waits asks the broker less often
            "tally_every_s": 0.5,
            "order_share": ORDER_SHARE,
            "order_key": ORDER_KEY.hex(),
            "flood_share_max": 0,  # crowded worlds have alerts as other places have parcels
            "home_adcodes": ",".join(HOME),
            **settings,
        }
        self._command = command
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WAYBILL_")},
            **{f"WAYBILL_{name.upper()}": str(value) for name, value in given.items()},
            "KAFKA_BOOTSTRAP_SERVERS": servers,
        }
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        self.log = state_dir.parent / f"{state_dir.name}-{given['instance']}.log"
        self._process: Process | None = None
        self._ready = 0

    def start(self) -> Self:
        """Start the process; returns at once."""
        assert self._process is None
        self._ready = self.says(READY)
        if self._command is FAUST:  # a command line of its own
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        else:
            self._process = Forked(self._command, env=self._env, log=self.log)
        return self

    def send(self, number: signal.Signals) -> None:
        """Any signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def limit(self, resource_number: int, most: int) -> None:
        """Give the process less than it may want, from now on."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource_number, (most, resource.RLIM_INFINITY))

    def kill(self) -> None:
        """kill -9."""
        process, self._process = self._process, None
        assert process is not None
        assert process.poll() is None, f"the worker died by itself: {self.told()}"
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        process, self._process = self._process, None
        assert process is not None
        assert process.poll() is None, f"the worker died by itself: {self.told()}"
        process.terminate()
        try:
            return process.wait(PATIENCE_S)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(PATIENCE_S)

    @property
    def alive(self) -> bool:
        """The process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """The exit code of a process that ended by itself; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def ended(self) -> int:
        """Take away the process, which has ended by itself; its exit code."""
        process, self._process = self._process, None
        assert process is not None
        return process.wait(PATIENCE_S)

    def told(self, lines: int = 60) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def last_words(self) -> str:
        """The last line that it logged or ended with, whatever a slow end dumped after it."""
        said = [line for line in self.told(1_000).splitlines() if _SAID.match(line)]
        return said[-1] if said else ""

    def says(self, text: str) -> int:
        """How often its log holds `text`."""
        return self.log.read_text(errors="replace").count(text) if self.log.exists() else 0

    def ready(self, *, times: int | None = None) -> None:
        """Wait until it begins to read: once since it was started, or so many `times` in all."""
        deadline = time.monotonic() + PATIENCE_S
        while self.says(READY) < (times or self._ready + 1):
            assert self.alive, f"the worker died: {self.told()}"
            assert time.monotonic() < deadline, f"the worker never got ready: {self.told()}"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None


class Reader:
    """Reads a topic from its start."""

    def __init__(self, servers: str, *, isolation: str = "read_committed", topic: str = topics.ALERTS) -> None:
        self._client = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"reader-{time.monotonic_ns()}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "isolation.level": isolation,
                "log_level": 0,
            }
        )
        self._client.subscribe([topic])
        self.newest: Alerts = {}
        self.values: list[bytes] = []
        self.pairs: list[tuple[bytes, bytes | None]] = []

    def poll(self, timeout_s: float = 0.1) -> int:
        """Read what is there; the number of messages."""
        messages = [message for message in self._client.consume(10_000, timeout_s) if message.error() is None]
        self.values += [message.value() or b"" for message in messages]
        self.pairs += [(message.key() or b"", message.value()) for message in messages]
        return len(messages)

    def until(self, done: Callable[[], bool], timeout_s: float = PATIENCE_S, *, quiet_s: float = 0.6) -> bool:
        """Read until `done` holds and nothing has come for `quiet_s`; False where time ran out."""
        deadline = time.monotonic() + timeout_s
        last = time.monotonic()
        while time.monotonic() < deadline:
            if self.poll():
                last = time.monotonic()
            elif time.monotonic() - last >= quiet_s and done():
                return True
        return done()

    def alerts(self) -> Alerts:
        """The newest alert of each parcel, open or not."""
        found: dict[str, Alert] = {}
        for value in self.values:
            alert = _ALERT.decode(value)
            found[alert.alert_id] = alert
        return comparable(found.values())

    def open(self) -> Alerts:
        """The newest alert of each parcel whose alert is open."""
        return {key: alert for key, alert in self.alerts().items() if alert.status == "open"}

    def rejects(self) -> list[Reject]:
        """The values as rejects."""
        return [_REJECT.decode(value) for value in self.values]

    def close(self) -> None:
        """Leave."""
        self._client.close()


_ALERT = msgspec.json.Decoder(Alert)
_REJECT = msgspec.json.Decoder(Reject)


def expect(servers: str, wanted: Alerts, *workers: Worker) -> Reader:
    """Read the alerts until they are those wanted; fails with what differs and what the workers said."""
    reader = Reader(servers)
    if not reader.until(lambda: reader.open() == wanted):
        told = "\n\n".join(worker.told() for worker in workers)
        raise AssertionError(f"{difference(reader.open(), wanted)}\n\n{told}")
    return reader


def expect_tallies(servers: str, records: Iterable[Record], wanted: Alerts, worker: Worker) -> None:
    """Read the tallies until they are those of a recount. wanted: the open alerts of these records."""
    reader, counts = Reader(servers, topic=topics.TALLIES), recount(records, wanted.values())
    if not reader.until(lambda: published_values(reader.values) == counts):
        found = published_values(reader.values)
        differ = [
            f"{place}: {found.get(place)}, wanted {counts.get(place)}"
            for place in sorted(found.keys() | counts.keys())
            if found.get(place) != counts.get(place)
        ]
        raise AssertionError("\n".join(["tallies differ", *differ[:5], worker.told()]))
    reader.close()


def expect_orders(servers: str, records: Iterable[Record], worker: Worker) -> None:
    """Read the orders until they are those that the formula draws."""
    reader, wanted = Reader(servers, topic=topics.ORDERS), drawn(records)
    assert wanted
    assert reader.until(lambda: standing(reader.pairs) == wanted), worker.told()
    reader.close()
