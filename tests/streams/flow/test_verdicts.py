"""Verdicts: what each rule says of crowded worlds, and the alert that follows, as plain reading has it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import actions
from schemas import topics
from schemas.records import Alert, Inspection, Reject, Scan, Shipment, encode
from schemas.terms import RejectReason
from streams.flow.batches import Batch
from streams.settings import Settings
from tests import reference
from tests.repetition import examples, seeds
from tests.runs import Recorded, catalogue, open_alerts, run
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT, wire
from tests.worlds import DAY, HOUR, START, Record, events_of, world

# Small ones of many kinds, and a few in which long windows fill.
WORLDS = [*((seed, 50) for seed in seeds(24)), *((seed, 250) for seed in seeds(6, first=100))]
RULES = {rule.id: rule for rule in catalogue().rules if rule.mode == "live"}
KNOWN = reference.known(catalogue())


@cache
def played(seed: int, parcels: int) -> tuple[list[Record], Recorded, dict[str, dict[str, bool | None]]]:
    """A world, what we make of it, and what the reference says of the rules that it knows."""
    records = world(seed, parcels)
    said = reference.answers(records)
    return records, run(records), {parcel: {rule: each[rule] for rule in KNOWN} for parcel, each in said.items()}


def test_the_reference_names_what_it_does_not_know() -> None:
    """Each live rule is known in its version, or named."""
    named = {name.partition(" ")[0] for name in reference.unknown(catalogue())}
    assert named | KNOWN == RULES.keys()
    assert not named & KNOWN
    raised = msgspec.structs.replace(RULES["sender.velocity"], version=RULES["sender.velocity"].version + 1)
    other = dataclasses.replace(catalogue(), rules=(raised,))
    assert reference.known(other) == frozenset()
    assert reference.unknown(other) == [f"sender.velocity {raised.version}"]


@pytest.mark.parametrize(("seed", "parcels"), WORLDS)
def test_answers_are_those_of_the_reference(seed: int, parcels: int) -> None:
    _, recorded, wanted = played(seed, parcels)
    wrong = [
        (parcel, rule, recorded.answers[parcel][rule], answer)
        for parcel, said in wanted.items()
        for rule, answer in said.items()
        if recorded.answers[parcel][rule] is not answer
    ]
    assert not wrong
    assert recorded.answers.keys() == wanted.keys()


def test_every_known_rule_is_asked_and_speaks_falls_silent_and_does_not_know() -> None:
    """Otherwise the test above would prove less than it seems to."""
    said: dict[str, Counter[bool | None]] = {rule: Counter() for rule in KNOWN}
    for seed, parcels in WORLDS:
        records, _, wanted = played(seed, parcels)
        registered = reference.standing(records)
        for parcel, answers in wanted.items():
            for rule, answer in answers.items():
                if answer is not None or parcel in registered:  # of others all is unknown that the shipment says
                    said[rule][answer] += 1
    assert {rule: (seen[True] >= 10, seen[False] >= 10) for rule, seen in said.items()} == dict.fromkeys(
        KNOWN, (True, True)
    )
    assert {rule for rule, seen in said.items() if not seen[None]} == SETTLED & KNOWN


SETTLED = {
    # Whatever a shipment record leaves out, it says this.
    "route.priority_origin", "route.priority_lane", "goods.powder_or_liquid", "goods.on_priority_route",
    "goods.controlled_term", "goods.vague_name", "identity.missing", "sender.agent_or_street",
    # What is asked of the courier always has an answer in the end, as every shipment names one.
    "courier.burst", "courier.cloned_entries", "courier.unregistered",
    # And what is missing from a journey has been decided in the end.
    "journey.departed_uninspected", "journey.second_xray_missing", "journey.unregistered", "journey.ghost",
    "journey.too_fast", "journey.weight_changed", "journey.unresolved_departed", "journey.open_box_formality",
}  # fmt: skip
"""Rules that say yes or no of every parcel with a shipment record once all is known."""


@pytest.mark.parametrize(("seed", "parcels"), WORLDS[::5])
def test_alerts_say_what_follows_from_the_answers(seed: int, parcels: int) -> None:
    records, recorded, wanted = played(seed, parcels)
    alerts = {f"{alert.carrier_code}:{alert.waybill_no}": alert for alert in recorded.open_alerts()}
    standing = reference.standing(records)
    for parcel in wanted:
        shipment = standing.get(parcel)
        said = {rule: recorded.answers[parcel][rule] for rule in RULES} | wanted[parcel]
        yes = sorted(rule for rule, answer in said.items() if answer)
        score = min(100, sum(RULES[rule].points for rule in yes))
        if score < 40:
            assert parcel not in alerts
            continue
        alert, evidence = alerts.pop(parcel), recorded.evidence(parcel)
        assert [reason.rule for reason in alert.reasons] == yes
        assert list(alert.unknown) == sorted(rule for rule, answer in said.items() if answer is None)
        assert (alert.score, alert.tier) == (score, ["medium", "high", "extreme"][min(score // 20 - 2, 2)])
        assert alert.status == "open"
        assert alert.actions == actions(alert.tier, yes, catalogue())
        accepted = (shipment.outlet_id, shipment.courier_id) if shipment else ("", "")
        assert (alert.outlet_id, alert.courier_id) == accepted
        assert shipment or (alert.sender_token, alert.recipient_token) == (None, None)
        assert (alert.direction, alert.pickup_adcode, alert.dest_adcode, alert.dest_country) == _way(shipment)
        assert alert.goods_class == (evidence["goods_class"] if shipment else None)
        assert alert.happened_at == max(_times(parcel, shipment, records))
        assert alert.jurisdiction_adcode in _next_stops(parcel, shipment, records)
        assert alert.catalogue == catalogue().fingerprint
        for reason in alert.reasons:
            rule = RULES[reason.rule]
            assert (reason.version, reason.category, reason.points) == (rule.version, rule.category, rule.points)
            assert reason.evidence.keys() == set(rule.evidence)
            assert reason.evidence == {name: _shown(evidence[name]) for name in rule.evidence}
    assert not alerts


def _way(shipment: Shipment | None) -> tuple[str | None, ...]:
    if shipment is None:
        return None, None, None, None
    return shipment.direction, shipment.pickup_adcode, shipment.dest_adcode or None, shipment.dest_country


def _times(parcel: str, shipment: Shipment | None, records: list[Record]) -> list[int]:
    mine = [record for record in events_of(records) if record.parcel == parcel]
    times = [record.scanned_at for record in mine if isinstance(record, Scan)]
    times += [record.started_at for record in mine if isinstance(record, Inspection)]
    return [*times, shipment.picked_up_at] if shipment else times


def _next_stops(parcel: str, shipment: Shipment | None, records: list[Record]) -> set[str]:
    """Where the parcel can be stopped; several places where it was scanned twice in its last moment."""
    scans = [record for record in records if isinstance(record, Scan) and record.parcel == parcel]
    if not scans:
        checks = [record for record in records if isinstance(record, Inspection) and record.parcel == parcel]
        return {shipment.pickup_adcode} if shipment else {check.facility_adcode for check in checks}
    latest = max(scan.scanned_at for scan in scans)
    onward = shipment.dest_adcode if shipment else None
    return {
        (scan.scan_type in ("departed", "forwarded") and onward) or scan.facility_adcode
        for scan in scans
        if scan.scanned_at == latest
    }


def _shown(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def test_persons_are_the_same_token_wherever_they_are_the_same_person() -> None:
    """By ID number; by mobile where there is none. Masked ones are nobody."""
    shown: dict[str | None, set[str | None]] = {}
    for seed, parcels in WORLDS[:20]:
        records, recorded, _ = played(seed, parcels)
        standing = reference.standing(records)
        for alert in recorded.open_alerts():
            parcel = f"{alert.carrier_code}:{alert.waybill_no}"
            if parcel not in standing:
                continue
            facts = reference._facts(standing[parcel])
            shown.setdefault(facts.person or facts.phone, set()).add(alert.sender_token)
            shown.setdefault(facts.recipient, set()).add(alert.recipient_token)
    # None is asked of senders and recipients alike: who is nobody has no token.
    assert shown.pop(None) == {None}
    assert all(len(tokens) == 1 for tokens in shown.values())
    tokens = [token for (token,) in shown.values()]
    assert len(tokens) == len(set(tokens)) > 10
    assert all(token is not None and token.startswith("dev:") for token in tokens)


def test_the_first_verdict_does_not_wait_for_history() -> None:
    """It goes out at once, with the rules that need history among the unknown, and is revised."""
    shipment = _shipment(1, picked_up_at=START, goods_name="海洛因")
    recorded = run([shipment])
    first, last = recorded.messages[recorded.open_alerts()[0].alert_id][:1] + recorded.open_alerts()
    history = {"courier.burst", "courier.cloned_entries", "sender.first_seen", "sender.velocity"}
    assert history <= set(first.unknown)
    assert not history & set(last.unknown)
    assert first.revision < last.revision


@pytest.mark.parametrize("number", ["W", "号" * 64], ids=["short", "long"])
def test_a_parcel_without_a_shipment_record_has_an_alert_of_its_own(number: str) -> None:
    """It names the parcel and where it is, and no outlet, courier or person; the record that comes then has its say."""
    scan = msgspec.convert({**SCAN, "waybill_no": number, "scan_type": "departed"}, Scan)
    recorded = run([scan], close=False)
    assert not recorded.alerts
    recorded.close()
    (alert,) = recorded.open_alerts()
    reasons = {reason.rule for reason in alert.reasons}
    assert reasons & KNOWN == {"journey.departed_uninspected", "journey.unregistered"} & KNOWN
    assert (alert.carrier_code, alert.waybill_no, alert.jurisdiction_adcode) == ("SF", number, scan.facility_adcode)
    assert (alert.outlet_id, alert.courier_id, alert.sender_token, alert.recipient_token) == ("", "", None, None)
    assert {rule for rule in KNOWN if not rule.startswith("journey.")} <= set(alert.unknown)
    assert [source.topic for source in alert.sources] == [topics.SCANS]
    assert msgspec.json.decode(encode(alert), type=Alert) == alert
    recorded.feed(recorded.batches([_shipment(1, waybill_no=number, goods_name="海洛因")]))
    (later,) = recorded.open_alerts()
    assert later.alert_id == alert.alert_id
    assert later.revision > alert.revision
    assert later.outlet_id
    assert "journey.unregistered" not in {reason.rule for reason in later.reasons}


@pytest.mark.parametrize(
    ("goods_name", "shown"),
    [
        ("冰du 5g", ("冰毒", "psychotropic", "mixed")),
        ("Ｋ粉", ("k粉", "psychotropic", "characters")),
        ("丙酮 500ml", ("丙酮", "precursor", "plain")),
    ],
)
def test_an_alert_on_goods_shows_the_term_its_list_and_how_it_was_written(
    goods_name: str, shown: tuple[str, str, str]
) -> None:
    """Of the goods name itself nothing is kept."""
    shipment = msgspec.convert({**SHIPMENT, "goods_name": goods_name}, Shipment)
    (alert,) = open_alerts(run([shipment])).values()
    (reason,) = (reason for reason in alert.reasons if reason.rule == "goods.controlled_term")
    assert tuple(reason.evidence[name] for name in ("goods_term", "goods_term_kind", "goods_trick")) == shown
    assert goods_name not in encode(alert).decode()


def test_alert_ids_are_a_function_of_the_parcel_alone() -> None:
    a = run([_shipment(1, goods_name="海洛因")]).open_alerts()[0]
    b = run([_shipment(1, goods_name="海洛因", event_id="another", courier_id="X")]).open_alerts()[0]
    c = run([_shipment(1, goods_name="海洛因", carrier_code="ZTO")]).open_alerts()[0]
    assert a.alert_id == b.alert_id != c.alert_id


@pytest.mark.parametrize("tier", ["low", "medium", "high", "extreme"])
def test_alerts_go_out_from_the_tier_that_is_set(tier: str) -> None:
    recorded = run(world(3, 60), settings=Settings.model_validate({"emit_from": tier}))
    least = {"low": 20, "medium": 40, "high": 60, "extreme": 80}[tier]
    wanted = {
        parcel
        for parcel, said in recorded.answers.items()
        if sum(RULES[rule].points for rule, answer in said.items() if answer) >= least
    }
    assert {f"{alert.carrier_code}:{alert.waybill_no}" for alert in recorded.open_alerts()} == wanted


def _shipment(number: int, **fields: Any) -> Shipment:
    given = {"waybill_no": f"{number:06d}", "event_id": f"e{number}", "sender_id_no": "440000198001010015", **fields}
    return msgspec.convert({**SHIPMENT, **given}, Shipment)


# --- anything valid is judged, anything else is rejected --------------------------------------------------------------

_text = st.one_of(
    st.none(), st.text(max_size=40), st.sampled_from(["", "*", " - ", "１３８", "\u3000", "张*", "1" * 512])
)
_ids = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=64)
_times_ms = st.integers(946_684_800_000, 4_102_444_799_999)
_strange = st.fixed_dictionaries(
    {
        "event_id": _ids,
        "carrier_code": _ids.map(lambda text: text.replace(":", "_")),
        "waybill_no": _ids,
        "outlet_id": _ids,
        "courier_id": _ids,
        "picked_up_at": _times_ms,
        "recorded_at": st.one_of(st.none(), _times_ms),
        "pickup_adcode": st.from_regex(r"[1-9][0-9]{5}", fullmatch=True),
        "dest_country": st.from_regex(r"[A-Z]{2}", fullmatch=True),
        "dest_adcode": st.one_of(st.none(), st.from_regex(r"[1-9][0-9]{5}", fullmatch=True)),
        "sender_name": _text,
        "sender_phone": _text,
        "sender_id_no": _text,
        "sender_id_type": st.sampled_from(["resident_id", "hmt_permit", None]),
        "recipient_phone": _text,
        "goods_name": _text.map(lambda text: text or ""),
        "goods_form": st.sampled_from(["powder", None]),
        "declared_value_fen": st.sampled_from([None, 0, 2**53 - 1]),
        "freight_fen": st.sampled_from([None, 0, 2**53 - 1]),
        "weight_g": st.sampled_from([0, 2**31 - 1]),
        "pieces": st.sampled_from([0, 2**31 - 1]),
    }
)


@examples(12)
@given(st.lists(_strange, min_size=1, max_size=6))
def test_whatever_is_valid_is_judged(given: list[dict[str, Any]]) -> None:
    shipments = [msgspec.convert({**SHIPMENT, **fields}, Shipment) for fields in given]
    recorded = run([*shipments, *shipments[:1]], settings=Settings(emit_from="low"))
    assert recorded.rejects == []
    assert recorded.answers.keys() == {shipment.parcel for shipment in shipments}
    for alert in recorded.open_alerts():
        assert msgspec.json.decode(encode(alert), type=Alert) == alert


GARBAGE: dict[RejectReason, bytes | None] = {
    "empty": None,
    "oversized": b'{"x":"' + b"a" * 70_000 + b'"}',
    "invalid_utf8": b"\xff\xfe\x00",
    "invalid_json": b"{'event_id': NaN",
    "too_deep": b"[" * 5_000,
    "wrong_type": b"[]",
    "missing_field": b"{}",
    "unknown_value": wire({**SHIPMENT, "direction": "upwards"}),
    "out_of_range": wire({**SHIPMENT, "picked_up_at": 4_102_444_800_000}),
}


def test_garbage_of_every_kind_takes_no_good_row_with_it() -> None:
    good = [
        _shipment(number, goods_name="海洛因", picked_up_at=START + number * HOUR) for number in range(len(GARBAGE))
    ]
    spoiled = {topics.SCANS: wire({**SCAN, "scan_type": "lost"}), topics.INSPECTIONS: wire({**INSPECTION, "stage": 1})}
    values = [value for pair in zip(GARBAGE.values(), map(encode, good), strict=True) for value in pair]
    recorded = Recorded()
    recorded.feed(
        [
            Batch(topics.SHIPMENTS, 2, range(100, 100 + len(values)), values, [START + i for i in range(len(values))]),
            *(Batch(topic, 1, [7, 9], [value, b"\0"], [START, START]) for topic, value in spoiled.items()),
        ]
    )
    recorded.close()
    assert open_alerts(recorded) == open_alerts(run(good))
    wanted = [(topics.SHIPMENTS, 2, 100 + 2 * i, reason, START + 2 * i) for i, reason in enumerate(GARBAGE)]
    wanted += [(topics.SCANS, 1, 7, "unknown_value", START), (topics.SCANS, 1, 9, "empty", START)]
    wanted += [(topics.INSPECTIONS, 1, 7, "wrong_type", START), (topics.INSPECTIONS, 1, 9, "empty", START)]
    found = [(each.topic, each.partition, each.offset, each.reason, each.received_at) for each in recorded.rejects]
    assert sorted(found) == sorted(wanted)
    for each in recorded.rejects:
        assert msgspec.json.decode(encode(each), type=Reject) == each


def test_a_far_future_pickup_within_bounds_does_not_hide_the_others() -> None:
    """A clock set to 2099 is one parcel's trouble."""
    records: list[Record] = [_shipment(number, picked_up_at=START + number * DAY // 4) for number in range(6)]
    records += [_shipment(99, picked_up_at=4_102_444_799_999)]
    said = run(records).answers
    for parcel, wanted in reference.answers(records).items():
        assert {rule: said[parcel][rule] for rule in KNOWN} == {rule: wanted[rule] for rule in KNOWN}
