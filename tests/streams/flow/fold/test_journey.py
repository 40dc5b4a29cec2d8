"""Journeys: what is missing is said when its time is over, not before, and taken back when it turns up."""

from __future__ import annotations

import random
from itertools import pairwise, permutations
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import load_catalogue
from schemas.records import Inspection, Scan, Shipment
from streams.flow import pipeline
from streams.flow.fold.journey import END, NEVER
from streams.flow.time.timers import AHEAD_MS_MAX, ReadProgress, TimerService
from streams.settings import Settings
from streams.state.store import MemoryStore, whole
from tests import reference
from tests.repetition import examples, seeds
from tests.runs import Recorded, catalogue, difference, open_alerts, run
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT
from tests.worlds import DAY, HOME, HOUR, MINUTE, START, Event, Record, events_of, shuffled, world

NOW = START + 1_000 * DAY

KNOWN = reference.known(catalogue())


def shipment(at: int = START, **fields: Any) -> Shipment:
    """A parcel W with 60 points of its own, so that it has an alert from the start."""
    plain = {"waybill_no": "W", "event_id": "u", "picked_up_at": at, "recorded_at": at, "goods_name": "海洛因"}
    return msgspec.convert({**SHIPMENT, **plain, **fields}, Shipment)


def scan(at: int, kind: str = "departed", waybill: str = "W", **fields: Any) -> Scan:
    given = {"waybill_no": waybill, "event_id": f"s{at}{kind}", "scan_type": kind, "scanned_at": at}
    return msgspec.convert({**SCAN, "weight_g": None, **given, **fields}, Scan)


def check(at: int, **fields: Any) -> Inspection:
    given = {"waybill_no": "W", "event_id": f"i{at}", "started_at": at, "ended_at": at + 60_000}
    return msgspec.convert({**INSPECTION, "result": "pass", **given, **fields}, Inspection)


def feed(recorded: Recorded, *records: Record) -> dict[str, bool | None]:
    """What is said of the parcel W after these."""
    recorded.feed(recorded.batches(records))
    return recorded.answers["SF:W"]


def marker(at: int) -> Scan:
    """Something of another parcel: it only shows how late it is."""
    return scan(at, "arrived", waybill="M", event_id=f"m{at}")


def forget(recorded: Recorded) -> None:
    """As a worker does that is started anew: the store is there, the rest is found in it again."""
    parcels = recorded._parcels
    assert isinstance(parcels.store, MemoryStore)
    store = parcels.store
    found = {number: parcels.restore_timers(whole(store, number, 7), lambda: False) for number in store._values}
    parcels.timers = TimerService()
    parcels.timers.open(found)


# --- when -------------------------------------------------------------------------------------------------------------


def test_an_absence_is_said_when_event_time_has_passed_its_deadline() -> None:
    recorded = Recorded()
    rule = "journey.departed_uninspected"
    left = START + HOUR
    assert feed(recorded, shipment())[rule] is False
    assert feed(recorded, scan(left))[rule] is None
    assert feed(recorded, marker(left + 10 * MINUTE))[rule] is None
    assert feed(recorded, marker(left + 10 * MINUTE + 1))[rule] is True
    before = recorded.messages[recorded.alerts[b"SF:W"].alert_id][-1]
    assert rule in {reason.rule for reason in before.reasons}
    # The inspection was there, and was reported late.
    assert feed(recorded, check(left))[rule] is False
    after = recorded.messages[before.alert_id][-1]
    assert rule not in {reason.rule for reason in after.reasons}
    assert after.revision > before.revision


