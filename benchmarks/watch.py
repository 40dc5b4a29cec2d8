"""Run a contestant as a process and measure it from outside: partitions assigned, offsets committed, CPU, memory."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

import psutil
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks import latency
from benchmarks.contract import ORIGINS, BenchmarkError, Context, Measured, Result
from benchmarks.traffic import PARTITIONS, make_topic

Until = Literal["committed", "alerted", "ends"]

POLL_S = 0.05
START_S, STALL_S, STOP_S = 300.0, 300.0, 60.0  # what works takes a fraction; hosts are busy
STARTED = "contestant started"
_LOG_TAIL = 3_000
_NO_LEADER_YET = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_LEADER_EPOCH}


def started() -> None:
    """Said by a contestant of ours when it has its partitions."""
    print(STARTED, flush=True)


def judged(
    context: Context,
    command: Sequence[str],
    *,
    internal: Sequence[str] = (),
    forwards: bool = False,
    announces: bool = True,
    until: Until = "committed",
    more: Sequence[str] = (),
) -> Result:
    """`watch` a program that takes the arguments of `benchmarks.peers`; its alerts go to a topic of their own."""
    servers, alerts = context.loaded.servers, f"{context.run}.alerts"
    make_topic(servers, alerts)
    arguments = [servers, context.run, context.loaded.topics[0], alerts, str(context.scratch), ORIGINS, *more]
    measured = watch(
        context, [*command, *arguments], internal=internal, forwards=forwards, announces=announces,
        alerts=alerts, until=until,
    )  # fmt: skip
    alerted = None if context.pace else frozenset(newest(servers, alerts))  # where it ended, a transaction may be open
    return Result(context.loaded.events, measured, alerted)


def python(module: str, *arguments: str) -> list[str]:
    """Command line of a module."""
    return [sys.executable, "-m", module, *arguments]


def watch(
    context: Context,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    internal: Sequence[str] = (),
    forwards: bool = False,
    announces: bool = True,
    settles_s: float = 0,
    alerts: str = "",
    until: Until = "committed",
) -> Measured:
    """Run `command` until its group has committed all of its input, and stop it. With a pace, for as long as that says.

    internal: topics that it writes and reads itself, which must be read to their end too.
    forwards: it writes each of its events there and without transactions; else what it likes, in transactions.
    announces: it calls `started()`; else it starts when the group's partitions are assigned.
    settles_s: it may go on for so long, which is not measured: what is missing is missing only a while after the end.
    alerts: the topic of its alerts.
    until: what its end is, `committed`; or, where it keeps its offsets to itself, that the last alert due is there,
    `alerted`; or that it `ends` by itself at the end of its input.
    Raises BenchmarkError with the end of its log when it ends by itself or makes no progress.
    """
    forwarded = context.loaded.events if forwards else None
    group = Group(context.loaded.servers, context.run, context.loaded.topics, internal, forwarded)
    launched = time.monotonic()
    with _process(context, command, env, announces=announces) as child:
        if announces:
            child.announced()
        else:
            child.wait_for(group.assigned, START_S, every_s=0.01)
        start, cpu = time.monotonic(), child.cpu_s()
        if context.pace:
            took = latency.play(context.loaded.servers, context.loaded.topics[0], alerts, context.pace, child.alive)
            wall_s, cpu_s = time.monotonic() - start, child.cpu_s() - cpu
            return Measured(start - launched, wall_s, cpu_s, child.rss_mb, tuple(took))
        half = Halfway(child.cpu_s)
        _until_done(context, child, group, half, alerts, until)
        end, cpu_s, left = time.monotonic(), child.cpu_s(), half.left * context.loaded.events
        measured = Measured(
            start - launched, end - start, cpu_s - cpu, child.rss_mb,
            warm_events_per_s=left / (end - half.at), warm_cpu_s_per_million=(cpu_s - half.cpu_s) / left * 1e6,
        )  # fmt: skip
        time.sleep(settles_s)
        return measured


def _until_done(context: Context, child: _Child, group: Group, half: Halfway, alerts: str, until: Until) -> None:
    if until == "committed":
        half.due = group.due
        child.wait_for(group.done, STALL_S, every_s=POLL_S, progress=lambda: half(group.read) + group.committed_total)
        return
    half.due = len(context.loaded.expected or ())
    with Seen(context.loaded.servers, alerts) as seen:
        if until == "alerted":
            child.wait_for(lambda: half(seen.count()) >= half.due, STALL_S, every_s=POLL_S, progress=seen.count)
        else:
            child.ended(STALL_S, progress=lambda: half(seen.count()))


class Halfway:
    """When half of the work was done, and what it had taken."""

    def __init__(self, cpu_s: Callable[[], float]) -> None:
        self._cpu_s = cpu_s
        self.due = 0
        self.left = 1.0  # the share of the work that was not done then
        self.at, self.cpu_s = time.monotonic(), cpu_s()

    def __call__(self, done: int) -> int:
        """Take note; returns what is done."""
        if self.left == 1.0 and self.due / 2 <= done < self.due:
            self.left = 1 - done / self.due
            self.at, self.cpu_s = time.monotonic(), self._cpu_s()
        return done


class Seen:
    """The keys on a topic, as they come."""

    def __init__(self, servers: str, topic: str) -> None:
        self._reader = _reader(servers)
        self._reader.assign([Place(topic, number, 0) for number in range(PARTITIONS)])
        self._keys: set[bytes | str | None] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def count(self) -> int:
        """How many there are by now."""
        self._keys.update(message.key() for message in self._reader.consume(10_000, 0.01) if message.error() is None)
        return len(self._keys)


class Group:
    """A consumer group and its topics, as the broker tells of them; `forwarded`: records due on the internal ones."""

    def __init__(
        self, servers: str, name: str, topics: Sequence[str], internal: Sequence[str], forwarded: int | None
    ) -> None:
        self._admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self._name = name
        self._internal, self._forwarded = internal, forwarded
        self._ends = ends(self._admin, topics)
        self.due = sum(self._ends.values())
        self.committed_total = self.read = 0

    def assigned(self) -> bool:
        """Whether a member has partitions."""
        try:
            described = self._admin.describe_consumer_groups([self._name])[self._name].result()
        except KafkaException:  # not there yet
            return False
        return any(member.assignment and member.assignment.topic_partitions for member in described.members)

    def done(self) -> bool:
        """Whether all was read, judged and committed.

        What was committed is asked for before the ends of the internal topics, so a record written in between counts
        as not read. A transaction holds outputs and offsets, so when nothing waits then nothing is under way either;
        but its offsets may be seen before its records are, so the ends are those of records not committed, too.
        Without transactions a record may be under way, so they are counted.
        """
        committed = self._committed()
        self.committed_total = sum(committed.values())
        self.read = sum(committed.get(place, 0) for place in self._ends)
        if any(committed.get(place, 0) < end for place, end in self._ends.items()):
            return False
        internal = ends(self._admin, self._internal, IsolationLevel.READ_UNCOMMITTED)
        if self._forwarded is not None:
            read = all(committed.get(place, 0) >= end for place, end in internal.items())
            return read and sum(internal.values()) >= self._forwarded
        # One further offset is the marker of the last transaction. A record that waits is followed by one.
        return all(end - committed.get(place, 0) <= 1 for place, end in internal.items())

    def _committed(self) -> dict[tuple[str, int], int]:
        request = ConsumerGroupTopicPartitions(self._name)
        try:
            answer = self._admin.list_consumer_group_offsets([request])[self._name].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
        return {(each.topic, each.partition): each.offset for each in answer.topic_partitions if each.offset > 0}


def ends(
    admin: AdminClient, topics: Sequence[str], isolation: IsolationLevel = IsolationLevel.READ_COMMITTED
) -> dict[tuple[str, int], int]:
    """End of every partition that such a reader reaches; of a topic just made, as soon as it has leaders."""
    deadline = time.monotonic() + START_S
    while topics:
        try:
            return _ends(admin, topics, isolation)
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER_YET or time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)
    return {}


def _ends(admin: AdminClient, topics: Sequence[str], isolation: IsolationLevel) -> dict[tuple[str, int], int]:
    there = admin.list_topics(timeout=10).topics
    if any(topic not in there for topic in topics):  # a peer makes its own when it starts
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    places = [Place(topic, number) for topic in topics for number in there[topic].partitions]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = admin.list_offsets(dict.fromkeys(places, latest), isolation_level=isolation)
    return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}


def newest(servers: str, topic: str) -> dict[str, bytes]:
    """The newest value of each key of a topic, of committed records alone."""
    left = {place for place, end in _settled(servers, topic).items() if end > 0}
    reader = _reader(servers, {"enable.partition.eof": True})
    reader.assign([Place(name, number, 0) for name, number in left])
    values: dict[str, bytes] = {}
    try:
        while left:
            for message in reader.consume(10_000, 1.0):
                error = message.error()
                if error is None:
                    values[(message.key() or b"").decode()] = message.value() or b""
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((str(message.topic()), int(message.partition() or 0)))
                else:
                    raise KafkaException(error)
    finally:
        reader.close()
    return values


def _reader(servers: str, settings: Mapping[str, bool] | None = None) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "benchmark-reader",  # never joins
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **(settings or {}),
        }
    )


def _settled(servers: str, topic: str) -> dict[tuple[str, int], int]:
    """Ends of a topic to which nobody writes any more, when the broker has ended its transactions."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    deadline = time.monotonic() + STOP_S
    while (reached := ends(admin, [topic])) != ends(admin, [topic], IsolationLevel.READ_UNCOMMITTED):
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{topic}: a transaction was left open")
        time.sleep(POLL_S)
    return reached


