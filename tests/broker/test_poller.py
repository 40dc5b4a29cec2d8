"""The polling thread on a real broker: members come and go, and every record is finished once.

Each member here does what the worker does, in little: it takes batches of the generation that holds, commits their
offsets in transactions, finishes what it has in hand when partitions are taken back, and releases those it was given.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition

from schemas.topics import SCANS, SHIPMENTS
from streams import native
from streams.flow.front.tables import fingerprint
from streams.kafka.transport.grouping import Partition
from streams.kafka.transport.poller import Poller
from streams.native import Switch
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.broker
# With the native library, where it is there, and without it.
SWITCHES: tuple[Switch, ...] = ("0",) if native.missing(fingerprint()) else ("0", "1")

TOPICS = (SCANS, SHIPMENTS)
PROTOCOLS: dict[str, dict[str, object]] = {
    "classic": {
        "partition.assignment.strategy": "range",
        "session.timeout.ms": 3_000,
        "heartbeat.interval.ms": 300,
    },
    "consumer": {"group.protocol": "consumer", "group.remote.assignor": "range"},
}


class Member(threading.Thread):
    """A member of the group, with a poller and a producer of its own."""

    def __init__(self, servers: str, group: str, protocol: str, switch: Switch) -> None:
        super().__init__(daemon=True)
        self.finished: list[bytes] = []  # values whose offsets were committed
        self.held: set[Partition] = set()
        self.assignments = 0
        self.faults: list[str] = []
        self.leave = threading.Event()
        self._generation = 0
        self._released = False
        self._in_hand: list[bytes] = []
        self._next: dict[Partition, int] = {}
        config = {"bootstrap.servers": servers, "group.id": group, **PROTOCOLS[protocol]}
        self._poller = Poller(config, on_revoked=self._revoked, on_assigned=self._assigned, native=switch)
        self._producer = Producer(
            {"bootstrap.servers": servers, "transactional.id": uuid.uuid4().hex, "transaction.timeout.ms": 10_000}
        )
        self._producer.init_transactions(30)

    def run(self) -> None:
        self._poller.subscribe(TOPICS)
        fetches = 0
        while not self.leave.is_set():
            generation = self._generation
            for batch in self._poller.fetch(20, 0.02, generation):
                if generation != self._generation:
                    continue
                place = (batch.topic, batch.partition)
                if not self._released or place not in self.held:
                    self.faults.append(f"read {place} before it was released")
                if batch.offsets[0] < self._next.get(place, 0):
                    self.faults.append(f"read {place} from {batch.offsets[0]} again")
                self._next[place] = batch.offsets[-1] + 1
                self._in_hand += [value or b"" for value in batch.values]
            fetches += 1
            if fetches % 3 == 0:
                self._commit()
            if self.held and not self._released:
                self._poller.release()
                self._released = True
        self._poller.close()

    def _commit(self) -> None:
        if not self._in_hand:
            return
        offsets = [TopicPartition(*place, at) for place, at in self._next.items()]
        metadata = self._poller.group_metadata
        while True:
            self._producer.begin_transaction()
            try:
                self._producer.send_offsets_to_transaction(offsets, metadata, 30)
                self._producer.commit_transaction(30)
                break
            except KafkaException as error:  # KIP-848: the group went on, and the member has not heard of it yet
                if not error.args[0].txn_requires_abort():
                    raise
                self._producer.abort_transaction(30)
                time.sleep(0.1)
                metadata = self._poller._client.consumer_group_metadata()
        self.finished += self._in_hand
        self._in_hand = []

    def _revoked(self, partitions: set[Partition], lost: bool) -> None:
        if partitions != self.held:
            self.faults.append(f"{sorted(partitions)} taken back, {sorted(self.held)} were held")
        if not lost:
            self._commit()
        self._generation += 1
        self._in_hand, self._next, self.held, self._released = [], {}, set(), False

    def _assigned(self, partitions: set[Partition]) -> None:
        if self.held:
            self.faults.append("given partitions while others were held")
        if {n for topic, n in partitions if topic == SCANS} != {n for topic, n in partitions if topic == SHIPMENTS}:
            self.faults.append(f"{sorted(partitions)} are not co-partitioned")
        self._generation += 1
        self.assignments += 1
        self.held = set(partitions)


class Stream(threading.Thread):
    """Publishes numbered values over both topics without a pause, so that each rebalance comes between two records."""

    def __init__(self, servers: str) -> None:
        super().__init__(daemon=True)
        self.values: list[bytes] = []
        self.end = threading.Event()
        self._producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 1})

    def run(self) -> None:
        while not self.end.is_set():
            self.publish(5)
            time.sleep(0.005)
        assert self._producer.flush(PATIENCE_S) == 0

    def publish(self, count: int) -> None:
        """Publish so many."""
        for _ in range(count):
            value = b"%06d" % len(self.values)
            self._producer.produce(TOPICS[len(self.values) % 2], key=value, value=value)
            self.values.append(value)
        self._producer.poll(0)


@pytest.fixture
def stream(fresh_kafka: str) -> Iterator[Stream]:
    """To be started; it ends with the test, however that ends."""
    one = Stream(fresh_kafka)
    yield one
    one.end.set()
    if one.is_alive():
        one.join()


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_record_is_finished_once_while_members_come_and_go(
    fresh_kafka: str, stream: Stream, protocol: str, switch: Switch
) -> None:
    group = f"waybill-poller-{uuid.uuid4().hex[:8]}"
    members: list[Member] = []

    def joined() -> Member:
        members.append(Member(fresh_kafka, group, protocol, switch))
        members[-1].start()
        return members[-1]

    def spread() -> list[int]:
        return sorted(len(member.held) for member in members if member.is_alive())

    stream.start()
    first = joined()
    until(lambda: spread() == [8])
    second = joined()
    until(lambda: spread() == [4, 4])
    third = joined()
    until(lambda: spread() == [2, 2, 4])
    until(lambda: bool(second.finished and third.finished))
    second.leave.set()  # the others get its partitions beside those that they hold
    until(lambda: spread() == [4, 4])
    third.leave.set()
    until(lambda: spread() == [8])
    stream.end.set()
    stream.join()
    until(lambda: sum(len(member.finished) for member in members) >= len(stream.values))
    time.sleep(0.3)
    first.leave.set()
    for member in members:
        member.join(PATIENCE_S)
        assert not member.is_alive()
        assert member.faults == []
    counts = Counter(value for member in members for value in member.finished)
    assert counts == Counter(stream.values)
    assert first.assignments >= 3


@pytest.mark.parametrize("switch", SWITCHES)
def test_what_was_taken_but_not_committed_is_lag(fresh_kafka: str, stream: Stream, switch: Switch) -> None:
    stream.publish(100)
    stream.end.set()
    stream.run()
    group = f"waybill-poller-{uuid.uuid4().hex[:8]}"
    held: set[Partition] = set()
    poller = Poller(
        {"bootstrap.servers": fresh_kafka, "group.id": group, **PROTOCOLS["classic"]},
        on_revoked=lambda partitions, lost: held.clear(),
        on_assigned=held.update,
        native=switch,
    )
    assert (poller._direct is not None) == (switch == "1")
    poller.subscribe(TOPICS)
    until(lambda: poller.fetch(1_000, 0.05, 1) == [] and len(held) == 8)
    poller.release()
    taken = 0
    deadline = time.monotonic() + PATIENCE_S
    while taken < len(stream.values):
        assert time.monotonic() < deadline
        taken += sum(len(batch.values) for batch in poller.fetch(7, 0.05, 1))
    assert sum(poller.lag({}).values()) == len(stream.values)
    ends = {place: len(stream.values) for place in held}
    assert sum(poller.lag(ends).values()) == 0
    poller.close()
