"""Make the deployment of the present format, by a worker on a private broker, and note its layouts."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from schemas.records import encode
from streams.files.driver import TOPIC_OF
from streams.flow.partitions import partition_of
from streams.kafka import admin
from streams.ops.broker.private import PrivateKafka
from streams.state.format import FORMAT
from tests.runs import open_alerts, run
from tests.states import COMPACTED, FOLDER, PARTITIONS, Events, Message, events, keep, layouts, write
from tests.workers import Publisher, Worker, expect, expect_orders, expect_tallies
from tests.worlds import Record, world

SEED, PARCELS = 5, 120


def main() -> None:
    """Write the files of the present format; the events are those that are kept."""
    records = world(SEED, PARCELS)
    before = records[: len(records) // 2]
    made = Events(_messages(before), _messages(records[len(before) :]))
    if not (FOLDER / "events.gz").exists():
        write(FOLDER / "events.gz", made)
    assert made == events(), "worlds have changed: the events that are kept are of another one"
    layouts.note()
    with PrivateKafka() as kafka, tempfile.TemporaryDirectory() as folder:
        print(keep(FORMAT, _deployment(kafka.bootstrap_servers, Path(folder), before)))


def _messages(records: Sequence[Record]) -> tuple[Message, ...]:
    out = []
    for record in records:
        topic, key = TOPIC_OF[type(record)], record.key.encode()
        number = 0 if topic == "waybill.reference" else int(partition_of([key], PARTITIONS)[0])
        out.append(Message(topic, number, key, encode(record)))
    return tuple(out)


def _deployment(servers: str, folder: Path, before: Sequence[Record]) -> list[Message]:
    admin.create(servers, PARTITIONS)
    Publisher(servers)(before)
    wanted = open_alerts(run(before))
    with Worker(servers, folder / "state") as worker:
        expect(servers, wanted, worker).close()
        expect_tallies(servers, before, wanted, worker)
        expect_orders(servers, before, worker)
        assert worker.stop() == 0
    return [message for topic in COMPACTED for message in _newest(servers, topic)]


def _newest(servers: str, topic: str) -> list[Message]:
    """The last value of each key of a topic."""
    found: dict[tuple[int, bytes], bytes | None] = {}
    reader = Consumer({"bootstrap.servers": servers, "group.id": "states", "enable.partition.eof": True})
    reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    ended = 0
    while ended < PARTITIONS:
        for message in reader.consume(10_000, 1.0):
            if (error := message.error()) is None:
                found[int(message.partition() or 0), bytes(message.key() or b"")] = message.value()
            else:
                assert error.code() == KafkaError._PARTITION_EOF
                ended += 1
    reader.close()
    return [Message(topic, number, key, value) for (number, key), value in found.items() if value is not None]


if __name__ == "__main__":
    main()
