"""Input that was deleted before it was read, or a topic made anew: no worker passes over it in silence."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas import topics
from tests.runs import open_alerts, run
from tests.waiting import PATIENCE_S, until
from tests.workers import Publisher, Worker, expect
from tests.worlds import events_of, world

pytestmark = pytest.mark.broker
SESSION_MS = 1_000


def admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers, "log_level": 0})


def truncate(servers: str, topic: str, partition: int, below: int) -> None:
    """Delete the records of a partition below an offset."""
    client, at = admin(servers), TopicPartition(topic, partition, below)
    next(iter(client.delete_records([at]).values())).result(PATIENCE_S)


def committed(servers: str, group: str) -> dict[tuple[str, int], int]:
    """What a group has committed."""
    return {(at.topic, at.partition): at.offset for at in stored(servers, group)}


def stored(servers: str, group: str, topic: str = "") -> list[TopicPartition]:
    """The same as the broker keeps it; of one topic where that is named."""
    client = admin(servers)
    asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE_S)
    return [at for at in asked.topic_partitions if topic in ("", at.topic)]


def put_back(servers: str, group: str, *offsets: TopicPartition) -> None:
    """Commit offsets for a group, once no member's slot in it is kept any more."""
    client = Consumer({"bootstrap.servers": servers, "group.id": group, "log_level": 0})

    def done() -> bool:
        try:
            client.commit(offsets=[*offsets], asynchronous=False)
        except KafkaException:  # it has a member still
            return False
        return True

    until(done)
    client.close()


def ends(worker: Worker) -> str:
    """Wait for a worker to end by itself with 1; the last line that it said."""
    until(lambda: not worker.alive, worker.told)
    assert worker.code == 1, worker.told()
    return worker.last_words()


def test_a_log_that_begins_after_or_ends_before_the_committed_offset_stops_the_worker(
    fresh_kafka: str, tmp_path: Path
) -> None:
    records = world(3, 60)
    wanted = open_alerts(run(records))
    publish = Publisher(fresh_kafka)
    worker = Worker(fresh_kafka, tmp_path / "state", group="waybill-gone", session_timeout_ms=SESSION_MS)
    with worker:
        publish(records)
        expect(fresh_kafka, wanted, worker)
        assert worker.stop() == 0
    at = committed(fresh_kafka, "waybill-gone")[topics.SCANS, 1]
    assert at > 3
    publish(events_of(records))
    truncate(fresh_kafka, topics.SCANS, 1, at + 2)
    with worker:
        line = ends(worker)
    what = f"{topics.SCANS}[1]: offset {at} is next to read, but the log holds {at + 2} to {2 * at}: "
    assert what + f"records {at} to {at + 1} were deleted before they were read" in line
    assert f"group waybill-gone, then run `waybill offsets reset --topic {topics.SCANS}:1 --to earliest`" in line

    put_back(fresh_kafka, "waybill-gone", TopicPartition(topics.SCANS, 1, 10**6))
    with worker:
        line = ends(worker)
    assert f"offset 1000000 is next to read, but the log holds {at + 2} to {2 * at}: the topic was cut off" in line

    put_back(fresh_kafka, "waybill-gone", TopicPartition(topics.SCANS, 1, at + 2))  # what the line says to do
    with worker:
        worker.ready()
        expect(fresh_kafka, wanted, worker)
        assert worker.stop() == 0


