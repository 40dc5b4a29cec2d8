"""The benchmarks' records are valid, and the alerts expected of them are what the task says."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from benchmarks.contestants.hand_loop import Judge
from benchmarks.contract import FORMS, RULES, from_priority_origin
from benchmarks.traffic import BLOCK, Shipments
from rules import THRESHOLDS, load_catalogue
from streams.decode import Limits, decode

EVENTS = 3 * BLOCK


@pytest.fixture(scope="module")
def shipments() -> Shipments:
    return Shipments.draw(EVENTS)


@pytest.fixture(scope="module")
def values(shipments: Shipments) -> list[bytes]:
    return [value.encode() for chunk in shipments.records() for _, value in chunk]


def test_every_record_is_a_valid_shipment(values: list[bytes]) -> None:
    decoded = decode("shipment", values, Limits())
    assert len(decoded.rows) == EVENTS


def test_expected_alerts_are_those_of_a_plain_count(shipments: Shipments, values: list[bytes]) -> None:
    times: dict[str, list[int]] = {}
    expected = set()
    for value in values:
        row = msgspec.json.decode(value)
        times.setdefault(row["sender_id_no"], []).append(row["picked_up_at"])
        count = sum(time > row["picked_up_at"] - 24 * 3_600_000 for time in times[row["sender_id_no"]])
        if count >= 20 and row["goods_form"] in FORMS and from_priority_origin(row["pickup_adcode"]):
            expected.add(f"YT:{row['waybill_no']}")
    assert shipments.expected() == expected
    assert len(expected) > 10


def test_a_prefix_begins_like_the_whole(values: list[bytes]) -> None:
    short = [value.encode() for chunk in Shipments.draw(BLOCK + 7).records() for _, value in chunk]
    assert short == values[: BLOCK + 7]


@pytest.mark.parametrize(("last", "alerts"), [(499_421, 1), (499_422, 0)])
def test_the_window_is_open_at_its_start(last: int, alerts: int) -> None:
    """Nineteen parcels at once and one more, just before the first of them is 24 h old, and then."""
    sender = np.arange(1, last + 2)
    sender[[*range(19), last]] = 0
    same = np.zeros(last + 1, dtype=np.int64)
    powder = np.full(last + 1, 3)
    assert len(Shipments(sender, same, same, powder, same).expected()) == alerts


def test_the_hand_written_loop_does_not_depend_on_order(shipments: Shipments, values: list[bytes]) -> None:
    expected = shipments.expected()
    for seed in range(3):
        shuffled = random.Random(seed).sample(values, len(values))
        judge = Judge()
        found = [parcel for at in range(0, EVENTS, 500) for parcel, _ in judge(shuffled[at : at + 500])]
        assert len(found) == len(set(found))
        assert set(found) == expected


def test_all_three_rules_reach_medium_and_no_two_do() -> None:
    points = [rule.points for rule in load_catalogue(only=RULES).rules]
    medium = THRESHOLDS[1]
    assert sum(points) >= medium
    assert all(sum(points) - left < medium for left in points)
