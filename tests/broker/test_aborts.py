"""Transactions that fail but can be aborted: the worker reads again in the same process, and nothing is doubled."""

from __future__ import annotations

import signal
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas import topics
from schemas.records import Alert
from streams.state.memory import Changes
from streams.state.rocks import Delta
from streams.worker.commit import AbortedError, CommitError, Committer
from streams.worker.epoch import Epoch
from tests.hurt import outdated
from tests.repetition import LONG
from tests.runs import open_alerts, run
from tests.waiting import PATIENCE_S
from tests.workers import Publisher, Reader, Stream, Worker, expect
from tests.worlds import world

pytestmark = pytest.mark.broker
ALERT = msgspec.json.Decoder(Alert)


@pytest.fixture
def member(fresh_kafka: str) -> Iterator[Consumer]:
    """A member of a group that holds partitions."""
    group = f"waybill-aborts-{uuid.uuid4().hex[:8]}"
    client = Consumer({"bootstrap.servers": fresh_kafka, "group.id": group, "log_level": 0})
    client.subscribe([topics.SCANS])
    deadline = time.monotonic() + PATIENCE_S
    while not client.assignment():
        client.poll(0.1)
        assert time.monotonic() < deadline
    yield client
    client.close()


def committer(servers: str, name: str) -> Committer:
    config = {"bootstrap.servers": servers, "transaction.timeout.ms": 10_000, "log_level": 0}
    made = Committer(config, name, {})
    made.start()
    return made


def epoch(offset: int, text: bytes) -> Epoch:
    made = Epoch(offsets={(topics.SCANS, 0): offset})
    made.send(topics.REJECTS, [(0, text)])
    return made


def committed(member: Consumer) -> int:
    return int(member.committed([TopicPartition(topics.SCANS, 0)], timeout=PATIENCE_S)[0].offset)


def test_an_epoch_refused_for_its_generation_is_taken_back_and_the_next_one_goes_through(
    fresh_kafka: str, member: Consumer
) -> None:
    committing = committer(fresh_kafka, uuid.uuid4().hex)
    metadata = member.consumer_group_metadata()
    with pytest.raises(AbortedError, match="transaction of 0 records failed"):
        committing.commit(epoch(5, b"refused"), {}, outdated(metadata))
    assert committed(member) < 0
    committing.commit(epoch(7, b"good"), {}, metadata)
    assert committed(member) == 7
    reader = Reader(fresh_kafka, topic=topics.REJECTS)
    assert reader.until(lambda: reader.values == [b"good"])


def test_a_producer_whose_place_was_taken_does_not_try_again(fresh_kafka: str, member: Consumer) -> None:
    name = uuid.uuid4().hex
    old = committer(fresh_kafka, name)
    committer(fresh_kafka, name)
    with pytest.raises(CommitError) as failed:
        old.commit(epoch(5, b"of a zombie"), {}, member.consumer_group_metadata())
    assert not isinstance(failed.value, AbortedError)
    assert committed(member) < 0


def test_a_producer_whose_place_is_taken_in_mid_transaction_says_so(fresh_kafka: str, member: Consumer) -> None:
    """Each partition that is refused writes a line to the log, upon the fatal error that the first one raised."""
    config = {"bootstrap.servers": fresh_kafka, "transaction.timeout.ms": 10_000}
    name = uuid.uuid4().hex
    old = Committer(config, name, {})
    old.start()
    facts: Delta = {partition: Changes({b"%d" % key: b"value" for key in range(200)}) for partition in range(4)}

    class TakenBetween(dict[str, Delta]):
        def items(self) -> Iterator[tuple[str, Delta]]:  # type: ignore[override]
            yield topics.FACTS, facts
            time.sleep(0.5)  # they are on the broker, so that the transaction holds their partitions
            Committer(config, name, {}).start()
            yield topics.FACTS, facts

    with pytest.raises(CommitError, match="old epoch") as failed:
        old.commit(epoch(5, b"of a zombie"), TakenBetween(), member.consumer_group_metadata())
    assert not isinstance(failed.value, AbortedError)


@pytest.mark.parametrize("protocol", [pytest.param("classic", marks=pytest.mark.long), "consumer"])
def test_a_worker_whose_commits_are_refused_now_and_then_loses_and_doubles_nothing(
    fresh_kafka: str, tmp_path: Path, protocol: str
) -> None:
    records = world(21, 240)
    stream = Stream(fresh_kafka, records, 2.5)
    command = (sys.executable, "-m", "tests.hurt", "outdated")
    state = tmp_path / "state"
    with Worker(fresh_kafka, state, command=command, epoch_ms_max=50, group_protocol=protocol) as worker:
        worker.ready()  # for of a backlog it makes few epochs
        stream.start()
        stream.join()
        publish = Publisher(fresh_kafka)
        for seed in count(100):  # a worker that has too little time makes few epochs, too
            if worker.says("aborted, and read again") >= 3:
                break
            assert seed < 100 + PATIENCE_S, worker.told()
            more = world(seed, 10)
            publish(more)
            records += more
            time.sleep(1.0)
        reader = expect(fresh_kafka, open_alerts(run(records)), worker)
        seen = [(alert.alert_id, alert.revision) for alert in map(ALERT.decode, reader.values)]
        assert len(seen) == len(set(seen)), "an alert was doubled"
        assert worker.says("starting:") == 1, "it went on in the same process"
        uncommitted = Reader(fresh_kafka, isolation="read_uncommitted")
        assert uncommitted.until(lambda: len(uncommitted.values) > len(reader.values)), "nothing was aborted"
        code = worker.stop()
        assert code == 0


def test_an_abort_with_more_waiting_than_is_taken_at_once(fresh_kafka: str, tmp_path: Path) -> None:
    """The agents wait for a commit, polling for the agents; the abort is what ends both."""
    records = world(23, 30)
    Publisher(fresh_kafka)(records)
    command = (sys.executable, "-m", "tests.hurt", "outdated")
    with Worker(fresh_kafka, tmp_path / "state", command, batch_rows_max=10, epoch_ms_max=20) as worker:
        expect(fresh_kafka, open_alerts(run(records)), worker)
        assert worker.says("aborted, and read again") >= 3, worker.told()
        assert worker.says("starting:") == 1, "it went on in the same process"
        assert worker.stop() == 0


@pytest.mark.chaos
def test_a_worker_stopped_beyond_its_session_goes_on_in_the_same_process(fresh_kafka: str, tmp_path: Path) -> None:
    records = world(22, 240)
    times = 3 if LONG else 1
    stream = Stream(fresh_kafka, records, 4.0 * times)
    with Worker(fresh_kafka, tmp_path / "state", epoch_ms_max=50, transaction_timeout_ms=20_000) as worker:
        worker.ready()
        stream.start()
        for _ in range(times):
            time.sleep(0.7)
            worker.send(signal.SIGSTOP)
            time.sleep(3.0)  # the session is 2 s
            worker.send(signal.SIGCONT)
        stream.join()
        expect(fresh_kafka, open_alerts(run(records)), worker)
        assert worker.says("starting:") == 1
