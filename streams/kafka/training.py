"""The work of a training run: what clients of ours do first, so that the JVM has it loaded before it is asked."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.kafka.errors import FAILURES, ClientError, said

_TOPIC = "training"
_RECORDS = 2_000
_TRANSACTIONS = 10


def work(servers: str) -> None:
    """Create a topic, write it in transactions with offsets, read it in a group, delete it. Raises ClientError."""
    common: dict[str, str | int | float | bool] = {"bootstrap.servers": servers, "log_level": 0}
    admin = AdminClient(common)
    try:
        for created in admin.create_topics([NewTopic(_TOPIC, 4, 1)]).values():
            created.result(30)
        producer = Producer({**common, "transactional.id": _TOPIC, "compression.type": "lz4"})
        consumer = Consumer({**common, "group.id": _TOPIC, "auto.offset.reset": "earliest"})
        try:
            _copy(producer, consumer)
        finally:
            consumer.close()
            producer.purge()
        for deleted in admin.delete_topics([_TOPIC]).values():
            deleted.result(30)
    except FAILURES as error:
        raise ClientError(said(error)) from error


def _copy(producer: Producer, consumer: Consumer) -> None:
    producer.init_transactions(30)
    consumer.subscribe([_TOPIC])
    for _ in range(_TRANSACTIONS):
        producer.begin_transaction()
        for number in range(_RECORDS):
            producer.produce(_TOPIC, key=str(number), value=b"x" * 300)
        if consumer.assignment():  # a member of the group by now: its offsets are accepted
            positions = consumer.position(consumer.assignment())
            reached = [at for at in positions if at.offset >= 0]
            producer.send_offsets_to_transaction(reached, consumer.consumer_group_metadata(), 30)
        producer.commit_transaction(30)
        consumer.consume(_RECORDS, 0.5)
