"""What is forgotten: state stays bounded while event time runs on, and no verdict within the windows is another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import Inspection, Scan, Shipment
from streams.files.driver import Offline
from streams.flow.time import watermarks
from streams.flow.time.expiry import Retention
from streams.flow.time.expiry_index import ExpiryIndex
from streams.flow.time.watermarks import Watermarks
from streams.settings import Settings
from streams.state.format import FORMAT
from streams.state.rocks import RocksStore
from streams.state.store import END, FIRST, MemoryStore
from streams.state.tuning import Shared
from streams.worker import expire
from streams.worker.expire import Delayed, Elsewhere, waiting
from tests.repetition import examples
from tests.runs import catalogue, comparable, difference
from tests.schemas.samples import SCAN, SHIPMENT
from tests.workbench import Workbench, workbench
from tests.worlds import DAY, HOME, HOUR, START, Event, events_of, world

KEPT = Retention.of(Settings())


@pytest.fixture(autouse=True)
def small_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks that believe three events."""
    monkeypatch.setattr(watermarks, "EVENTS", 5)
    monkeypatch.setattr(watermarks, "EVENTS_MIN", 3)
    monkeypatch.setattr(expire, "LOOK_EVERY_S", 0.01)


def at(event: Event) -> int:
    match event:
        case Shipment():
            return event.picked_up_at
        case Scan():
            return event.scanned_at
        case Inspection():
            return event.started_at


def run(kept: Retention | None = KEPT, partitions: int = 1) -> Offline:
    return Offline(
        Settings(home_adcodes=HOME), catalogue(), partitions=partitions, now_ms=START + 10_000 * DAY, retention=kept
    )


def feed(run: Offline, *batches: Sequence[Event]) -> Offline:
    """Events batch by batch; all that is due is forgotten after each."""
    for events in batches:
        run.feed(run.batches(events))
        run.expire()
    return run


def judged(events: Sequence[Event], kept: Retention | None, size: int, partitions: int = 1) -> Offline:
    """These events in this order, to their end."""
    done = feed(run(kept, partitions), *(events[first : first + size] for first in range(0, len(events), size)))
    done.close()
    return done


def keys(run: Offline) -> tuple[int, int]:
    """How many the two states have."""
    parcels, histories = (sum(map(len, store._values.values())) for store in run.stores)
    return parcels, histories


def shipment(number: int, at: int, **fields: Any) -> Shipment:
    made = {"event_id": f"S{number}", "waybill_no": f"W{number}", "picked_up_at": at, "recorded_at": at}
    return msgspec.convert({**SHIPMENT, **made, **fields}, Shipment)


def scan(number: int, at: int, scan_type: str = "departed") -> Scan:
    made = {"event_id": f"{scan_type}{number}-{at}", "waybill_no": f"W{number}", "scanned_at": at}
    return msgspec.convert({**SCAN, **made, "scan_type": scan_type}, Scan)


@examples(2)
@given(st.integers(0, 10**6), st.sampled_from([5, 40]), st.sampled_from([1, 4]))
def test_verdicts_are_those_of_one_who_forgets_nothing(seed: int, size: int, partitions: int) -> None:
    """Events some hours late, of parcels without a gap of days, over months."""
    rng = Random(seed)
    events = sorted(events_of(world(seed, 50)), key=lambda event: at(event) + rng.choice((0, 0, HOUR, 20 * HOUR)))
    wanted, found = (judged(events, kept, size, partitions) for kept in (None, KEPT))
    assert not difference(comparable(found.alerts.values()), comparable(wanted.alerts.values()))
    assert keys(found)[1] <= keys(wanted)[1] * 2


def traffic(days: int, parcels_a_day: int = 6) -> list[Event]:
    """People who post now and then; every parcel arrives within two days."""
    events: list[Event] = []
    for number in range(days * parcels_a_day):
        begin = START + number * DAY // parcels_a_day
        person = Random(number).randrange(40)
        events += [
            shipment(number, begin, sender_id_no=f"E1000{person:04d}", sender_id_type="passport", sender_phone=None),
            scan(number, begin + 2 * HOUR, "picked_up"),
            scan(number, begin + 30 * HOUR, "delivered"),
        ]
    return sorted(events, key=at)


