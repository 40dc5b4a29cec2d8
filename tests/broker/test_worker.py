"""Workers on a real broker: the alerts of `judge`, whoever dies, joins or is asked to stop in between.

Each test publishes a crowded world and compares the open alerts that a reader of `waybill.alerts` ends up with against
those of a run without a broker, in all fields but when and where records were read.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.records import Alert, Shipment, encode
from tests.repetition import LONG
from tests.runs import Alerts, open_alerts, run
from tests.schemas.samples import SHIPMENT, wire
from tests.workers import FAUST, READY, Publisher, Reader, Stream, Worker, expect, expect_orders, expect_tallies
from tests.worlds import Record, events_of, register, world

pytestmark = pytest.mark.broker

STREAM_S = 4.0


def played(seed: int, parcels: int = 240) -> tuple[list[Record], Alerts]:
    """A world and its open alerts."""
    records = world(seed, parcels)
    wanted = open_alerts(run(records))
    assert len(wanted) > 50
    return records, wanted


GARBAGE = (b"", b"\xff\xfe", b"{", b"[]", b"{}", b"[" * 5_000, wire({**SHIPMENT, "weight_g": -1}), b"x" * 70_000)


def test_a_worker_gives_the_alerts_of_judge(fresh_kafka: str, tmp_path: Path) -> None:
    """From records that wait, garbage among them; then it is asked to stop, and started again with nothing to do."""
    records, wanted = played(7)
    publish = Publisher(fresh_kafka)
    rejected = []
    for i, value in enumerate(GARBAGE):
        publish(records[60 * i : 60 * (i + 1)])
        for topic in (topics.SHIPMENTS, topics.SCANS, topics.INSPECTIONS):
            publish.raw(topic, b"k%d" % i if i % 2 else None, value)
            publish.flush()
            rejected.append(publish.last)
    publish(records[60 * len(GARBAGE) :])
    publish.raw(topics.SCANS, b"tombstone", None)
    publish.flush()
    rejected.append(publish.last)

    with Worker(fresh_kafka, tmp_path / "state") as worker:
        alerts = expect(fresh_kafka, wanted, worker)
        rejects = Reader(fresh_kafka, topic=topics.REJECTS)
        assert rejects.until(lambda: len(rejects.values) >= len(rejected))
        found = [(each.topic, each.partition, each.offset) for each in rejects.rejects()]
        assert sorted(found) == sorted(rejected)
        assert worker.stop() == 0

        worker.start().ready()
        expect_tallies(fresh_kafka, records, wanted, worker)
        time.sleep(1)
        assert alerts.poll(1.0) == 0, "what is known already is not published again"
    uncommitted = Reader(fresh_kafka, isolation="read_uncommitted")
    assert uncommitted.until(lambda: uncommitted.open() == wanted)
    assert uncommitted.alerts() == alerts.alerts()


def test_faust_starts_the_same_worker(fresh_kafka: str, tmp_path: Path) -> None:
    records, wanted = played(8, 200)
    with Worker(fresh_kafka, tmp_path / "state", command=FAUST) as worker:
        Publisher(fresh_kafka)(records)
        expect(fresh_kafka, wanted, worker)
        code = worker.stop()
        assert code == 0


def test_a_wall_clock_that_jumps_changes_no_alert(fresh_kafka: str, tmp_path: Path) -> None:
    records, wanted = played(14, 300)  # none of its alerts waits for a deadline at its end
    stream = Stream(fresh_kafka, records, 2.0)
    hurt = (sys.executable, "-m", "tests.hurt", "clock")
    with Worker(fresh_kafka, tmp_path / "state", hurt, idle_partition_s=3_600) as worker:  # else it moves deadlines
        worker.ready()
        stream.start()
        stream.join()
        reader = expect(fresh_kafka, wanted, worker)
        detected = {msgspec.json.decode(value, type=Alert).detected_at for value in reader.values}
        assert max(detected) - min(detected) > 10 * 365 * 86_400 * 1000, "the clock did jump"
        assert worker.stop() == 0


def test_one_that_cannot_stop_ends_in_time_and_says_where_it_stands(fresh_kafka: str, tmp_path: Path) -> None:
    stuck = (sys.executable, "-m", "tests.hurt", "stuck")
    with Worker(fresh_kafka, tmp_path / "state", stuck, transaction_timeout_ms=1_000) as worker:
        worker.ready()
        assert worker.stop() == 1
        assert "Timeout (0:00:05)!" in worker.told(500)
        assert "hurt.py" in worker.told(500)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("how", "state"),
    [
        ("kill", "lost"),
        ("stop", "kept"),
        pytest.param("kill", "kept", marks=pytest.mark.long),  # in the gate, tests/chaos does so
        pytest.param("stop", "lost", marks=pytest.mark.long),
    ],
)
def test_a_worker_ended_in_mid_stream(fresh_kafka: str, tmp_path: Path, how: str, state: str) -> None:
    """At any moment: killed or asked, restarted on its folder or on an empty one."""
    records, wanted = played(9)
    rng = random.Random()
    moments = [rng.uniform(0.0, 0.9) for _ in range(4 if LONG else 1)]
    print("ended after", [f"{moment:.3f} s" for moment in moments])
    stream = Stream(fresh_kafka, records, STREAM_S)
    stream.start()
    worker = Worker(fresh_kafka, tmp_path / "state")
    for moment in moments:
        worker.start().ready()
        time.sleep(moment)
        if how == "kill":
            worker.kill()
        else:
            assert worker.stop() == 0
        if state == "lost":
            shutil.rmtree(tmp_path / "state")
    with worker:
        stream.join()
        reader = expect(fresh_kafka, wanted, worker)
        expect_tallies(fresh_kafka, records, wanted, worker)
        expect_orders(fresh_kafka, records, worker)
        known = reader.alerts()
        # What was opened in an aborted transaction, and was over when its input was read again, never comes again.
        everything = Reader(fresh_kafka, isolation="read_uncommitted")
        assert everything.until(lambda: known.items() <= everything.alerts().items()), (
            "an aborted alert was the last of a parcel that has others"
        )


@pytest.mark.chaos
@pytest.mark.parametrize(("protocol", "how"), [("classic", "kill"), ("consumer", "stop")])
def test_two_workers_share_and_take_over(fresh_kafka: str, tmp_path: Path, protocol: str, how: str) -> None:
    """One joins in mid-stream and goes; the other takes over what it had beside what it holds, and goes on.

    How long a member of KIP-848 may be silent is the broker's to say, 45 s by default: it is not killed here.
    """
    records, wanted = played(10)
    stream = Stream(fresh_kafka, records, STREAM_S)
    first = Worker(fresh_kafka, tmp_path / "a", instance="a", group_protocol=protocol)
    second = Worker(fresh_kafka, tmp_path / "b", instance="b", group_protocol=protocol)
    with first:
        first.ready()
        stream.start()
        with second:
            second.ready()
            first.ready(times=2)  # it gave partitions away, and began anew with the others
            time.sleep(random.uniform(0.1, 1.0))
            held = first.says(READY)
            if how == "kill":
                second.kill()
            else:
                assert second.stop() == 0
        first.ready(times=held + 1)
        stream.join()
        expect(fresh_kafka, wanted, first)
        expect_tallies(fresh_kafka, records, wanted, first)
        expect_orders(fresh_kafka, records, first)
        assert first.stop() == 0


@pytest.mark.chaos
def test_partitions_handed_over_while_batches_wait(fresh_kafka: str, tmp_path: Path) -> None:
    """Small batches of a large backlog: at each rebalance some are on their way to the agents, and read again."""
    records, wanted = played(11, 250)
    Publisher(fresh_kafka)(records)
    first = Worker(fresh_kafka, tmp_path / "a", instance="a", batch_rows_max=20)
    second = Worker(fresh_kafka, tmp_path / "b", instance="b", batch_rows_max=20)
    with first, second:
        second.ready()
        time.sleep(random.uniform(0.0, 0.5))
        held = first.says(READY)
        second.kill()
        first.ready(times=held + 1)
        expect(fresh_kafka, wanted, first)


# In the gate, tests/broker/test_state_harmed.py has one partition.
@pytest.mark.parametrize("partitions", [pytest.param(1, marks=pytest.mark.long), 12])
def test_other_numbers_of_partitions(fresh_topics: Callable[[int], str], tmp_path: Path, partitions: int) -> None:
    servers = fresh_topics(partitions)
    records, wanted = played(12, 200)
    Publisher(servers)(records)
    with Worker(servers, tmp_path / "state", partitions=partitions) as worker:
        expect(servers, wanted, worker)


def test_reading_it_all_again_changes_nothing(fresh_kafka: str, tmp_path: Path) -> None:
    """Producers that retry publish twice; the alerts of the first time stay the newest."""
    records, wanted = played(13, 200)
    publish = Publisher(fresh_kafka)
    publish(records)
    with Worker(fresh_kafka, tmp_path / "state") as worker:
        reader = expect(fresh_kafka, wanted, worker)
        before = len(reader.values)
        events = events_of(records)
        for record in reversed(events):
            publish.raw(topics.SHIPMENTS, b"other key", b"{}")
            publish.raw({"u": topics.SHIPMENTS, "s": topics.SCANS}.get(record.event_id[0], topics.INSPECTIONS),
                        record.key.encode(), encode(record))  # fmt: skip
        publish.flush()
        rejects = Reader(fresh_kafka, topic=topics.REJECTS)
        assert rejects.until(lambda: len(rejects.values) == len(events))
        assert reader.poll(1.0) == 0
        assert len(reader.values) == before


def test_what_is_missing_is_said_by_the_worker_that_is_there_when_its_time_is_over(
    fresh_kafka: str, tmp_path: Path
) -> None:
    """The one that read it was stopped before; of what waits, the next knows from its state alone."""
    records, wanted = played(32, 200)
    assert open_alerts(run(records, close=False)) != wanted, "nothing is missing in the end"
    Publisher(fresh_kafka)(records)
    patient = Worker(fresh_kafka, tmp_path / "state", idle_partition_s=900)
    with patient:
        reader = Reader(fresh_kafka)
        assert reader.until(lambda: len(reader.open()) > 50, quiet_s=2)
        assert reader.open() != wanted
        assert patient.stop() == 0
    with Worker(fresh_kafka, tmp_path / "state") as worker:
        expect(fresh_kafka, wanted, worker)
    # And from the changelog, where its state is lost: nothing is new.
    shutil.rmtree(tmp_path / "state")
    with Worker(fresh_kafka, tmp_path / "state") as worker:
        worker.ready()
        reader = expect(fresh_kafka, wanted, worker)
        time.sleep(3)
        assert reader.poll(1.0) == 0


def test_kinds_of_events_that_never_come_are_missing_all_the_same(fresh_kafka: str, tmp_path: Path) -> None:
    """Their topics are empty, and so is most of the one that is not."""
    records = [each for each in world(15, 3) if isinstance(each, Shipment)]
    wanted = open_alerts(run(records))
    assert wanted != open_alerts(run(records, close=False))
    Publisher(fresh_kafka)(records)
    with Worker(fresh_kafka, tmp_path / "state") as worker:
        expect(fresh_kafka, wanted, worker)


# --- reference data ---------------------------------------------------------------------------------------------------


def test_reference_data_that_come_late_revise_what_is_known(fresh_kafka: str, tmp_path: Path) -> None:
    """Records before the worker, among the parcels and after them, broken ones too; and it is restarted in between.

    A worker that starts reads them all before it judges, and sweeps what was judged by fewer.
    """
    records, _ = played(12, 400)
    events, known = events_of(records), register(12, max(r.picked_up_at for r in records if isinstance(r, Shipment)))
    assert len(known) >= 6
    wanted = open_alerts(run([*known, *events]))
    assert wanted != open_alerts(run(events))
    publish = Publisher(fresh_kafka)
    third = len(known) // 3
    publish(known[:third])
    with Worker(fresh_kafka, tmp_path / "state") as worker:
        publish(events[:300])
        worker.ready()
        publish(known[third : 2 * third])
        time.sleep(1)
        assert worker.stop() == 0
        publish(known[2 * third :])
        publish.raw(topics.REFERENCE, b"courier:broken", b'{"kind":"courier","id":"broken"}')
        publish.flush()
        worker.start()
        publish(events[300:])
        expect(fresh_kafka, wanted, worker)
        rejects = Reader(fresh_kafka, topic=topics.REJECTS)
        assert rejects.until(lambda: bool(rejects.values))
        assert worker.stop() == 0
        worker.start().ready()
        time.sleep(1)
        rejects.poll(1.0)
        (reject,) = rejects.rejects()
        assert (reject.topic, reject.offset, reject.reason) == (topics.REFERENCE, len(known), "missing_field")
        # A deleted record is as if it had never been, for verdicts; the revision tells that it was.
        for record in known:
            publish.raw(topics.REFERENCE, record.key.encode(), None)
        publish.flush()
        without = answers_of(open_alerts(run(events)))
        reader = Reader(fresh_kafka)
        assert reader.until(lambda: answers_of(reader.open()) == without), worker.told()


def answers_of(alerts: Alerts) -> dict[str, tuple[int, tuple[str, ...]]]:
    """What alerts say, whatever their revisions."""
    return {key: (alert.score, tuple(reason.rule for reason in alert.reasons)) for key, alert in alerts.items()}