class _Child:
    """The process of a contestant and all that it starts."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self._name, self._process, self._log = name, process, log
        self._tree = psutil.Process(process.pid)
        self.rss_mb = self._last_cpu_s = 0.0

    def announced(self) -> None:
        """Wait for its word."""
        assert self._process.stdout is not None
        output, said, deadline = self._process.stdout.fileno(), b"", time.monotonic() + START_S
        while STARTED.encode() not in said:  # among what Faust prints
            ready, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            part = os.read(output, 4_096) if ready else b""
            if not part:
                raise self._failure("did not start")
            said += part

    def wait_for(
        self, ready: Callable[[], bool], stall_s: float, *, every_s: float, progress: Callable[[], int] = lambda: 0
    ) -> None:
        """Ask `ready()` until it says yes; `stall_s` is how long `progress()` may stay the same."""
        reached, since = progress(), time.monotonic()
        while not ready():
            self.alive()
            if (now := progress()) != reached:
                reached, since = now, time.monotonic()
            if time.monotonic() - since > stall_s:
                raise self._failure(f"made no progress for {stall_s:.0f} s")
            time.sleep(every_s)

    def alive(self) -> None:
        """Take note of its memory. Raises BenchmarkError when it has ended."""
        if self._process.poll() is not None:
            raise self._failure(f"ended with code {self._process.returncode}")
        self.rss_mb = max(self.rss_mb, self._rss_mb())

    def ended(self, within_s: float, progress: Callable[[], int]) -> None:
        """Wait until it has ended well."""
        deadline = time.monotonic() + within_s
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                raise self._failure(f"did not end within {within_s:.0f} s")
            with suppress(psutil.NoSuchProcess):
                self.rss_mb, self._last_cpu_s = max(self.rss_mb, self._rss_mb()), self._tree_cpu_s()
            progress()
            time.sleep(POLL_S)
        if self._process.returncode:
            raise self._failure(f"ended with code {self._process.returncode}")

    def cpu_s(self) -> float:
        """User and system time of the tree up to now, or to shortly before its end."""
        if self._process.poll() is None:
            self._last_cpu_s = self._tree_cpu_s()
        return self._last_cpu_s

    def _tree_cpu_s(self) -> float:
        total = 0.0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        times = self._tree.cpu_times()
        return total + times.children_user + times.children_system

    def _rss_mb(self) -> float:
        total = 0
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 1e6

    def _all(self) -> list[psutil.Process]:
        return [self._tree, *self._tree.children(recursive=True)]

    def _failure(self, what: str) -> BenchmarkError:
        tail = self._log.read_text("utf-8", "replace")[-_LOG_TAIL:]
        return BenchmarkError(f"{self._name} {what}. The end of its log:\n{tail}")


@contextmanager
def _process(
    context: Context, command: Sequence[str], env: Mapping[str, str] | None, *, announces: bool
) -> Iterator[_Child]:
    """The process, with its log in the scratch folder; ended on the way out."""
    log = context.scratch / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if announces else output,
            stderr=output,
            cwd=context.scratch,
            env={**os.environ, "PYTHONPATH": str(_ROOT), **(env or {})},
        )
    try:
        yield _Child(context.run, process, log)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


_ROOT = Path(__file__).parent.parent