def test_keys_stay_within_bounds_while_event_time_runs_on() -> None:
    sizes = {days: keys(judged(traffic(days), KEPT, 90)) for days in (150, 250)}
    unbounded = keys(judged(traffic(250), None, 600))
    parcels, histories = sizes[150]
    assert parcels < 5 * 6 * 3 < unbounded[0] / 10  # a parcel may have a record of the register to itself
    assert histories < unbounded[1] / 2
    assert sizes[250][0] == pytest.approx(parcels, rel=0.2)
    assert sizes[250][1] == pytest.approx(histories, rel=0.2)


def others(day: int) -> list[Event]:
    """Parcels of that day, enough for a clock to believe them."""
    return [scan(10_000 * (day + 1) + i, START + day * DAY + i, "arrived") for i in range(9)]


def known(run: Offline, *parcels: str) -> list[bool]:
    """Whether partition 0 has them."""
    return [value is not None for value in run.stores[0].get([0] * len(parcels), [each.encode() for each in parcels])]


@pytest.mark.parametrize(
    ("last", "alert", "days"),
    [
        (None, False, 4),
        ("delivered", False, 4),
        ("returned", False, 4),
        ("at_locker", False, 14),
        ("delivered", True, 90),
    ],
)
def test_a_parcel_is_kept_as_long_as_it_may_count(last: str | None, alert: bool, days: int) -> None:
    first: list[Event] = [shipment(0, START, goods_name="海洛因" if alert else "书", pickup_adcode="310115")]
    first += [scan(0, START, last)] if last else []
    done = feed(run(), first, others(days - 1))
    assert (bool(done.alerts), known(done, "SF:W0")) == (alert, [True])
    assert known(feed(done, others(days + 1)), "SF:W0") == [False]


def test_what_comes_late_is_kept_from_when_it_came() -> None:
    """As when history is replayed into a worker that runs: its events find each other."""
    old = START - 300 * DAY
    done = feed(run(), others(0), [shipment(1, old, goods_name="书")], others(3), [scan(1, old + HOUR, "delivered")])
    assert known(done, "SF:W1") == [True]
    assert known(feed(done, others(5)), "SF:W1") == [False]


def test_nothing_is_missing_from_a_parcel_that_may_have_been_forgotten() -> None:
    """A scan that comes when its parcel is gone accuses nobody."""
    done = run()
    done.keep_answers = True
    goods = {"goods_name": "书"}
    feed(done, [shipment(0, START, **goods), scan(0, START + 9 * HOUR, "delivered")], others(5), others(11))
    assert known(done, "SF:W0") == [False]
    feed(done, [scan(0, START + 2 * HOUR, "departed"), scan(1, START + 11 * DAY, "departed")])
    done.close(START + 13 * DAY)
    absences = ("journey.unregistered", "journey.departed_uninspected")
    assert [done.answers["SF:W0"][rule] for rule in absences] == [None, None]
    assert [done.answers["SF:W1"][rule] for rule in absences] == [True, True]


def test_a_parcel_with_a_deadline_is_not_forgotten_before_it() -> None:
    """Its partition may bring nothing while time goes on in others."""
    done = run(partitions=4)
    ((lonely,),) = [done.batches([scan(0, START, "arrived")])]
    done.feed([lonely])

    def there() -> bool:
        return done.stores[0].get([lonely.partition], [b"SF:W0"]) != [None]

    for day in (30, 40):
        for batch in done.batches(others(day) * 3):
            if batch.partition != lonely.partition:
                done.feed([batch])
        done.expire()
    assert there()
    done.close()
    feed(done, others(50), others(51))
    assert not there()


# --- clocks -----------------------------------------------------------------------------------------------------------


def test_one_false_date_moves_no_clock() -> None:
    made = Watermarks()
    made.hear("t", [0] * 5, np.array([START, START + 1, START + 900 * DAY, START + 2, START + 3]))
    assert made.newest == START + 2
    made.hear("t", [0] * 5, np.full(5, START - DAY))
    assert made.newest == START + 2, "it never falls"


def test_the_slowest_source_that_has_more_holds_the_others() -> None:
    made = Watermarks()
    for topic, days in (("a", 9), ("b", 5)):
        made.hear(topic, [0] * 3, np.full(3, START + days * DAY))
    assert made.low([("a", 0), ("b", 0)]) == START + 5 * DAY
    assert made.low([("a", 0)]) == made.low([]) == START + 9 * DAY
    assert made.low([("a", 0), ("c", 0)]) == 0, "nothing is known of one that has brought nothing yet"


