"""The benchmarks' records are valid, and the alerts expected of them are what the task says."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks import task
from benchmarks.competition import Sizes
from benchmarks.contestants import hand_loop, hand_loop_changelog
from benchmarks.contract import ORIGINS, RULES, from_priority_origin
from benchmarks.task import FORMS
from benchmarks.traffic import BLOCK, REPEATED_WITHIN, Shipments
from rules import THRESHOLDS, load_catalogue
from schemas.records import Shipment
from streams.flow.decode import Limits, decode

EVENTS = 3 * BLOCK


@pytest.fixture(scope="module")
def shipments() -> Shipments:
    return Shipments.draw(EVENTS)


@pytest.fixture(scope="module")
def values(shipments: Shipments) -> list[bytes]:
    return [value.encode() for chunk in shipments.records() for _, value in chunk]


def test_every_record_is_a_valid_shipment(values: list[bytes]) -> None:
    decoded = decode(Shipment, values, Limits())
    assert len(decoded.rows) == len(values)
    assert len({row.event_id for row in decoded.rows}) == EVENTS


def test_one_in_a_hundred_comes_again_later(values: list[bytes]) -> None:
    """The same to the byte, and under the same key, which is made of it; none more than twice."""
    places: dict[bytes, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    assert len(places) == EVENTS
    repeated = [each for each in places.values() if len(each) > 1]
    assert 0.004 * EVENTS < len(repeated) < 0.012 * EVENTS  # those due after the end do not come
    assert {len(each) for each in repeated} == {2}
    # Repetitions of others lie between, too.
    assert all(0 < second - first <= REPEATED_WITHIN * 1.02 for first, second in repeated)
    assert sum(second - first for first, second in repeated) / len(repeated) > 500


def test_expected_alerts_are_those_of_a_plain_count(shipments: Shipments, values: list[bytes]) -> None:
    times: dict[str, list[int]] = {}
    expected = set()
    for value in dict.fromkeys(values):
        row = msgspec.json.decode(value)
        times.setdefault(row["sender_id_no"], []).append(row["picked_up_at"])
        count = sum(time > row["picked_up_at"] - 24 * 3_600_000 for time in times[row["sender_id_no"]])
        if count >= 20 and row["goods_form"] in FORMS and from_priority_origin(row["pickup_adcode"]):
            expected.add(f"YT:{row['waybill_no']}")
    assert shipments.expected() == expected
    assert len(expected) > 10


def test_a_prefix_begins_like_the_whole(values: list[bytes]) -> None:
    short = [value.encode() for chunk in Shipments.draw(BLOCK + 7).records() for _, value in chunk]
    assert short == values[: len(short)]
    assert len(short) > BLOCK + 7


def test_a_prefix_is_no_more_than_there_is() -> None:
    assert Sizes.of(1_000_000) == Sizes(1_000_000, 60_000, 150_000)
    assert Sizes.of(100_000).prefix == 24_000
    assert Sizes.of(3).prefix == 3


@pytest.mark.parametrize(("last", "alerts"), [(499_421, 1), (499_422, 0)])
def test_the_window_is_open_at_its_start(last: int, alerts: int) -> None:
    """Nineteen parcels at once and one more, just before the first of them is 24 h old, and then."""
    sender = np.arange(1, last + 2)
    sender[[*range(19), last]] = 0
    same = np.zeros(last + 1, dtype=np.int64)
    powder = np.full(last + 1, 3)
    assert len(Shipments(sender, same, same, powder, same, same).expected()) == alerts


PLACES = frozenset(ORIGINS.split(","))


def loop() -> hand_loop.Judge:
    return hand_loop.Judge(PLACES)


def loop_with_changelog() -> hand_loop_changelog.Judge:
    return hand_loop_changelog.Judge({}, PLACES)


class TableJudge:
    """What plain Faust, Quix Streams and others do, a table by sender, without them."""

    def __init__(self) -> None:
        self._table: defaultdict[str, list[list[Any]]] = defaultdict(list)

    def __call__(self, values: list[bytes]) -> list[tuple[str, Any]]:
        found = []
        for value in values:
            row = msgspec.json.decode(value)
            parcels, waits = self._table[task.counted(row)], task.candidate(row, PLACES)
            found += task.add(parcels, row["picked_up_at"], task.parcel_of(row), waits)
        return found


@pytest.mark.parametrize("judging", [loop, loop_with_changelog, TableJudge])
def test_neither_order_nor_repetition_changes_what_is_found(
    judging: Callable[[], Callable[[list[bytes]], list[tuple[str, Any]]]], shipments: Shipments, values: list[bytes]
) -> None:
    expected = shipments.expected()
    twice = values * 2
    for seed in range(3):
        shuffled = random.Random(seed).sample(twice, len(twice))
        judge = judging()
        found = [parcel for at in range(0, len(twice), 500) for parcel, _ in judge(shuffled[at : at + 500])]
        assert len(found) == len(set(found))
        assert set(found) == expected


def test_the_loop_remembers_event_ids_of_two_generations(
    shipments: Shipments, values: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each 400 records come again at once, with memory for 400 to 800 of them."""
    monkeypatch.setattr(hand_loop, "SEEN_MAX", 400)
    once, judge, found = list(dict.fromkeys(values)), loop(), []
    for at in range(0, EVENTS, 400):
        for part in (slice(at, at + 200), slice(at + 200, at + 400)) * 2:
            found += [parcel for parcel, _ in judge(once[part])]
    assert sorted(found) == sorted(shipments.expected())


def test_all_three_rules_reach_medium_and_no_two_do() -> None:
    points = [rule.points for rule in load_catalogue(only=RULES).rules]
    medium = THRESHOLDS[1]
    assert sum(points) >= medium
    assert all(sum(points) - left < medium for left in points)
