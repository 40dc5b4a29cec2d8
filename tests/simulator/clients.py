"""What stands for confluent_kafka's clients: the same calls, with an effect wherever a request goes to the broker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from tests.simulator.broker import Broker, Metadata, Place, refusal
from tests.simulator.machine import Killed
from tests.simulator.node import Node, here


class Message:
    """A record that was fetched, or an event: an error, or the end of a partition."""

    def __init__(
        self,
        place: Place,
        offset: int,
        key: bytes | None = None,
        value: bytes | None = None,
        at: int = 0,
        error: KafkaError | None = None,
    ) -> None:
        self._place, self._offset, self._key, self._value, self._at, self._error = place, offset, key, value, at, error

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 2, self._at

    def error(self) -> KafkaError | None:
        return self._error


class Producer:
    """A producer, transactional where it has an id."""

    def __init__(self, config: Mapping[str, Any], logger: object = None) -> None:
        self._node: Node = here()
        self._broker: Broker = self._node.broker
        self._name = str(config.get("transactional.id", ""))
        self._open_s = float(config.get("transaction.timeout.ms", 60_000)) / 1000
        self._epoch = 0
        self._state = "new"
        self._asked = False  # a commit was sent, and not answered
        self._queues: defaultdict[Place, list[tuple[bytes | None, bytes | None, Any]]] = defaultdict(list)
        self._failed: Any = None  # why the transaction can only be aborted

    def init_transactions(self, timeout: float) -> None:
        self._node.effect("init", faults=("late",))
        self._epoch = self._broker.begin_epoch(self._name)
        self._node.effect("init answered")
        if not self._settled(timeout):
            raise refusal(KafkaError._TIMED_OUT, "init timed out", retriable=True)
        self._state = "ready"

    def begin_transaction(self) -> None:
        self._node.effect("begin")
        if self._state != "ready":
            raise refusal(KafkaError._STATE, f"begin in state {self._state}")
        self._state, self._failed, self._asked = "open", None, False

    def produce(self, topic: str, value: bytes | None = None, key: bytes | None = None, partition: int = 0) -> None:
        """Without a transaction, and without an answer."""
        if not self._node.dead:
            self._broker.append((topic, partition), key, value)

    def produce_batch(self, topic: str, messages: Sequence[Mapping[str, Any]], partition: int) -> int:
        self._node.effect(f"produce {topic}[{partition}]")
        if self._state != "open":
            raise refusal(KafkaError._STATE, f"produce in state {self._state}")
        self._queues[topic, partition] += [
            (each.get("key"), each.get("value"), each.get("callback")) for each in messages
        ]
        return len(messages)

    def poll(self, timeout: float) -> int:
        if self._state == "open" and self._node.rng.random() < 0.3:
            self._send(self._node.rng.random())
        return 0

    def flush(self, timeout: float) -> int:
        """Deliver; the number of records that are still on their way."""
        fault = self._node.effect("flush", faults=("undelivered", "lost"))
        if fault == "undelivered":
            self._send(self._node.rng.random())
            self._node.world.wait(timeout)
        else:
            while self._queues and self._failed is None:
                self._send(1.0)
        if fault == "lost":
            self._failed = refusal(KafkaError._MSG_TIMED_OUT, "a record was not delivered")
        return sum(map(len, self._queues.values()))

    def _send(self, share: float) -> None:
        """Partitions one after the other, in any order; of each a part, or all."""
        places = sorted(self._queues)
        self._node.rng.shuffle(places)
        for place in places:
            queue = self._queues[place]
            size = max(int(len(queue) * share), 1) if share < 1 else len(queue)
            part, self._queues[place] = queue[:size], queue[size:]
            if not self._queues[place]:
                del self._queues[place]
            self._node.effect(f"deliver {place[0]}[{place[1]}]")
            if not self._settled(self._open_s):
                self._failed = refusal(KafkaError._MSG_TIMED_OUT, "the transaction before is not finished")
                return
            try:
                records = [(key, value) for key, value, _ in part]
                last = self._broker.transact(self._name, self._epoch, place, records, self._open_s)
            except Exception as error:
                self._fail(error)
                return
            for i, (_, _, callback) in enumerate(part):
                if callback is not None:
                    callback(None, Message(place, last - len(part) + 1 + i))

    def _fail(self, error: Any) -> None:
        self._failed = error
        if error.args[0].fatal():
            self._state = "fatal"
        self._queues.clear()

    def send_offsets_to_transaction(
        self, offsets: Sequence[TopicPartition], metadata: object, timeout: float
    ) -> None:
        fault = self._node.effect("offsets", faults=("refused", "late", "hangs"))
        if fault == "hangs":  # librdkafka heeds no time-out here while the coordinator is away
            self._node.world.wait(self._node.rng.uniform(1, 6) * timeout)
        if self._failed is not None:
            raise self._failed
        if self._state != "open":
            raise refusal(KafkaError._STATE, f"offsets in state {self._state}")
        if fault == "refused" or not self._settled(timeout):
            raise refusal(KafkaError._TIMED_OUT, "offsets timed out")
        assert metadata is None or isinstance(metadata, Metadata)
        at = {(each.topic, each.partition): each.offset for each in offsets}
        try:
            self._broker.add_offsets(self._name, self._epoch, metadata, at, self._open_s)
        except Exception as error:
            self._fail(error)
            raise
        self._node.effect("offsets answered")

    def commit_transaction(self, timeout: float) -> None:
        if self._failed is not None:
            raise self._failed
        if self._state not in ("open", "committing"):
            raise refusal(KafkaError._STATE, f"commit in state {self._state}")
        while self._queues and self._failed is None:
            self._send(1.0)
        if self._failed is not None:
            raise self._failed
        self._state = "committing"
        fault = self._node.effect("commit", faults=("unsent", "unanswered", "refused", "late"))
        if fault == "refused" and not self._asked:
            self._state, self._failed = "open", refusal(KafkaError.COORDINATOR_NOT_AVAILABLE, "commit refused")
            raise self._failed
        if fault != "unsent":
            self._asked = True
            try:
                self._broker.end(self._name, self._epoch, True)
            except Exception as error:
                self._fail(error)
                raise
        if fault in ("unsent", "unanswered"):
            self._node.world.wait(timeout)
            raise refusal(KafkaError._TIMED_OUT, "commit timed out", retriable=True)
        self._node.effect("commit answered")
        self._state = "ready"

    def abort_transaction(self, timeout: float) -> None:
        fault = self._node.effect("abort", faults=("unanswered",))
        if self._state == "committing" or self._state not in ("open", "fatal"):
            raise refusal(KafkaError._STATE, f"abort in state {self._state}")
        if self._state == "fatal":
            raise self._failed or refusal(KafkaError._FATAL, "fatal", fatal=True)
        self._queues.clear()
        try:
            self._broker.end(self._name, self._epoch, False)
        except Exception as error:
            self._fail(error)
            raise
        if fault == "unanswered":
            raise refusal(KafkaError._TIMED_OUT, "abort timed out", retriable=True)
        self._node.effect("abort answered")
        self._state, self._failed = "ready", None

    def _settled(self, timeout: float) -> bool:
        """Wait until the transaction before this one is finished everywhere."""
        if self._broker.busy(self._name):
            self._node.world.wait(timeout, lambda: not self._broker.busy(self._name))
        return not self._broker.busy(self._name)


class Reader:
    """A consumer whose partitions are assigned by hand."""

    def __init__(self, config: Mapping[str, Any], logger: object = None) -> None:
        self._node: Node = here()
        self._broker: Broker = self._node.broker
        self._committed_only = config.get("isolation.level", "read_committed") == "read_committed"
        self._ends = bool(config.get("enable.partition.eof", False))
        self._at: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._told: dict[Place, int] = {}  # ends that were announced
        self._fetched: set[Place] = set()

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._at = {(each.topic, each.partition): each.offset for each in partitions}
        self._paused, self._told, self._fetched = set(), {}, set()

    def unassign(self) -> None:
        self.assign([])

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused |= {(each.topic, each.partition) for each in partitions}

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._paused -= {(each.topic, each.partition) for each in partitions}

    def get_watermark_offsets(
        self, place: TopicPartition, timeout: float = 0, cached: bool = False
    ) -> tuple[int, int]:
        at = (place.topic, place.partition)
        if cached:
            return (0, self._end(at)) if at in self._fetched else (-1001, -1001)
        self._node.effect("watermarks")
        return 0, self._end(at)

    def _end(self, place: Place) -> int:
        log = self._broker.logs[place]
        return log.stable if self._committed_only else log.end

    def consume(self, rows: int, timeout: float) -> list[Message]:
        """Records and events, in the order of each partition, partitions in any order."""
        self._node.effect("fetch", faults=("late",), often=True)
        ends_at = self._node.world.now + timeout
        while True:
            self._serve()
            found = self._take(rows)
            if found or self._node.world.now >= ends_at:
                return found
            self._node.world.wait(ends_at - self._node.world.now, self._woken)
            self._node.check()

    def _serve(self) -> None:
        pass

    def _woken(self) -> bool:
        return any(self._news(place) for place in self._at if place not in self._paused)

    def _news(self, place: Place) -> bool:
        at, end = self._at[place], self._end(place)
        gone = at > self._broker.logs[place].end
        return at < end or gone or (at == end and self._ends and self._told.get(place) != at)

    def _take(self, rows: int) -> list[Message]:
        places = sorted(place for place in self._at if place not in self._paused and self._news(place))
        self._node.rng.shuffle(places)
        out: list[Message] = []
        for place in places:
            if len(out) >= rows or (out and self._node.rng.random() < 0.3):
                break
            self._read(place, min(rows - len(out), self._node.most_rows()), out)
        return out

    def _read(self, place: Place, most: int, out: list[Message]) -> None:
        log, end, at = self._broker.logs[place], self._end(place), self._at[place]
        self._fetched.add(place)
        if at > log.end:
            out.append(Message(place, at, error=KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")))
            return
        until = len(out) + most
        while at < end and len(out) < until:
            record = log.records[at]
            if not record.mark and (record.counts or not self._committed_only):
                out.append(Message(place, at, record.key, record.value, record.timestamp))
            at += 1
        self._at[place] = at
        if at == end and self._ends and self._told.get(place) != at:
            self._told[place] = at
            out.append(Message(place, at, error=KafkaError(KafkaError._PARTITION_EOF)))

    def close(self) -> None:
        self._at = {}


class Member(Reader):
    """A consumer that is a member of the group."""

    def __init__(self, config: Mapping[str, Any], logger: object = None) -> None:
        super().__init__(config)
        self.instance = str(config["group.instance.id"])
        self.id = 0
        self.seen = 0.0
        self._generation = 0
        self._topics: list[str] = []
        self._mine: list[TopicPartition] = []
        self._in_hand = self._closed = self._joined = False
        self._calls: dict[str, Callable[[Any, list[TopicPartition]], None]] = {}

    def heard(self) -> bool:
        """Whether the coordinator hears of it."""
        return not self._closed and self._node.heard()

    def subscribe(self, topics: Sequence[str], **calls: Callable[[Any, list[TopicPartition]], None]) -> None:
        self._topics, self._calls = list(topics), calls

    def consumer_group_metadata(self) -> Metadata:
        self._node.check()
        return Metadata(self.instance, self.id, self._generation)

    def committed(self, partitions: Sequence[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        """Next to read by what is committed, once that is stable."""
        self._node.effect("committed")
        places = {(each.topic, each.partition) for each in partitions}

        def stable() -> bool:
            return not any(places & pending.keys() for pending in self._broker.unstable.values())

        if self._committed_only and not stable():
            self._node.world.wait(timeout, stable)
        if self._committed_only and not stable():
            raise refusal(KafkaError._TIMED_OUT, "committed offsets are not stable", retriable=True)
        at = self._broker.committed
        return [TopicPartition(*place, at.get(place, -1001)) for place in sorted(places)]

    def _serve(self) -> None:
        group = self._broker.group
        status = group.status(self)
        if status == "unknown":
            if self._joined:
                self._call("on_lost")
            self._joined, self._generation = True, 0
            self._node.effect("join")
            group.join(self)
        elif status == "rebalance":
            self._call("on_revoke")
            self._node.effect("rejoin")
            if group.status(self) == "rebalance":
                group.join(self)
        elif status == "stable" and self._generation != group.generation:
            self._generation = group.generation
            numbers = group.assignment.get(self.instance, [])
            self._mine = [TopicPartition(topic, number) for topic in self._topics for number in numbers]
            self._in_hand = True
            self._calls["on_assign"](self, list(self._mine))

    def _call(self, name: str) -> None:
        if self._in_hand:
            self._in_hand = False
            self._calls[name](self, list(self._mine))
            if name == "on_lost":
                self.unassign()

    def _woken(self) -> bool:
        group = self._broker.group
        status = group.status(self)
        if status in ("unknown", "rebalance", "fenced"):
            return True
        return (status == "stable" and self._generation != group.generation) or super()._woken()

    def _take(self, rows: int) -> list[Message]:
        if self._broker.group.status(self) == "fenced":
            return [Message(("", 0), 0, error=KafkaError(KafkaError._FATAL, "Static consumer fenced"))]
        return super()._take(rows)

    def close(self) -> None:
        """Give its partitions back; the group keeps its name for the session."""
        self._node.effect("close")
        self._call("on_revoke")
        self._closed = True
        super().close()


class Admin:
    """As much of the administrator's client as restoring asks for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        here().check()

    def describe_topics(self, topics: Any, request_timeout: float = 0) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in topics.topic_names:
            found[name] = Future()
            found[name].set_result(SimpleNamespace(topic_id=f"id-{name}"))
        return found


__all__ = ["Admin", "Killed", "Member", "Message", "Producer", "Reader"]