def test_sources_without_more_are_not_waited_for() -> None:
    lags = {(topics.SHIPMENTS, 0): 0, (topics.SCANS, 0): 3, (topics.SHIPMENTS, 1): 1}
    assert waiting(lags, [0]) == [(topics.SCANS, 0), (topics.INSPECTIONS, 0)]


def test_partitions_of_others_are_waited_for_while_they_bring_something(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    elsewhere, place = Elsewhere(10), (topics.OBSERVATIONS, 3)
    assert elsewhere.waiting({place: 0}) == [place], "nobody knows yet"
    now = 109.0
    assert elsewhere.waiting({place: 5}) == [place]
    now = 118.0
    assert elsewhere.waiting({place: 5}) == [place]
    now = 120.0
    assert elsewhere.waiting({place: 5}) == []


# --- the register -----------------------------------------------------------------------------------------------------


def test_what_is_due_is_taken_once_and_in_order() -> None:
    store = MemoryStore()
    dues = ExpiryIndex(store)
    noted = {b"%d:%018d" % (partition, i): i * HOUR for partition in (0, 1) for i in range(50)}
    dues.note([int(key[:1]) for key in noted], list(noted), np.array(list(noted.values())))
    store.put([0], [b"SF:1"], [b"a parcel"])
    assert dues.take(0, HOUR - 1, 100) == []
    found: list[bytes] = []
    while keys := dues.take(0, 20 * HOUR, 3):
        assert len(keys) <= 5
        found += keys
    assert found == [b"0:%018d" % i for i in range(20)]
    assert dues.take(0, 20 * HOUR, 3) == []
    again = ExpiryIndex(store)
    assert len(again.take(0, 1_000 * HOUR, 1_000)) == 30
    assert len(again.take(1, 1_000 * HOUR, 1_000)) == 50
    assert store.scan(0, FIRST, 10) == [(b"SF:1", b"a parcel")]
    assert store.scan(0, END, 10, before=END * 9) == []


# --- in a worker ------------------------------------------------------------------------------------------------------


def contents(store: RocksStore, partition: int) -> dict[bytes, bytes]:
    found = dict(store.scan(partition, FIRST, 10**6))
    return found | dict(store.scan(partition, END, 10**6, before=END * 9))


def test_a_restored_state_has_forgotten_the_same(tmp_path: Path) -> None:
    """Deletions are in the epoch that is committed, and on the changelog."""
    split = Offline(Settings(), catalogue(), partitions=4)
    events = traffic(130)

    async def scenario(bench: Workbench) -> None:
        looks = 0

        async def lag(committed: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
            nonlocal looks
            looks += 1
            return {(topic, number): 0 for topic in INPUT_TOPICS for number in range(4)}

        bench.worker.parcels.co_located = frozenset(range(4))
        task = asyncio.create_task(expire.expire(bench.worker, lag))
        for first in range(0, len(events), 300):
            await bench.parcels(split.batches(events[first : first + 300]))
            seen = looks
            while looks < seen + 2:
                await asyncio.sleep(0.01)
                assert not task.done()
            await bench.commit()
        task.cancel()

    with workbench(tmp_path / "a") as bench:
        asyncio.run(scenario(bench))
        for topic, store in bench.worker.stores.items():
            restored = RocksStore("again", tmp_path / topic, Shared.of(8, 64), hot_bytes_max=1 << 20)
            for number in range(4):
                restored.open(number)
                records = bench.effects.changelogs[topic, number]
                assert None in [value for _, value in records]
                restored.restore(number, dict(records), 1)
                kept = contents(store, number)
                assert contents(restored, number) == kept
                assert all(value[0] == FORMAT for value in kept.values())
                written = {key for key, _ in records if key > FIRST}
                assert 0 < len(kept) < len(written)
            restored.close_all()


def test_what_was_known_a_while_ago_is_told_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    delayed = Delayed(10)
    clock = iter((100.0, 105.0, 110.0, 114.0, 115.0, 200.0, 201.0, 202.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert [delayed.then(figure) for figure in (5, 6, 7, 8, 9, 10)] == [0, 0, 5, 5, 6, 9]
    delayed.clear()
    assert delayed.then(11) == 0
    assert Delayed(0).then(12) == 12
