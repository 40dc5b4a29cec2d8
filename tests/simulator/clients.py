"""What stands for confluent_kafka's consumers: the same calls, with an effect wherever a request goes to the broker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, TopicPartition

from tests.simulator.broker import Broker, Place
from tests.simulator.group import Metadata, refusal
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

    def offsets_for_times(self, places: Sequence[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        """Asked only to wake connections; none sleeps here."""
        return list(places)

    def get_watermark_offsets(self, place: TopicPartition, timeout: float = 0, cached: bool = False) -> tuple[int, int]:
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
        self._node.effect("fetch", faults=("late",), passes=0.9)
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
        if self._paused:
            return any(self._news(place) for place in self._at if place not in self._paused)
        return any(map(self._news, self._at))

    def _news(self, place: Place) -> bool:
        at, log = self._at[place], self._broker.logs[place]
        last = len(log.records)
        end = log.stable if self._committed_only and log.open else last
        return at < end or at > last or (at == end and self._ends and self._told.get(place) != at)

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


def topic_ids(config: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """In the place of what the poller asks the administrator's client for."""
    here().check()
    return {name: f"id-{name}" for name in names}


def changelog_ids(config: Mapping[str, Any], stores: Mapping[str, Any]) -> dict[str, bytes]:
    """In the place of what restoring asks the administrator's client for."""
    here().check()
    return {name: f"id-{name}".encode() for name in stores}
