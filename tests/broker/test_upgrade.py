"""A deployment that an earlier format left on a broker: a worker of today goes on with it, killed in the middle."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from msgspec.structs import replace

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from streams.flow.partitions import partition_of
from streams.ops.doctor import formats
from streams.settings import Settings
from streams.state.format import FORMAT, OLDEST, UPGRADED
from tests.broker import test_grow
from tests.broker.test_operators import waybill
from tests.runs import Alerts, comparable
from tests.states import PARTITIONS, Message, events, state_of
from tests.states.taken_over import CHANGELOGS, go_on, taken_over
from tests.waiting import PATIENCE_S
from tests.workers import Reader, Worker, expect

pytestmark = pytest.mark.broker
GROUP = "waybill-upgrade"


def deploy(servers: str, number: int) -> None:
    """What a deployment of this format left: its topics, and how far its group has read."""
    publish(servers, [*events().before, *state_of(number)])
    group = Consumer({"bootstrap.servers": servers, "group.id": GROUP, "log_level": 0})
    places = [TopicPartition(topic, partition) for topic in INPUT_TOPICS for partition in range(PARTITIONS)]
    for place in places:
        _, place.offset = group.get_watermark_offsets(place, PATIENCE_S)
    group.commit(offsets=places, asynchronous=False)
    group.close()


def publish(servers: str, messages: Iterable[Message]) -> None:
    """Put these on their topics."""
    producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True, "log_level": 0})
    for each in messages:
        producer.produce(each.topic, key=each.key, value=each.value, partition=each.partition)
    assert producer.flush(PATIENCE_S) == 0


def wanted(number: int) -> Alerts:
    """The open alerts of who was never killed."""
    alerts = go_on(taken_over(number), order=0).alerts.values()
    return {key: alert for key, alert in comparable(alerts).items() if alert.status == "open"}


def upgraded(reader: Reader) -> bool:
    """Whether the changelog that a reader has read holds values of today alone, and says so for each partition."""
    newest = dict(reader.pairs)
    noted = sum(key == UPGRADED for key, _ in reader.pairs)
    return noted >= PARTITIONS and {value[0] for value in newest.values() if value is not None} == {FORMAT}


@pytest.mark.parametrize("number", range(OLDEST, FORMAT))
def test_killed_while_it_upgrades_it_ends_as_if_it_had_not_been(fresh_kafka: str, tmp_path: Path, number: int) -> None:
    deploy(fresh_kafka, number)
    for said, would in doctor(fresh_kafka):
        assert f"formats {number}; {PARTITIONS} partitions have values of an earlier one" in said
        assert f"write them anew as {FORMAT}" in would
    after = events().after
    third = len(after) // 3
    readers = [Reader(fresh_kafka, topic=topic) for topic in CHANGELOGS]
    with Worker(fresh_kafka, tmp_path / "state", group=GROUP) as worker:
        worker.ready()
        publish(fresh_kafka, after[:third])
        worker.kill()  # before it has looked for earlier values
        worker.start()
        publish(fresh_kafka, after[third : 2 * third])
        assert readers[0].until(lambda: any(key == UPGRADED for key, _ in readers[0].pairs), quiet_s=0.0)
        worker.kill()
        worker.start()
        publish(fresh_kafka, after[2 * third :])
        expect(fresh_kafka, wanted(number), worker).close()
        for reader in readers:
            assert reader.until(partial(upgraded, reader)), worker.told()
            reader.close()
        assert worker.stop() == 0
    assert all(f"formats {number}, {FORMAT}" in said for said, _ in doctor(fresh_kafka)), "until it is compacted"
    ((said, _),) = doctor_of_folders(tmp_path / "state")
    assert said.endswith(f": {FORMAT} in the folders of {2 * PARTITIONS} partitions")


def doctor(servers: str) -> list[tuple[str, str]]:
    """What the doctor says of the changelogs, and what would happen."""
    found = [*formats.on_changelogs({"bootstrap.servers": servers}, dict.fromkeys(CHANGELOGS, PARTITIONS))]
    assert len(found) == len(CHANGELOGS)
    return [(each.says, each.advice) for each in found]


def doctor_of_folders(folder: Path) -> list[tuple[str, str]]:
    """The same of the folders of a worker that has ended."""
    return [(each.says, each.advice) for each in formats.in_folders(Settings(state_dir=folder, group=GROUP))]


@pytest.mark.long
@pytest.mark.parametrize("number", range(OLDEST, FORMAT))
def test_it_may_be_brought_to_more_partitions_before_it_is_upgraded(
    fresh_kafka: str, tmp_path: Path, number: int
) -> None:
    deploy(fresh_kafka, number)
    done = waybill(
        fresh_kafka, "topics", "grow", "--partitions", "6", "--producers-s", "0", "--set", f"group={GROUP}",
        "--set", f"state_dir={tmp_path / 'grow'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    publish(fresh_kafka, [replace(each, partition=_home(each)) for each in events().after])
    with Worker(fresh_kafka, tmp_path / "state", group=GROUP, partitions=6) as worker:
        test_grow.expect(fresh_kafka, wanted(number), worker)  # by revision: a parcel may have two partitions


def _home(each: Message) -> int:
    return 0 if each.topic == topics.REFERENCE else int(partition_of([each.key], 6)[0])
