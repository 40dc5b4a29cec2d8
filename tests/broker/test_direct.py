"""Changes that go to librdkafka by the native library: the same records, and the same end, as by confluent-kafka."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas import topics
from streams import native
from streams.flow.front.tables import fingerprint
from streams.kafka import direct
from streams.kafka.producer import TransactionError, Transactions
from streams.state.memory import Changes
from tests.waiting import PATIENCE_S, until

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(bool(native.missing(fingerprint())), reason="the native front end is not built"),
]
Records = dict[bytes, bytes | None]
CHANGES: Records = {f"parcel-{i}".encode(): None if i % 7 == 3 else bytes([i % 256]) * (i % 400) for i in range(3_000)}


def changed(records: Records, switch: native.Switch) -> Changes:
    """As a store's epoch has it."""
    made: Changes = Changes() if switch == "0" else _library().Changes()
    for key, value in records.items():
        if value is None:
            made.delete([key])
        else:
            made.put([key], [value])
    return made


def _library() -> Any:
    return native.library("1", fingerprint())


def written(servers: str, switch: native.Switch, changes: Records) -> tuple[list[tuple[bytes, bytes | None]], int]:
    """Records of one transaction as they stand on the topic, and the end that is noted."""
    kafka = Transactions({"bootstrap.servers": servers, "log_level": 0}, uuid.uuid4().hex, native=switch)
    assert (kafka._direct is not None) == (switch == "1")
    kafka.start()
    kafka.begin()
    ends: dict[tuple[str, int], int] = {}
    kafka.produce_changes(topics.PARCELS_CHANGELOG, 2, changed(changes, switch), ends)
    kafka.deliver()
    kafka.commit()
    reader = Consumer({"bootstrap.servers": servers, "group.id": "direct", "log_level": 0})
    reader.assign([TopicPartition(topics.PARCELS_CHANGELOG, 2, 0)])
    found: list[tuple[bytes, bytes | None]] = []

    def all_read() -> bool:
        found.extend((message.key() or b"", message.value()) for message in reader.consume(10_000, 0.2))
        return len(found) >= len(changes)

    until(all_read)
    reader.close()
    return found, ends[topics.PARCELS_CHANGELOG, 2]


@pytest.mark.parametrize("count", [1, 2, len(CHANGES)])
def test_the_same_records_in_their_order(fresh_kafka: str, count: int) -> None:
    changes = dict(list(CHANGES.items())[:count])
    assert written(fresh_kafka, "1", changes) == (list(changes.items()), count)


def test_without_the_library_too(fresh_kafka: str) -> None:
    assert written(fresh_kafka, "0", CHANGES) == (list(CHANGES.items()), len(CHANGES))


def test_what_is_not_taken_is_said(fresh_kafka: str) -> None:
    config = {"bootstrap.servers": fresh_kafka, "log_level": 0, "queue.buffering.max.kbytes": 100}
    kafka = Transactions(config, uuid.uuid4().hex, native="1")
    kafka.start()
    kafka.begin()
    large = changed({str(i).encode(): bytes(50_000) for i in range(100)}, "1")
    with pytest.raises(TransactionError, match=r"parcels-changelog: \d+ of 99 records not queued$") as refused:
        kafka.produce_changes(topics.PARCELS_CHANGELOG, 0, large, {})
    assert refused.value.fatal


def test_a_client_that_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Producer({"bootstrap.servers": "localhost:1", "log_level": 0})
    assert direct.producer(client, {}, "1") is not None
    assert direct.producer(client, {}, "0") is None
    assert direct.producer(client, {"client.id": "another"}, "1") is None, "that is not its name"
    assert direct.producer(object(), {}, "1") is None
    monkeypatch.setattr(direct, "KNOWN", "1.")
    assert direct.producer(client, {}, "1") is None, "nobody has looked at its objects"
    assert client.flush(PATIENCE_S) == 0