def test_a_group_that_has_committed_nothing_begins_with_what_is_left(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(4, 60)
    publish = Publisher(fresh_kafka)
    for _ in range(7):
        for partition_key in (b"a", b"b", b"c", b"d", b"e", b"f"):
            publish.raw(topics.SCANS, partition_key, b"junk that is deleted")
    publish.flush()
    truncate(fresh_kafka, topics.SCANS, publish.last[1], publish.last[2])
    publish(records)
    with Worker(fresh_kafka, tmp_path / "state") as worker:
        expect(fresh_kafka, open_alerts(run(records)), worker)
        assert worker.stop() == 0


def test_what_retention_leaves_of_an_idle_topic_is_no_loss(fresh_kafka: str, tmp_path: Path) -> None:
    """Marks of transactions lie behind the last record; a group that stood before them would seem to have missed it."""
    records = world(7, 60)
    with Worker(fresh_kafka, tmp_path / "state", group="waybill-gone") as worker:
        Publisher(fresh_kafka)(records[: len(records) // 2])
        expect(fresh_kafka, open_alerts(run(records[: len(records) // 2])), worker)
        client = Consumer({"bootstrap.servers": fresh_kafka, "group.id": "waybill-asks", "log_level": 0})
        places = [(topic, n) for topic in (topics.FACTS, topics.OBSERVATIONS, topics.SCANS) for n in range(4)]
        ends = {place: client.get_watermark_offsets(TopicPartition(*place), timeout=PATIENCE_S)[1] for place in places}
        client.close()
        assert sum(ends.values()) > 0
        deadline = time.monotonic() + PATIENCE_S
        wanted = {place: end for place, end in ends.items() if end}
        while not wanted.items() <= (at := committed(fresh_kafka, "waybill-gone")).items():
            assert time.monotonic() < deadline, (at, ends)
            time.sleep(0.2)
        worker.kill()
        for place, end in ends.items():
            truncate(fresh_kafka, *place, end)
        worker.start()
        Publisher(fresh_kafka)(records[len(records) // 2 :])
        expect(fresh_kafka, open_alerts(run(records)), worker)
        assert worker.stop() == 0


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_made_anew_is_read_from_its_beginning(fresh_kafka: str, tmp_path: Path, running: bool) -> None:
    """Longer than the old one, so that the old offsets are found in it, where the broker has kept them: it forgets them
    with the topic, but one may be committed just then.

    A worker that runs meanwhile stops, for to it the offset that is next to read has gone.
    """
    before, after = world(5, 20), world(6, 80)
    with Worker(fresh_kafka, tmp_path / "state", group="waybill-anew", session_timeout_ms=SESSION_MS) as worker:
        worker.ready()
        Publisher(fresh_kafka)(before)
        expect(fresh_kafka, open_alerts(run(before)), worker)
        if not running:
            assert worker.stop() == 0
        client, offsets = admin(fresh_kafka), stored(fresh_kafka, "waybill-anew", topics.SHIPMENTS)
        client.delete_topics([topics.SHIPMENTS], operation_timeout=10)[topics.SHIPMENTS].result(PATIENCE_S)
        time.sleep(1.0)
        client.create_topics([NewTopic(topics.SHIPMENTS, 4, 1)])[topics.SHIPMENTS].result(PATIENCE_S)
        if running:
            assert "made anew" in ends(worker)
    Publisher(fresh_kafka)(after)
    put_back(fresh_kafka, "waybill-anew", *offsets)
    with worker:
        expect(fresh_kafka, open_alerts(run([*before, *after])), worker)


def test_a_note_of_another_tool_beside_an_offset_is_no_topic_id(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(5, 20)
    with Worker(fresh_kafka, tmp_path / "state", group="waybill-noted", session_timeout_ms=SESSION_MS) as worker:
        worker.ready()
        Publisher(fresh_kafka)(records)
        expect(fresh_kafka, open_alerts(run(records)), worker)
        assert worker.stop() == 0
        noted = [TopicPartition(at.topic, at.partition, at.offset, metadata="set by hand") for at
                 in stored(fresh_kafka, "waybill-noted")]  # fmt: skip
        put_back(fresh_kafka, "waybill-noted", *noted)
        worker.start()
        worker.ready()
        assert "made anew" not in worker.told()


def test_a_topic_that_is_read_whole_and_made_anew_stops_the_worker(fresh_kafka: str, tmp_path: Path) -> None:
    """Reference data and rules: to a reader that is behind the new ones, they would be missing in part."""
    client = admin(fresh_kafka)
    with Worker(fresh_kafka, tmp_path / "state", session_timeout_ms=SESSION_MS) as worker:
        for topic in (topics.REFERENCE, topics.RULES):
            worker.ready()
            client.delete_topics([topic], operation_timeout=10)[topic].result(PATIENCE_S)
            client.create_topics([NewTopic(topic, 1, 1)])[topic].result(PATIENCE_S)
            assert f"{topic}: deleted and made anew" in ends(worker)
            worker.ended()
            worker.start()
