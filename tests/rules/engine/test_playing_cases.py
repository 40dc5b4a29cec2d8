"""How a case becomes events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rules import Catalogue, RuleError, load_catalogue
from rules.engine.cases import FIRST_MS, Timeline, timelines
from schemas.records import Inspection, ParcelEvent, Scan, Shipment
from tests.rules.playing import failures
from tests.rules.rulefile import Load

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)


def play(load: Load, events: list[dict[str, Any]], expect: object = "no") -> Timeline:
    catalogue = load(cases=[{"name": "one", "events": events, "expect": expect}])
    (timeline,) = timelines(catalogue.rules[0])
    return timeline


def shipments(timeline: Timeline) -> list[Shipment]:
    return [event for event in timeline.events if isinstance(event, Shipment)]


def test_times_are_relative_to_the_first_event(load: Load) -> None:
    timeline = play(
        load,
        [
            {"shipment": {}},
            {"after": "90 s", "scan": {"scan_type": "departed", "recorded_at": "2 h"}},
            {"after": "-1 d", "inspection": {"ended_at": "-0.5 d"}},
            {"after": "2 h", "repeat": 2, "every": "250 ms", "shipment": {"recorded_at": "3 min"}},
        ],
    )
    first, scan, inspection, *repeated = timeline.events
    assert isinstance(first, Shipment)
    assert isinstance(scan, Scan)
    assert isinstance(inspection, Inspection)
    assert first.picked_up_at == FIRST_MS
    assert (scan.scanned_at, scan.recorded_at) == (FIRST_MS + 90_000, FIRST_MS + 7_200_000)
    assert (inspection.started_at, inspection.ended_at) == (FIRST_MS - 86_400_000, FIRST_MS - 43_200_000)
    times = [event.picked_up_at - FIRST_MS for event in repeated if isinstance(event, Shipment)]
    assert times == [7_200_000, 7_200_250]


def test_parcels_are_numbered_and_scans_follow_the_shipment_before(load: Load) -> None:
    timeline = play(
        load,
        [
            {"scan": {}},
            {"shipment": {}},
            {"scan": {}},
            {"shipment": {"waybill_no": "X"}},
            {"inspection": {}},
            {"scan": {"waybill_no": "W0002"}},
            {"shipment": {"carrier_code": "OTHER"}},
        ],
    )
    events = [event for event in timeline.events if isinstance(event, ParcelEvent)]
    numbers = [event.waybill_no for event in events]
    assert numbers == ["W0001", "W0002", "W0002", "X", "X", "W0002", "W0004"]
    assert list(timeline.expected) == ["DEMO:W0001", "DEMO:W0002", "DEMO:X", "OTHER:W0004"]
    assert len({event.event_id for event in events}) == 7


def test_people_are_distinct_unless_a_letter_makes_them_one(load: Load) -> None:
    people = [
        {},
        {},
        {"sender_id": "A"},
        {"sender_id_no": "A"},
        {"sender_id": "A2"},
        {"sender_id": "B"},
        {"agent_id_no": "A"},
        {"sender_phone": "A", "recipient_phone": "B"},
        {"sender_phone": "B"},
    ]
    made = shipments(play(load, [{"shipment": fields} for fields in people]))
    one, two, a, also_a, a2, b, agent, call_a, call_b = made
    assert a.sender_id_no == also_a.sender_id_no == agent.agent_id_no
    assert len({s.sender_id_no for s in (one, two, a, a2, b)}) == 5
    assert len({(s.sender_id_no or "")[:14] for s in (one, two, a, b)}) == 4
    assert (a.sender_id_no or "")[:14] == (a2.sender_id_no or "")[:14]
    assert call_b.sender_phone == call_a.recipient_phone != call_a.sender_phone
    assert len({s.sender_phone for s in made} | {s.recipient_phone for s in made}) == 2 * len(made) - 1


def test_a_corrected_upload_keeps_the_people_of_its_parcel(load: Load) -> None:
    first, _, again = shipments(play(load, [{"shipment": {}}, {"shipment": {}}, {"shipment": {"waybill_no": "W0001"}}]))
    assert (first.sender_id_no, first.recipient_phone) == (again.sender_id_no, again.recipient_phone)
    assert first.event_id != again.event_id


def test_made_numbers_are_valid_and_nobodys() -> None:
    """A region that is a whole province is on no card; 154 and 168 belong to no operator."""
    for rule in load_catalogue().rules:
        for timeline in timelines(rule):
            for event in shipments(timeline):
                for number in (event.sender_phone, event.recipient_phone):
                    assert number is None or number.startswith(("154", "168"))
                identity = event.sender_id_no or ""
                if len(identity) == 18 and identity.isascii() and "*" not in identity:
                    # A whole province, a region that never was, or one that a rule's case names as gone.
                    assert identity[2:6] in ("0000", "9999", "0419")


@pytest.mark.parametrize("letter", ["A", "Z", "A2", "M999"])
def test_lettered_numbers_have_a_right_check_digit(load: Load, letter: str) -> None:
    (shipment,) = shipments(play(load, [{"shipment": {"sender_id": letter}}]))
    digits = [10 if c == "X" else int(c) for c in shipment.sender_id_no or ""]
    assert len(digits) == 18
    assert sum(w * d for w, d in zip(WEIGHTS, digits, strict=True)) % 11 == 1


def test_the_wire_holds_what_the_records_hold(load: Load) -> None:
    timeline = play(load, [{"shipment": {}}, {"scan": {}}, {"inspection": {}}])
    types = {"shipment": Shipment, "scan": Scan, "inspection": Inspection}
    assert tuple(msgspec.json.decode(data, type=types[kind]) for kind, data in timeline.wire()) == timeline.events


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        ("yes", [True, True, True]),
        ("unknown", [None, None, None]),
        ({"last": "yes", "others": "no"}, [False, False, True]),
        ({"first": "unknown", "last": "yes", "others": "no"}, [None, False, True]),
        ({"first": "yes", "W0002": "no", "last": "unknown"}, [True, False, None]),
    ],
)
def test_expectations(load: Load, expect: object, expected: list[bool | None]) -> None:
    assert list(play(load, [{"repeat": 3, "shipment": {}}], expect).expected.values()) == expected


@pytest.mark.parametrize(
    ("events", "expect", "field"),
    [
        ([{"shipment": {"colour": "red"}}], "no", "cases[0].events[0].shipment.colour"),
        ([{"shipment": {"weight_g": -1}}], "no", "cases[0].events[0].shipment"),
        ([{"shipment": {"weight_g": "1"}}], "no", "cases[0].events[0].shipment"),
        ([{"shipment": {"pickup_place": "moon"}}], "no", "cases[0].events[0].shipment"),
        ([{"shipment": {"sender_id": "440000198001010015"}}], "no", "cases[0].events[0].shipment.sender_id"),
        ([{"shipment": {"recorded_at": "soon"}}], "no", "cases[0].events[0].shipment.recorded_at"),
        ([{"shipment": {}}, {"after": "2 weeks", "scan": {}}], "no", "cases[0].events[1].after"),
        ([{"scan": {"sender_id": "A"}}], "no", "cases[0].events[0].scan.sender_id"),
        ([{"shipment": {}, "scan": {}}], "no", "cases[0].events[0]"),
        ([{"after": "2 d"}], "no", "cases[0].events[0]"),
        ([{"shipment": {}}], {"last": "no", "others": "no"}, "cases[0].expect.others"),
        ([{"repeat": 2, "shipment": {}}], {"last": "no"}, "cases[0].expect.others"),
        ([{"shipment": {}}], {"W0002": "no", "others": "no"}, "cases[0].expect.W0002"),
        ([{"shipment": {}}], {"first": "no", "last": "yes"}, "cases[0].expect.last"),
    ],
)
def test_a_case_that_cannot_be_played_is_refused(
    load: Load, events: list[dict[str, Any]], expect: object, field: str
) -> None:
    with pytest.raises(RuleError) as caught:
        play(load, events, expect)
    assert (caught.value.file, caught.value.field) == ("identity.one", field)


def test_failures_name_the_parcel_and_both_answers(load: Load) -> None:
    timeline = play(load, [{"repeat": 3, "shipment": {}}], {"last": "yes", "others": "no"})

    def judge(timeline: Timeline, catalogue: Catalogue) -> dict[str, dict[str, bool | None]]:
        return {"DEMO:W0001": {"identity.one": False}, "DEMO:W0002": {}, "DEMO:W0003": {"identity.one": None}}

    assert failures(timeline, judge, load()) == ["DEMO:W0002: not judged", "DEMO:W0003: unknown, expected yes"]