@pytest.mark.parametrize(
    ("rule", "records", "deadline", "missing"),
    [
        ("unregistered", [scan(START)], START + DAY, shipment()),
        ("ghost", [shipment()], START + 2 * DAY, scan(START + DAY, "arrived")),
        (
            "second_xray_missing",
            [shipment(pickup_adcode="530102"), scan(START + HOUR, "out_for_delivery", facility_adcode="440111")],
            START + HOUR + 10 * MINUTE,
            check(START + HOUR - 1, inspection_type="second_xray"),
        ),
        ("departed_uninspected", [shipment(), scan(START)], START + 10 * MINUTE, check(START)),
    ],
)
def test_each_has_its_deadline_and_is_taken_back(
    rule: str, records: list[Record], deadline: int, missing: Record
) -> None:
    recorded = Recorded()
    name = f"journey.{rule}"
    assert feed(recorded, *records, marker(deadline))[name] is None
    assert feed(recorded, marker(deadline + 1))[name] is True
    assert feed(recorded, missing)[name] is False
    alone = catalogue().alone(name)
    for order in permutations([*records, missing, marker(deadline + 1)]):
        assert run(order, size=1, close=False, rules=alone).answers["SF:W"][name] is False


def test_what_comes_in_another_partition_tells_nothing() -> None:
    recorded = Recorded(partitions=12)
    places: dict[int, Scan] = {}
    for number in range(100):
        other = scan(START + 9 * DAY, "arrived", waybill=f"O{number}", event_id=f"o{number}")
        ((batch),) = recorded.batches([other])
        places.setdefault(batch.partition, other)
    ((mine),) = recorded.batches([shipment()])
    same = places.pop(mine.partition)
    assert feed(recorded, shipment(), *places.values())["journey.ghost"] is None
    assert feed(recorded, same)["journey.ghost"] is True


def test_an_event_from_the_future_moves_time_to_the_clock_and_no_further() -> None:
    clock = START + 2 * DAY - AHEAD_MS_MAX
    for ahead, answer in ((0, None), (1, True)):
        recorded = Recorded()
        recorded.now_ms = clock + ahead
        assert feed(recorded, shipment(), marker(START + 900 * DAY))["journey.ghost"] is answer


def test_what_lay_ahead_of_the_clock_counts_when_the_clock_has_come_there() -> None:
    """A clock that was wrong for a moment hides nothing for good, though no event comes after."""
    recorded = Recorded()
    recorded.now_ms = START - 7_000 * DAY
    assert feed(recorded, shipment(), marker(START + 3 * DAY))["journey.ghost"] is None
    for clock, answer in ((START + 2 * DAY - AHEAD_MS_MAX, None), (START + 3 * DAY, True)):
        recorded._settle(ReadProgress(), clock)
        assert recorded.answers["SF:W"]["journey.ghost"] is answer


@pytest.mark.parametrize("rest", [1, 7])
def test_those_too_many_for_one_step_come_in_the_next(monkeypatch: pytest.MonkeyPatch, rest: int) -> None:
    monkeypatch.setattr(pipeline, "DUE_MAX", 5)
    recorded = Recorded()
    recorded.feed(recorded.batches([shipment(waybill_no=f"P{i}", event_id=f"u{i}") for i in range(5 + rest)]))
    recorded._parcels.step(recorded.batches([marker(START + 3 * DAY)]), NOW)
    judged = recorded._parcels.settle({0: ReadProgress()}, 0, NOW)
    assert (judged.due, judged.behind) == (5, True)
    judged = recorded._parcels.settle({}, 0, NOW)
    assert (judged.due, judged.behind) == (min(rest, 5), rest > 5)
    recorded.close()
    assert not recorded._parcels.timers.behind
    assert not recorded._parcels.settle({}, 0, NOW).due


# --- started anew -----------------------------------------------------------------------------------------------------


def test_a_decision_outlives_the_worker_that_made_it() -> None:
    """The clock decided, in a partition that was idle; of that no event tells."""
    recorded = Recorded()
    feed(recorded, shipment(), scan(START + HOUR))
    recorded._settle(ReadProgress(idle=True), START + 3 * DAY)
    rule = "journey.departed_uninspected"
    assert recorded.answers["SF:W"][rule] is True
    revision = recorded.alerts[b"SF:W"].revision
    forget(recorded)
    assert recorded._parcels.timers.event_time(np.zeros(1, dtype=np.uint16)).tolist() == [0]
    assert feed(recorded, scan(START + HOUR + 1, "arrived"))[rule] is True
    assert recorded.alerts[b"SF:W"].revision > revision


