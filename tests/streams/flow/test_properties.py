"""What holds for every stream: batches, order, repetition and partitions change nothing; revisions rise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise, permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import Scan, Shipment
from streams.settings import Settings
from tests.repetition import examples, seeds
from tests.runs import Recorded, comparable, difference, open_alerts, run
from tests.schemas.samples import SCAN, SHIPMENT
from tests.worlds import DAY, HOUR, START, Record, events_of, resident_id, world

PARTITIONS = (1, 4, 12)


@pytest.mark.parametrize("seed", seeds(1))
@pytest.mark.parametrize("size", [7, 50, 5_000])
def test_open_alerts_are_those_of_the_set(seed: int, size: int) -> None:
    """All fields but when and where they were read. Of two runs the second is cut, ordered and spread otherwise."""
    records = world(seed, min(5 * size, 100))
    wanted = open_alerts(run(records))
    found = open_alerts(run(records, size=size, partitions=PARTITIONS[(seed + size) % 3], order=seed))
    assert not difference(found, wanted)
    assert wanted


@pytest.mark.parametrize("seed", seeds(1))
@pytest.mark.parametrize("partitions", PARTITIONS)
def test_open_alerts_are_the_same_one_by_one(seed: int, partitions: int) -> None:
    records = world(seed + partitions, 20)
    wanted = open_alerts(run(records))
    assert wanted
    assert not difference(open_alerts(run(records, size=1, partitions=partitions, order=seed + 1)), wanted)


@pytest.mark.parametrize(
    ("size", "co_located"),
    [
        (1, (1,)), (30, range(4)), (5_000, (0, 2, 3)),
        *(pytest.param(size, held, marks=pytest.mark.long) for size in (1, 30, 5_000) for held in (range(4), (1,))),
    ],
)  # fmt: skip
def test_histories_near_and_far_answer_alike(size: int, co_located: Sequence[int]) -> None:
    """Asked in the step itself or over topics, and where some are this and some that."""
    records = world(17, 20 if size == 1 else 80)
    wanted = open_alerts(run(records))
    found = run(records, size=size, partitions=4, co_located=co_located, order=size)
    assert not difference(open_alerts(found), wanted)
    assert all(
        before.revision < after.revision for messages in found.messages.values() for before, after in pairwise(messages)
    )


@examples(3)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 7, 33, 5_000]), st.sampled_from(PARTITIONS), st.data())
def test_repetitions_anywhere_change_nothing(seed: int, size: int, partitions: int, data: st.DataObject) -> None:
    records = world(seed, data.draw(st.integers(1, 25)))
    again = [*records, *data.draw(st.lists(st.sampled_from(events_of(records)), max_size=20))]
    wanted = open_alerts(run(records))
    assert not difference(open_alerts(run(again, size=size, partitions=partitions, order=seed)), wanted)


def test_reading_it_all_again_publishes_nothing() -> None:
    """As after a crash that lost the offsets and kept the state."""
    records = world(5, 80)
    recorded = run(records, size=20)
    before = {key: len(messages) for key, messages in recorded.messages.items()}
    again = events_of(records)
    random.Random(1).shuffle(again)
    recorded.feed(recorded.batches(again))
    assert {key: len(messages) for key, messages in recorded.messages.items()} == before


# --- revisions --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=seeds(1, first=30))
def ways(request: pytest.FixtureRequest) -> list[Recorded]:
    """One world in several orders and sizes of batches."""
    records = world(request.param, 25)
    return [
        run(records, size=size, order=order, partitions=4) for order, size in ((1, 1), (2, 7), (3, 200), (None, None))
    ]


def test_revisions_rise_with_every_message(ways: list[Recorded]) -> None:
    """Each message of a parcel says something new under a higher number, whatever the order of arrival."""
    for way in ways:
        for messages in way.messages.values():
            assert all(before.revision < after.revision for before, after in pairwise(messages))


def test_the_last_revision_does_not_depend_on_the_order(ways: list[Recorded]) -> None:
    """Of alerts that are open; one that is withdrawn says no more."""
    last: dict[str, set[int]] = {}
    for way in ways:
        for key, messages in way.messages.items():
            if messages[-1].status == "open":
                last.setdefault(key, set()).add(messages[-1].revision)
    assert last
    assert all(len(revisions) == 1 for revisions in last.values())


def test_a_withdrawn_alert_says_no_more_until_it_opens_again(ways: list[Recorded]) -> None:
    withdrawn = 0
    for way in ways:
        for messages in way.messages.values():
            said = [message.status for message in messages]
            assert said[0] == "open"
            assert ("withdrawn", "withdrawn") not in pairwise(said)
            withdrawn += said.count("withdrawn")
    assert withdrawn


def test_what_a_reader_keeps_is_what_is_open(ways: list[Recorded]) -> None:
    """Newest message by parcel, without the withdrawn ones."""
    for way in ways:
        newest = comparable(messages[-1] for messages in way.messages.values())
        kept = {key: alert for key, alert in newest.items() if alert.status == "open"}
        assert not difference(kept, open_alerts(way))


# --- corrections ------------------------------------------------------------------------------------------------------

A, B = resident_id(1), resident_id(2)


def upload(waybill: str, event: str, at: int, **fields: Any) -> Shipment:
    given = {"waybill_no": waybill, "event_id": event, "picked_up_at": at, "recorded_at": at, **fields}
    return msgspec.convert({**SHIPMENT, "sender_phone": None, "recipient_phone": None, **given}, Shipment)


def everyway(records: Sequence[Record]) -> list[Recorded]:
    """The same records in every order, one by one and at once."""
    runs = [run(order, size=1) for order in permutations(records)]
    return [*runs, run(records)]


def test_a_correction_that_moves_a_parcel_to_another_sender() -> None:
    """Three names on one ID, until the third upload turns out to be of another person."""
    names = ["王建国", "李秀英", "赵子轩"]
    parcels = [
        upload(f"W{i}", f"e{i}", START + i * HOUR, sender_id_no=A, sender_name=name, goods_form="powder")
        for i, name in enumerate(names)
    ]
    moved = msgspec.structs.replace(parcels[2], event_id="f2", sender_id_no=B, recorded_at=START + DAY)
    runs = everyway([*parcels, moved])
    finals = [{parcel: said["identity.many_names"] for parcel, said in each.answers.items()} for each in runs]
    assert finals == [{"SF:W0": False, "SF:W1": False, "SF:W2": False}] * len(runs)
    assert all(open_alerts(each) == open_alerts(runs[0]) for each in runs)
    third = run(parcels)
    assert third.answers["SF:W2"]["identity.many_names"] is True
    (key,) = [alert.alert_id for alert in third.open_alerts() if alert.waybill_no == "W2"]
    before = third.alerts[b"SF:W2"]
    third.feed(third.batches([moved]))
    after = third.messages[key][-1]
    assert after.revision > before.revision
    assert after.sender_token != before.sender_token
    assert after == third.alerts[b"SF:W2"]


def test_a_correction_that_clears_the_parcel_withdraws_its_alert() -> None:
    bad = upload("W", "e1", START, goods_name="海洛因", pickup_adcode="310115")
    good = msgspec.structs.replace(bad, event_id="e2", goods_name="图书", recorded_at=START + HOUR)
    recorded = run([bad])
    assert [alert.status for alert in recorded.open_alerts()] == ["open"]
    recorded.feed(recorded.batches([good]))
    assert recorded.open_alerts() == []
    (messages,) = recorded.messages.values()
    assert messages[-1].status == "withdrawn"
    assert messages[-1].score < 40
    assert "goods.controlled_term" not in {reason.rule for reason in messages[-1].reasons}
    assert all(before.revision < after.revision for before, after in pairwise(messages))
    # A later correction brings it back, under a higher number still.
    recorded.feed(recorded.batches([msgspec.structs.replace(bad, event_id="e3", recorded_at=START + 2 * HOUR)]))
    assert [alert.status for alert in recorded.open_alerts()] == ["open"]
    assert all(before.revision < after.revision for before, after in pairwise(messages))
    # Whoever reads the clearing upload first never hears of the parcel, and the other way round it makes no difference.
    assert run([good, bad], size=1).messages == {}
    assert run([good, bad]).messages == {}


def test_an_earlier_parcel_that_turns_up_late_revises_the_later_ones() -> None:
    parcels = [upload(f"W{i}", f"e{i}", START + i * HOUR, sender_id_no=A, goods_name="海洛因") for i in range(3)]
    late = run([*parcels[1:], parcels[0]], size=1)
    assert late.answers["SF:W1"]["sender.first_seen"] is False
    assert not difference(open_alerts(late), open_alerts(run(parcels)))
    assert len(late.messages[late.alerts[b"SF:W1"].alert_id]) >= 3


def test_scans_move_the_place_where_the_parcel_can_be_stopped() -> None:
    shipment = upload("W", "e", START, goods_name="海洛因", pickup_adcode="440111", dest_adcode="310115")
    scans = [
        msgspec.convert({**SCAN, "waybill_no": "W", "event_id": f"s{i}", **fields}, Scan)
        for i, fields in enumerate(
            (
                {"scan_type": "arrived", "scanned_at": START + HOUR, "facility_adcode": "440306"},
                {"scan_type": "departed", "scanned_at": START + 2 * HOUR, "facility_adcode": "440306"},
                {"scan_type": "arrived", "scanned_at": START + 9 * HOUR, "facility_adcode": "310104"},
            )
        )
    ]
    recorded = run([shipment, *scans], size=1)
    (messages,) = recorded.messages.values()
    places = [alert.jurisdiction_adcode for alert in messages]
    assert [place for i, place in enumerate(places) if place not in places[:i]] == [
        "440111",
        "440306",
        "310115",
        "310104",
    ]
    for each in everyway([shipment, *scans]):
        assert open_alerts(each) == open_alerts(recorded)


# --- an entity that overflows -----------------------------------------------------------------------------------------


def test_a_sender_of_more_parcels_than_are_kept() -> None:
    """Nothing fails, the alerts say that counts are lower bounds, and the newest are counted."""
    few = Settings(observations_per_bucket_max=256, emit_from="low")
    parcels: list[Record] = [
        upload(f"W{i:04d}", f"e{i}", START + i * 1_000, sender_id_no=A, goods_name="海洛因") for i in range(400)
    ]
    for size, order in ((None, None), (50, None), (33, 1)):
        recorded = run(parcels, size=size, order=order, settings=few)
        assert len(recorded.open_alerts()) == 400
        last = recorded.evidence("SF:W0399")
        assert 250 <= last["sender_parcels_24h"] <= 400
        assert recorded.answers["SF:W0399"]["sender.velocity"] is True
        for messages in recorded.messages.values():
            assert all(before.revision < after.revision for before, after in pairwise(messages))
