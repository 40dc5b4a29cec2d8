"""Traces: what is told of a parcel's way, and that nothing of a person is in it in clear."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from desk.traces.build import events_of, goods_shown, masked, traces_of
from schemas import topics
from schemas.desk import MOVEMENTS_MAX, Trace
from schemas.publish import schema
from schemas.records import Alert, Source, encode
from streams.flow.decode import Limits
from streams.flow.describe.tokens import DEVELOPMENT_KEYS, Tokeniser
from tests.desk.logs import ALERTED
from tests.repetition import examples
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT, wire

OLD = {"dev": DEVELOPMENT_KEYS["dev"], "old": bytes(range(32))}
TOKENS = Tokeniser(DEVELOPMENT_KEYS["state"], OLD, "dev")
PLACES = ((topics.SHIPMENTS, 0, 1), (topics.SCANS, 0, 2), (topics.INSPECTIONS, 0, 3))


def trace(*documents: dict[str, Any] | None) -> Trace:
    """The trace of an alert whose sources hold these; None: one that is past retention."""
    given = documents or (SHIPMENT, SCAN, INSPECTION)
    places = [PLACES[("goods_name" in d, "scan_type" in d, "result" in d).index(True) if d else 1] for d in given]
    at = [(topic, partition, number) for number, (topic, partition, _) in enumerate(places)]
    alert = replace(ALERTED, sources=tuple(Source(topic=t, partition=p, offset=o) for t, p, o in at))
    values = {place: wire(document) for place, document in zip(at, given, strict=True) if document is not None}
    (made,) = traces_of([alert], events_of(values, Limits()), TOKENS)
    return made


def test_a_trace_has_the_way_in_order_of_time() -> None:
    made = trace(SCAN, INSPECTION, SHIPMENT)
    assert [(each.kind, each.at, each.duration_ms) for each in made.movements] == [
        ("xray", 1_760_000_300_000, 4_000),
        ("departed", 1_760_000_600_000, None),
    ]
    assert (made.pickup_adcode, made.goods_class, made.weight_g, made.gaps) == ("440111", "solid", 850, ())
    assert made.key == "SF:1000000000001"
    assert Draft202012Validator(schema("trace")).is_valid(msgspec.json.decode(encode(made)))


def test_a_trace_shows_which_term_the_goods_hold_however_it_is_written() -> None:
    assert trace().goods_term is None
    made = trace({**SHIPMENT, "goods_name": "氯 氨 酮 16812345678"})
    assert (made.goods_term, made.goods_name) == ("氯胺酮", "氯 氨 酮 ****")


def test_persons_are_tokens_under_every_key_and_those_of_the_alert() -> None:
    made = trace()
    for tokens in (made.sender_tokens, made.sender_phone_tokens, made.device_tokens, made.courier_tokens):
        assert [token.partition(":")[0] for token in tokens] == ["dev", "old"]
    state = int(TOKENS.tokens("id", ["44000019900101001X"])[0])
    assert made.sender_tokens == (TOKENS.publish(state), TOKENS.publish(state, "old"))
    assert made.recipient_tokens == ()  # masked: it names nobody, so nothing is linked
    assert (made.sender_masked, made.recipient_masked) == ("王*", "李*")


def test_an_expired_source_and_one_of_another_parcel_are_named_as_gaps() -> None:
    other = {**SCAN, "waybill_no": "2"}
    made = trace(SHIPMENT, None, other)
    assert [(gap.topic, gap.offset) for gap in made.gaps] == [(topics.SCANS, 1), (topics.SCANS, 2)]
    assert made.movements == ()
    nothing = trace(None)
    assert (nothing.pickup_adcode, nothing.sender_tokens, len(nothing.gaps)) == (None, (), 1)


def test_one_event_that_stands_twice_is_one_movement_and_of_many_the_newest_are_kept() -> None:
    assert len(trace(SCAN, SCAN).movements) == 1
    scans = [{**SCAN, "event_id": f"s{n}", "scanned_at": SCAN["scanned_at"] + n} for n in range(MOVEMENTS_MAX + 9)]
    made = trace(*scans)
    assert len(made.movements) == MOVEMENTS_MAX
    assert made.movements[-1].at == SCAN["scanned_at"] + MOVEMENTS_MAX + 8


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("衣服", "衣服"),
        ("样品13800000000", "样品****"),
        ("样品 138 0000 0000 急", "样品 **** 急"),
        ("电话１３８００００００００", "电话****"),
        ("证件44000019900101001X", "证件****"),
        ("给赵子轩先生", "**先生"),
        ("衣服5件", "衣服5件"),
        ("a@b.cn 样品", "**** 样品"),
        ("王建国的药", "**的药"),
    ],
)
def test_goods_are_shown_without_numbers_and_names(name: str, shown: str) -> None:
    assert goods_shown(name, ("王建国", None)) == shown


@examples(25)
@given(
    name=st.text("王李赵建国秀英子轩", min_size=2, max_size=4),
    phone=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    id_no=st.from_regex(r"4400001990[0-9]{7}[0-9X]", fullmatch=True),
    goods=st.text("茶叶粉末样品 ", max_size=6),
)
def test_nothing_that_was_given_of_a_person_is_in_a_trace(name: str, phone: str, id_no: str, goods: str) -> None:
    persons = {
        "sender_name": name, "sender_phone": phone, "sender_id_no": id_no, "recipient_name": name[::-1] + "甲",
        "recipient_phone": phone[::-1], "agent_id_no": id_no[::-1],
        "goods_name": f"{goods}{name}{phone}{id_no}",
    }  # fmt: skip
    said = encode(trace({**SHIPMENT, **persons})).decode()
    for value in persons.values():
        assert value not in said
    assert name not in said


@pytest.mark.parametrize(
    ("name", "shown"),
    [(None, None), ("", None), (" ", None), ("王建国", "王*"), ("王**", "王*"), ("**", "*"), ("J", "J*")],
)
def test_a_name_is_shown_by_its_first_character(name: str | None, shown: str | None) -> None:
    assert masked(name) == shown


def test_what_an_alert_of_any_kind_names_is_traced() -> None:
    alert: Alert = replace(ALERTED, sources=())
    (made,) = traces_of([alert], {}, TOKENS)
    assert (made.alert_id, made.revision, made.movements, made.gaps) == (alert.alert_id, 2, (), ())
