"""The ceiling of anything that takes messages into Python: librdkafka's consumption, every value touched once."""

from __future__ import annotations

import sys

from confluent_kafka import Consumer

from benchmarks.contract import Context, Gives, Kind, Result
from benchmarks.peers.environments import Own
from benchmarks.watch import python, started, watch

NAME = "librdkafka alone"
DOC = "confluent-kafka consume() and nothing else: no decoding, no answer"
GIVES = Gives("none", durable=False)
ENVIRONMENT = Own()
TRAFFIC: Kind = "shipments"


def run(context: Context) -> Result:
    """Once over all shipments."""
    loaded = context.loaded
    measured = watch(context, python(__name__, loaded.servers, context.run, loaded.topics[0]))
    return Result(loaded.events, measured, None)


def main(servers: str, group: str, topic: str) -> None:
    """Consume and commit, for ever."""
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
    consumer.subscribe([topic], on_assign=lambda *_: started())
    size, dirty = 0, False
    while True:
        messages = consumer.consume(10_000, 0.02)
        if messages:
            size += sum(len(message.value() or b"") for message in messages)
            dirty = True
        elif dirty:
            consumer.commit(asynchronous=False)
            dirty = False


if __name__ == "__main__":
    main(*sys.argv[1:])
