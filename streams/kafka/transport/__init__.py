"""A Faust transport on librdkafka: one Faust event per (topic, partition, fetch), whose value is a `Batch`.

`broker="waybill://host:port"` selects it, through the entry-point group `faust.transports`. librdkafka is the only
Kafka client: it keeps the membership, fetches, and hands out the group's metadata for the transaction that commits the
offsets (`streams.worker.commit`). Faust's own producer, tables and commits stay idle. What is replaced, and why:

- `subscribe`, `getmany`: polling starts with the subscription and never depends on Faust's fetcher, which starts only
  after an assignment that nothing but polling can bring.
- `_to_message`: a record here is a whole batch, its offset that of the last.
- `_add_gap`, `_new_offset`, `_commit`, `force_commit`, `wait_empty`: Faust's book-keeping of acks commits past messages
  in flight (faust-streaming/faust#606) and expands gaps offset by offset. Offsets travel in the transaction instead.
- `_read_offset`: Faust drops what lies before it, which after a rebalance is what has to be read again.
- `perform_seek`, `seek_to_committed`, `_seek`, `position`, `highwater(s)`, `earliest_offsets`: only librdkafka knows.
- `verify_all_partitions_active`, `verify_event_path`: Faust's detectors read fetch times of another client.
- `create_topic`, `key_partition`: topics are made by `waybill topics create`; keys are hashed by librdkafka.
"""

from __future__ import annotations

from typing import ClassVar

from faust.transport import base
from faust.types.transports import ConsumerT

from streams.kafka.transport.consumer import Consumer


class Transport(base.Transport):
    """`waybill://host:port`."""

    Consumer: ClassVar[type[ConsumerT]] = Consumer
    driver_version = "waybill-sentinel"
    default_port = 9092


__all__ = ["Consumer", "Transport"]