def test_a_worker_that_is_started_anew_finds_what_it_has_to_wait_for() -> None:
    recorded = Recorded()
    feed(recorded, shipment(), scan(START + HOUR))
    waiting = len(recorded._parcels.timers)
    forget(recorded)
    assert len(recorded._parcels.timers) == waiting == 1
    assert recorded.answers["SF:W"]["journey.departed_uninspected"] is None
    feed(recorded, marker(START + 2 * HOUR))
    assert recorded.answers["SF:W"]["journey.departed_uninspected"] is True


@pytest.mark.parametrize("seed", seeds(1))
def test_started_anew_again_and_again_it_comes_to_the_same(seed: int) -> None:
    records = world(seed + 40, 60)
    wanted = open_alerts(run(records))
    rng = random.Random(seed)
    records = shuffled(records, rng)
    recorded = Recorded(partitions=3)
    while records:
        some = rng.randint(1, 40)
        recorded.feed(recorded.batches(records[:some]))
        del records[:some]
        forget(recorded)
    recorded.close()
    assert not difference(open_alerts(recorded), wanted)
    for messages in recorded.messages.values():
        assert all(before.revision < after.revision for before, after in pairwise(messages))


# --- at every moment --------------------------------------------------------------------------------------------------


@examples(6)
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 20]), st.data())
def test_at_every_moment_the_answers_are_those_of_what_is_known(seed: int, size: int, data: st.DataObject) -> None:
    """Also while deadlines are still to pass, in any order of arrival."""
    records = world(seed, data.draw(st.integers(1, 12)))
    recorded = Recorded()
    for first in range(0, len(records), size):
        recorded.feed(recorded.batches(records[first : first + size]))
        known = records[: first + size]
        times = map(_time, events_of(known))
        wanted = reference.answers(known, event_time=max(times, default=0))
        assert recorded.answers.keys() == wanted.keys()
        for parcel, said in recorded.answers.items():
            assert {rule: said[rule] for rule in KNOWN} == {rule: wanted[parcel][rule] for rule in KNOWN}


def _time(record: Event) -> int:
    match record:
        case Shipment():
            return record.picked_up_at
        case Scan():
            return record.scanned_at
        case _:
            return record.started_at


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_parcels_that_wait_for_nothing() -> None:
    recorded = Recorded()
    feed(recorded, shipment(), check(START), scan(START + HOUR))
    assert len(recorded._parcels.timers) == 0


def test_a_queue_stays_as_short_as_its_parcels() -> None:
    """Each parcel's deadline moves many times."""
    timers = TimerService()
    parcels = [f"P{i}".encode() for i in range(100)]
    for at in range(1_000):
        timers.set([0] * len(parcels), parcels, np.full(len(parcels), at))
    assert len(timers) == 100
    assert len(timers._timers[0].deadlines._queue) < 12_000
    timers.settle({0: ReadProgress(idle=True)}, 0, END)
    assert sorted(timers.due(10**6)) == sorted((0, parcel) for parcel in parcels)
    timers.set([0], parcels[:1], np.array([NEVER]))
    assert (len(timers), timers.due(1), timers.behind) == (0, [], False)


def test_rules_without_journeys_wait_for_nothing() -> None:
    few = Settings(
        home_adcodes=HOME,
        rule_overrides={rule.id: {"mode": "off"} for rule in catalogue().rules if rule.id.startswith("journey.")},
    )
    recorded = Recorded(few)
    recorded._parcels.catalogue = load_catalogue(None, few.rule_overrides)
    said = feed(recorded, shipment(), scan(START + HOUR), marker(START + 9 * DAY))
    assert not any(rule.startswith("journey.") for rule in said)
    assert len(recorded._parcels.timers) == 0
    (alert,) = recorded.open_alerts()
    assert alert.revision // 2 % 8 == 0
