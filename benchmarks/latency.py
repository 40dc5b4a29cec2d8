"""From event to alert at a given pace: shipments are produced while a contestant runs, and its alerts are read at once.

Both ends are one process with one clock: an event's time is when it is given to the producer, an alert's when a reader
of committed records has it. In the order of production each event comes after all that its verdict needs, so the
parcel's own event is the one that makes the alert due. Where nobody reads the topic yet, events wait: contestants get
seconds to warm up, which do not count.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain

from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Place

from benchmarks.contract import BenchmarkError, Pace
from benchmarks.traffic import PARTITIONS, Record, Shipments

TICK_S = 0.005
AFTER_S = 2.0  # produced after what is measured: some contestants answer when event time has passed an event
GRACE_S = 30.0
FREQUENT_SHARE = 0.24  # four times as many alerts as elsewhere, so that percentiles can be told


def play(servers: str, topic: str, alerts: str, pace: Pace, alive: Callable[[], None]) -> list[float]:
    """Seconds of each alert that was measured. Raises BenchmarkError when one is missing."""
    events = round(pace.events_per_s * (pace.warm_up_s + pace.measured_s + AFTER_S))
    shipments = Shipments.draw(events, FREQUENT_SHARE)
    due = {key.encode() for key in shipments.expected()}
    reader = _Reader(servers, alerts)
    try:
        began = time.monotonic()
        sent = _produce(servers, topic, list(chain.from_iterable(shipments.records())), due, pace, alive)
        first = began + pace.warm_up_s
        measured = {key: at for key, at in sent.items() if first <= at < first + pace.measured_s}
        deadline = time.monotonic() + GRACE_S
        while (left := measured.keys() - reader.seen.keys()) and time.monotonic() < deadline:
            alive()
            time.sleep(0.05)
    finally:
        reader.close()
    if left:
        raise BenchmarkError(
            f"{len(left):,} of {len(measured):,} alerts were missing {GRACE_S:.0f} s after the last event"
        )
    return [reader.seen[key] - at for key, at in measured.items()]


def _produce(
    servers: str, topic: str, records: list[Record], due: set[bytes], pace: Pace, alive: Callable[[], None]
) -> dict[bytes, float]:
    """Produce at an even pace; returns when those were produced whose alerts are due."""
    producer = Producer({"bootstrap.servers": servers, "log_level": 3, "partitioner": "murmur2_random", "linger.ms": 1})
    sent: dict[bytes, float] = {}
    for batch in _paced(records, pace.events_per_s):
        now = time.monotonic()
        for each in batch:
            if each["key"] in due:
                sent.setdefault(each["key"], now)
        producer.produce_batch(topic, batch)
        producer.poll(0)
        alive()
    if left := producer.flush(30):
        raise BenchmarkError(f"{topic}: {left} records not delivered")
    return sent


def _paced(records: list[Record], events_per_s: float) -> Iterator[list[dict[str, bytes]]]:
    """Those due by now, again and again."""
    began, done = time.monotonic(), 0
    while done < len(records):
        due = min(len(records), int((time.monotonic() - began) * events_per_s))
        if due > done:
            yield [{"key": key.encode(), "value": value.encode()} for key, value in records[done:due]]
            done = due
        time.sleep(TICK_S)


class _Reader:
    """Reads alerts on a thread of its own, and notes when each parcel's first one came."""

    def __init__(self, servers: str, topic: str) -> None:
        self.seen: dict[bytes, float] = {}
        self._reader = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": "benchmark-latency",  # never joins
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
            }
        )
        self._reader.assign([Place(topic, number, 0) for number in range(PARTITIONS)])
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._ends.set()
        self._thread.join()
        self._reader.close()

    def _read(self) -> None:
        while not self._ends.is_set():
            message = self._reader.poll(0.1)
            if message is not None and message.error() is None:
                key = message.key() or b""
                self.seen.setdefault(key if isinstance(key, bytes) else key.encode(), time.monotonic())
