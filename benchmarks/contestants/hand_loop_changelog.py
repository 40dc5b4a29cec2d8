"""The hand-written loop with equal guarantees: state on a changelog, and one transaction for it, alerts and offsets.

One process reads all partitions, so it needs no topic by sender. Each transaction has the parcels of every sender that
changed, as of its end; a start reads the changelog before anything else. Parcels that come again are known by the
parcels of their sender.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, Producer

from benchmarks import task
from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own
from benchmarks.traffic import make_topic
from benchmarks.watch import judged, newest, python, started

NAME = "hand-written loop with changelog"
DOC = "the same with transactions: alerts, offsets and each changed sender's parcels; restores from the changelog"
GIVES = Gives("exactly once", durable=True)
ENVIRONMENT = Own()
TRAFFIC: Kind = "shipments"

COMMIT_S = 0.1


def run(context: Context) -> Result:
    """Once over all shipments."""
    make_topic(context.loaded.servers, _changelog(context.run))
    return judged(context, python(__name__))


def main(servers: str, group: str, topic: str, alerts: str, _folder: str, origins: str) -> None:
    """Restore; then consume, judge, commit, for ever."""
    changelog = _changelog(group)
    producer = Producer({"bootstrap.servers": servers, "transactional.id": group, "linger.ms": 20})
    producer.init_transactions()  # ends an open one, so that the changelog has an end
    parcels_of = {sender: orjson.loads(parcels) for sender, parcels in newest(servers, changelog).items()}
    judge = Judge(parcels_of, frozenset(origins.split(",")))
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 200_000,
            "max.partition.fetch.bytes": 4_194_304,
        }
    )
    consumer.subscribe([topic], on_assign=lambda *_: started())
    open_since = 0.0
    while True:
        messages = consumer.consume(10_000, 0.02)
        if messages and not open_since:
            producer.begin_transaction()
            open_since = time.monotonic()
        for parcel, alert in judge([_value(message) for message in messages]):
            producer.produce(alerts, key=parcel, value=orjson.dumps(alert))
        if open_since and (not messages or time.monotonic() - open_since > COMMIT_S):
            records = [{"key": sender.encode(), "value": orjson.dumps(parcels_of[sender])} for sender in judge.changed]
            while records:
                records = records[producer.produce_batch(changelog, records) :]
                producer.poll(0)
            judge.changed.clear()
            offsets = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            open_since = 0.0


class Judge:
    """Counts parcels of their senders; `changed` are those senders whose parcels did."""

    def __init__(self, parcels_of: dict[str, list[list[Any]]], origins: frozenset[str]) -> None:
        self._parcels_of = parcels_of
        self._origins = origins
        self.changed: set[str] = set()

    def __call__(self, values: list[bytes]) -> list[tuple[str, dict[str, object]]]:
        """Parcels to alert after these shipments, with their alerts."""
        loads, add, parcels_of, changed, origins = orjson.loads, task.add, self._parcels_of, self.changed, self._origins
        found: list[tuple[str, int]] = []
        for value in values:
            try:
                shipment = loads(value)
                if not (sender := task.counted(shipment)):
                    continue
                parcel, waits = task.parcel_of(shipment), task.candidate(shipment, origins)
                found += add(parcels_of.setdefault(sender, []), shipment["picked_up_at"], parcel, waits)
            except (ValueError, KeyError, TypeError):
                continue  # a log line, in earnest
            changed.add(sender)
        return [(parcel, task.alert(parcel, count)) for parcel, count in found]


def _value(message: Any) -> bytes:
    if (error := message.error()) is not None:
        raise KafkaException(error)
    return message.value() or b""


def _changelog(group: str) -> str:
    return f"{group}.changelog"


if __name__ == "__main__":
    main(*sys.argv[1:])
