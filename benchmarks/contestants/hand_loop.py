"""What a good engineer writes by hand: batches from librdkafka, orjson, a dict, local names, no framework.

At least once, and no durable state: after a crash it starts with empty histories. Parcels of one sender come from all
partitions, so it counts by event time and looks again at parcels that an earlier one, read late, may lift. Records
that come again are known by their event id, of which it remembers the last million or two.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_right, insort

import orjson
from confluent_kafka import Consumer, KafkaException, Producer

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own
from benchmarks.task import KEPT_MS, PARCELS_MIN, WINDOW_MS, alert, candidate, parcel_of
from benchmarks.watch import judged, python, started

NAME = "hand-written loop"
DOC = "confluent-kafka consume() + orjson + dict, event ids in a set; no durable state, no transactions"
GIVES = Gives("at least once", durable=False)
ENVIRONMENT = Own()
TRAFFIC: Kind = "shipments"

COMMIT_S = 1.0
SEEN_MAX = 1_000_000


def run(context: Context) -> Result:
    """Once over all shipments."""
    return judged(context, python(__name__))


def main(servers: str, group: str, topic: str, alerts: str, _folder: str, origins: str) -> None:
    """Consume, judge, alert, commit, for ever."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 200_000,
            "max.partition.fetch.bytes": 4_194_304,
        }
    )
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 20})
    consumer.subscribe([topic], on_assign=lambda *_: started())
    judge = Judge(frozenset(origins.split(",")))
    dirty, committed_at = False, time.monotonic()
    while True:
        messages = consumer.consume(10_000, 0.02)
        if messages:
            dirty = True
            values = []
            for message in messages:
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                values.append(message.value() or b"")
            for parcel, content in judge(values):
                producer.produce(alerts, key=parcel, value=orjson.dumps(content))
            producer.poll(0)
        if dirty and (not messages or time.monotonic() - committed_at > COMMIT_S):
            producer.flush()
            consumer.commit(asynchronous=False)
            dirty, committed_at = False, time.monotonic()


class Judge:
    """Times of each sender's parcels, and those parcels that would be alerted if their sender had posted more."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins
        self._times: dict[str, list[int]] = {}
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._seen: set[str] = set()
        self._seen_before: set[str] = set()

    def __call__(self, values: list[bytes]) -> list[tuple[str, dict[str, object]]]:
        """Parcels to alert after these shipments, with their alerts."""
        loads, all_times, all_waiting, origins = orjson.loads, self._times, self._waiting, self._origins
        if len(self._seen) >= SEEN_MAX:
            self._seen, self._seen_before = set(), self._seen
        seen, seen_before = self._seen, self._seen_before
        found: list[tuple[str, dict[str, object]]] = []
        for value in values:
            try:
                shipment = loads(value)
                event = shipment["event_id"]
                at = shipment["picked_up_at"]
                sender = shipment["sender_id_no"]
                waits = candidate(shipment, origins)
                retail = shipment["customer_type"] == "retail"
            except (ValueError, KeyError, TypeError):
                continue  # a log line, in earnest
            if not retail or not sender or event in seen or event in seen_before:
                continue
            seen.add(event)
            times = all_times.get(sender)
            if times is None:
                all_times[sender] = [at]
                late = False
            else:
                late = at < times[-1]
                if late:
                    insort(times, at)
                else:
                    times.append(at)
                if times[0] <= at - KEPT_MS:
                    del times[: bisect_right(times, at - KEPT_MS)]
            if waits:
                all_waiting.setdefault(sender, []).append((at, parcel_of(shipment)))
            elif not late:
                continue
            if times is not None and len(times) >= PARCELS_MIN and sender in all_waiting:
                self._look(sender, times, found)
        return found

    def _look(self, sender: str, times: list[int], found: list[tuple[str, dict[str, object]]]) -> None:
        left = []
        for at, parcel in self._waiting[sender]:
            count = bisect_right(times, at) - bisect_right(times, at - WINDOW_MS)
            if count >= PARCELS_MIN:
                found.append((parcel, alert(parcel, count)))
            elif at > times[-1] - KEPT_MS:
                left.append((at, parcel))
        if left:
            self._waiting[sender] = left
        else:
            del self._waiting[sender]


if __name__ == "__main__":
    main(*sys.argv[1:])
