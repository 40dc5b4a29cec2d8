"""Whatever bytes arrive, each value is a row or a reject, and says nothing of its content."""

from __future__ import annotations

import json
import random
import sys
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.inputs import INPUTS
from schemas.records import Inspection, ParcelEvent, Scan, Shipment
from schemas.terms import RejectReason
from streams.flow import decode as module
from streams.flow.decode import Decoded, Limits, decode
from tests.reference import plain
from tests.repetition import LONG, examples
from tests.schemas.samples import EVENTS, INSPECTION, SCAN, SHIPMENT, spoiled, wire

KINDS: dict[str, type[ParcelEvent]] = {each.kind: each.record for each in INPUTS}
GOOD = wire(SHIPMENT)


def with_field(**fields: Any) -> bytes:
    return wire({**SHIPMENT, **fields})


def without(field: str) -> bytes:
    return wire({name: value for name, value in SHIPMENT.items() if name != field})


def raw_field(name: str, text: bytes) -> bytes:
    """A shipment in which the value of one field is written so."""
    return with_field(**{name: "@here@"}).replace(b'"@here@"', text)


def reason_of(value: bytes | None, limits: Limits | None = None) -> tuple[str, str]:
    """Reason and detail of a value among good ones, which all come through."""
    decoded = decode(Shipment, [GOOD, value, GOOD], limits or Limits())
    assert decoded.indices == [0, 2]
    assert [row.goods_name for row in decoded.rows] == ["衣服", "衣服"]
    (refusal,) = decoded.rejected
    assert refusal.index == 1
    return refusal.reason, refusal.detail


def accepted(value: bytes) -> Shipment:
    decoded = decode(Shipment, [value])
    assert decoded.rejected == []
    return decoded.rows[0]


def test_a_row_carries_every_field_of_the_wire() -> None:
    for kind in KINDS:
        (row,) = decode(KINDS[kind], [wire(EVENTS[kind])]).rows
        assert msgspec.to_builtins(row) == {name: v for name, v in EVENTS[kind].items() if v is not None}


def test_options_may_be_null_or_absent() -> None:
    required = {field.name for field in msgspec.structs.fields(Scan) if field.required}
    absent = wire({name: value for name, value in SCAN.items() if name in required})
    null = wire({name: value if name in required else None for name, value in SCAN.items()})
    first, second = decode(Scan, [absent, null]).rows
    assert first == second
    assert first.weight_g is None


@pytest.mark.parametrize("mark", ["\ufeff", "\\ufeff", "\\uFEFF", "\ufeff\ufeff"])
@pytest.mark.parametrize("place", ["{}name", "name{}", "{}name{}"])
def test_byte_order_marks_at_the_name_of_a_field_are_taken_off(mark: str, place: str) -> None:
    whole = accepted(GOOD)
    for field in SHIPMENT:
        name = place.replace("{}", mark).replace("name", field)
        assert accepted(GOOD.replace(b'"%s"' % field.encode(), b'"%s"' % name.encode(), 1)) == whole, field


@pytest.mark.parametrize("marks", ["\ufeff", "\ufeff\ufeff", " \ufeff"])
def test_byte_order_marks_before_a_record_are_taken_off(marks: str) -> None:
    assert accepted(marks.encode() + GOOD) == accepted(GOOD)
    assert accepted(b"\0\0\0\0\1" + marks.encode() + GOOD) == accepted(GOOD)


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\ufeff\u3000", "'", '=""'])
@pytest.mark.parametrize("kind", KINDS)
def test_options_that_hold_nothing_are_absent(kind: str, blank: str) -> None:
    good = EVENTS[kind]
    options = [field.name for field in msgspec.structs.fields(KINDS[kind]) if not field.required]
    absent = wire({name: value for name, value in good.items() if name not in options})
    each = [wire({**good, name: blank}) for name in options]
    rows = decode(KINDS[kind], [absent, wire({**good, **dict.fromkeys(options, blank)}), *each]).rows
    assert len(rows) == 2 + len(options)
    # What is read as text is left to those that compare it, where it is not the normal form that is wanted.
    texts = {name for name in options if getattr(rows[1], name) is not None}
    assert blank or not texts
    assert all(plain(getattr(rows[1], name)) == "" for name in options)
    for name, row in zip(options, rows[2:], strict=True):
        assert plain(str(getattr(row, name) or "")) == ""


def test_empty_strings_inside_other_strings_are_left_alone() -> None:
    odd = 'x"hs6":""y'
    assert accepted(with_field(goods_name=odd, hs6="")).goods_name == odd
    assert accepted(with_field(sender_name='"hs6":""', recipient_name='\\"hs6": ""', device_id="")).hs6 is not None


@pytest.mark.parametrize("written", ["\u202a{}\u202c", " {}", "'{}", '="{}"', "\ufeff{}", "{}\ufe0f"])
def test_codes_are_read_in_their_normal_form(written: str) -> None:
    names = ("pickup_adcode", "dest_adcode", "dest_country", "direction", "customer_type", "goods_form", "hs6")
    row = accepted(with_field(**{name: written.format(SHIPMENT[name]) for name in names}))
    assert row == accepted(GOOD)
    assert accepted(with_field(pickup_adcode="４４０１１１")).pickup_adcode == "440111"


def test_what_the_key_of_the_message_repeats_stays_as_it_is_written() -> None:
    row = accepted(with_field(carrier_code=" SF", waybill_no="'1", event_id="\u200bE", hs6=" 610910 "))
    assert (row.carrier_code, row.waybill_no, row.event_id) == (" SF", "'1", "\u200bE")


def test_an_empty_batch_is_no_batch() -> None:
    assert decode(Scan, []) == Decoded([], [], [])


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "empty", "no value"),
        (b"", "empty", "no value"),
        (b"\0", "empty", "nothing behind the frame"),
        (b"\0\0\0\0\7", "empty", "nothing behind the frame"),
        (b" ", "invalid_json", "Input data was truncated"),
        (b"{" + b" " * 65_536, "oversized", "65537 bytes, at most 65536"),
        (b"\xff\xfe", "invalid_utf8", "not UTF-8 (byte 0)"),
        (raw_field("goods_name", b'"\xed\xa0\x80"'), "invalid_utf8", None),
        (GOOD[:-1] + b',"x":"\xff"}', "invalid_utf8", None),
        (GOOD[:-1] + b',"\xff":1}', "invalid_utf8", None),
        (raw_field("goods_name", b'"\\ud800"'), "invalid_json", None),
        (raw_field("goods_name", b'"\\ud800\\u0041"'), "invalid_json", None),
        (raw_field("weight_g", b"NaN"), "invalid_json", None),
        (raw_field("weight_g", b"-Infinity"), "invalid_json", None),
        (GOOD[:-1] + b',"x":NaN}', "invalid_json", None),
        (GOOD[:-1] + b',"x":01}', "invalid_json", None),
        (GOOD[:-1], "invalid_json", "Input data was truncated"),
        (GOOD + GOOD, "invalid_json", None),
        (GOOD[:-1] + b',"x":' + b"[" * 32 + b"]" * 32 + b"}", "too_deep", "nested deeper than 32 levels"),
        (GOOD[:-1] + b',"x":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"}", "too_deep", None),
        (b"[" * 60_000, "too_deep", None),
        (b"[" + GOOD + b"]", "wrong_type", "$: expected `object`, got `array`"),
        (b"null", "wrong_type", "$: expected `object`, got `null`"),
        (b'"a"', "wrong_type", "$: expected `object`, got `str`"),
        (b"1", "wrong_type", "$: expected `object`, got `int`"),
        (with_field(weight_g="850"), "wrong_type", "$.weight_g: expected `int`, got `str`"),
        (with_field(weight_g=True), "wrong_type", "$.weight_g: expected `int`, got `bool`"),
        (with_field(weight_g=1.5), "wrong_type", "$.weight_g: expected `int`, got `float`"),
        (with_field(goods_name=1.0), "wrong_type", "$.goods_name: expected `str`, got `float`"),
        (with_field(weight_g=None), "wrong_type", "$.weight_g: expected `int`, got `null`"),
        (with_field(goods_name=["a"]), "wrong_type", "$.goods_name: expected `str`, got `array`"),
        (with_field(agent_submitted=0), "wrong_type", "$.agent_submitted: expected `bool`, got `int`"),
        (with_field(sender_name=7), "wrong_type", "$.sender_name: expected `str | null`, got `int`"),
        (without("weight_g"), "missing_field", "$.weight_g: required"),
        (b"{}", "missing_field", "$.event_id: required"),
        (with_field(schema_version=2), "unknown_value", "$.schema_version: not one of the values defined"),
        (with_field(direction="inland"), "unknown_value", "$.direction: not one of the values defined"),
        (with_field(direction="` - at `$.goods_name"), "unknown_value", "$.direction: not one of the values defined"),
        (with_field(goods_form="gel"), "unknown_value", "$.goods_form: not one of the values defined"),
        (with_field(weight_g=-1), "out_of_range", "$.weight_g: expected `int` >= 0"),
        (with_field(weight_g=2**31), "out_of_range", "$.weight_g: expected `int` <= 2147483647"),
        (with_field(weight_g=10**30), "out_of_range", None),
        (raw_field("weight_g", b"9" * 5_000), "out_of_range", "$.weight_g: number too large"),
        (raw_field("weight_g", b"1e999"), "out_of_range", "$.weight_g: number too large"),
        (raw_field("weight_g", b"1e300"), "wrong_type", None),
        (with_field(freight_fen=2**53), "out_of_range", None),
        (with_field(picked_up_at=946_684_799_999), "out_of_range", None),
        (with_field(picked_up_at=4_102_444_800_000), "out_of_range", None),
        (with_field(picked_up_at=1_760_000_000), "out_of_range", None),
        (with_field(event_id=""), "out_of_range", "$.event_id: expected `str` of length >= 1"),
        (with_field(event_id="x" * 129), "out_of_range", None),
        (with_field(goods_name="字" * 513), "out_of_range", None),
        (with_field(carrier_code="S:F"), "out_of_range", None),
        (with_field(waybill_no="a\nb"), "out_of_range", None),
        (with_field(courier_id="a\x7f"), "out_of_range", None),
        (with_field(outlet_id="\x85"), "out_of_range", None),
        (with_field(pickup_adcode="044011"), "out_of_range", None),
        (with_field(pickup_adcode="44011"), "out_of_range", None),
        (with_field(dest_adcode="44011\n"), "out_of_range", None),
        (with_field(dest_adcode="４４０１１"), "out_of_range", None),
        (with_field(pickup_adcode="\u200b"), "out_of_range", None),
        (with_field(pickup_adcode=""), "out_of_range", None),
        (with_field(outlet_id=""), "out_of_range", "$.outlet_id: expected `str` of length >= 1"),
        (with_field(waybill_no=""), "out_of_range", None),
        (with_field(direction=""), "unknown_value", "$.direction: not one of the values defined"),
        (with_field(hs6="", weight_g=""), "wrong_type", "$.weight_g: expected `int`, got `str`"),
        (with_field(dest_country="cn"), "out_of_range", None),
        (with_field(hs6="61-091"), "out_of_range", None),
    ],
)
def test_a_reason_for_every_refusal(value: bytes | None, reason: str, detail: str | None) -> None:
    found, text = reason_of(value)
    assert found == reason
    if detail is not None:
        assert text == detail


@pytest.mark.parametrize(
    "value",
    [
        GOOD + b" \r\n\t",
        b"\0\0\0\0\7" + GOOD,
        GOOD[:-1] + b',"x":1e999}',
        GOOD[:-1] + b',"x":' + b"[" * 31 + b"]" * 31 + b"}",
        GOOD[:-1] + b',"x":"' + b"[{" * 100 + b'"}',
        with_field(goods_name="[{" * 100),
        with_field(goods_name='"' + "[{" * 100),
        with_field(goods_name="a\nb\u0000", sender_name="", sender_phone="￥£Â"),
        with_field(device_id="\u00a0é　字"),
        with_field(pickup_adcode="820000", dest_adcode=None),
        raw_field("goods_name", b'"\\ud83d\\ude00"'),
        b'{"event_id":"other",' + GOOD[1:],
    ],
)
def test_unusual_records_that_are_valid(value: bytes) -> None:
    accepted(value)


def test_numbers_with_a_fraction_of_zero_are_integers() -> None:
    row = accepted(with_field(weight_g=850.0, pieces=1.0, picked_up_at=1.76e12, schema_version=1.0, freight_fen=-0.0))
    assert (row.weight_g, row.pieces, row.picked_up_at, row.freight_fen) == (850, 1, 1_760_000_000_000, 0)
    assert all(type(n) is int for n in (row.weight_g, row.pieces, row.picked_up_at, row.schema_version))
    assert row == accepted(with_field(freight_fen=0))


def test_limits_are_settings() -> None:
    assert reason_of(GOOD[:-1] + b" " * 300 + b"}", Limits(bytes_max=len(GOOD)))[0] == "oversized"
    assert reason_of(GOOD[:-1] + b',"x":{}}', Limits(depth_max=1)) == ("too_deep", "nested deeper than 1 levels")


def test_depth_does_not_hang_on_the_stack_of_the_caller() -> None:
    nested = GOOD[:-1] + b',"x":' + b"[" * 31 + b"]" * 31 + b"}"

    def deep(levels: int) -> Decoded[Shipment]:
        return deep(levels - 1) if levels else decode(Shipment, [nested, b"[" * 50_000])

    decoded = deep(sys.getrecursionlimit() - 250)
    assert (decoded.indices, [refusal.reason for refusal in decoded.rejected]) == ([0], ["too_deep"])


def test_a_deep_record_does_not_hide_among_texts_without_braces() -> None:
    deep = GOOD[:-1] + b',"x":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}"
    decoded = decode(Shipment, [b"1"] * 60 + [deep, GOOD])
    assert decoded.indices == [61]
    assert decoded.rejected[60].reason == "too_deep"


def test_a_text_full_of_escaped_quotes_is_read_in_linear_time() -> None:
    hostile = b"[" * 40 + b'\\"' * 500_000
    assert module._depth(hostile) == 40  # quadratic, this would take hours


def test_no_detail_repeats_what_the_record_held() -> None:
    secret = "机密SECRET"
    values = [with_field(**{field: odd}) for field in SHIPMENT for odd in _secrets(secret)]
    values += [raw_field("goods_name", b'"' + secret.encode() + text) for text in (b"\\q", b"\xff", b"\n", b"")]
    rejected = decode(Shipment, values).rejected
    assert len(rejected) > 100
    assert {refusal.reason for refusal in rejected} >= {"wrong_type", "unknown_value", "out_of_range", "invalid_json"}
    for refusal in rejected:
        assert "SECRET" not in refusal.detail
        assert "机密" not in refusal.detail


def _secrets(secret: str) -> list[Any]:
    imitations = [f"` - at `$.{secret}`", f"Expected `int`, got `{secret}`"]
    return [secret * 100, secret + "\n:", {secret: secret}, [secret], *imitations]


def test_rows_and_errors_do_not_print_persons() -> None:
    row = accepted(GOOD)
    assert "王建国" not in f"{row!r} {row}"
    assert row.sender_name == "王建国"


COUNT = 35_000 if LONG else 1_200  # of each kind


@pytest.mark.parametrize("kind", KINDS)
def test_spoiled_byte_strings_all_become_rows_or_rejects(kind: str) -> None:
    """Among good rows; each has the same answer alone as in the batch. A long run has 100,000 of them."""
    chance = random.Random(f"{kind} 20240607")
    good = wire(EVENTS[kind])
    values = [good if chance.random() < 0.05 else spoiled(EVENTS[kind], chance) for _ in range(COUNT)]
    decoded = decode(KINDS[kind], values)
    refused = {refusal.index: refusal for refusal in decoded.rejected}
    assert decoded.indices == sorted(set(range(len(values))) - refused.keys())
    assert list(refused) == sorted(refused)
    assert len(decoded.rows) == len(decoded.indices)
    by_index = dict(zip(decoded.indices, decoded.rows, strict=True))
    whole = by_index[next(i for i, value in enumerate(values) if value == good)]
    assert all(by_index[i] == whole for i, value in enumerate(values) if value == good)
    assert {refusal.reason for refusal in decoded.rejected} == set(get_args(RejectReason)) - {"oversized"}
    for i in range(0, len(values), 7):
        alone = decode(KINDS[kind], values[i : i + 1])
        if i in by_index:
            assert alone.rows == [by_index[i]]
        else:
            assert [(r.reason, r.detail) for r in alone.rejected] == [(refused[i].reason, refused[i].detail)]
    _each_row_is_what_the_text_says(values, by_index)


def _each_row_is_what_the_text_says(values: list[bytes], by_index: dict[int, Any]) -> None:
    """Against Python's own reader: an accepted text is JSON, and the row holds its values, or their normal form."""
    for i, row in by_index.items():
        text = values[i][5:] if values[i][:1] == b"\0" else values[i]
        given = json.loads(text, parse_int=float)  # all integers of a record are exact as float; longer ones no error
        for field in row.__struct_fields__:
            value = given.get(field)
            assert getattr(row, field) in (value, plain(value) or None if isinstance(value, str) else value)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.binary(max_size=200) | st.none() | documents.map(lambda d: json.dumps(d).encode()), max_size=8))
@examples(100)
def test_anything_at_all(values: list[bytes | None]) -> None:
    for kind in KINDS:
        decoded = decode(KINDS[kind], [*values, wire(EVENTS[kind])])
        assert decoded.indices == [len(values)]
        assert [refusal.index for refusal in decoded.rejected] == list(range(len(values)))


@given(st.sampled_from(sorted(INSPECTION)), documents)
@examples(100)
def test_any_value_in_any_field(field: str, value: Any) -> None:
    decoded = decode(Inspection, [wire(INSPECTION), json.dumps({**INSPECTION, field: value}).encode()])
    assert decoded.indices[0] == 0
    assert len(decoded.rows) + len(decoded.rejected) == 2
    assert all(refusal.detail.startswith(("$.", "JSON", "Input")) for refusal in decoded.rejected)


@pytest.mark.parametrize("rows", [1, 511, 512, 513, 1_300])
def test_the_size_of_a_batch_changes_nothing(rows: int) -> None:
    values = [GOOD if i % 3 else b"{" for i in range(rows)]
    decoded = decode(Shipment, values)
    assert decoded.indices == [i for i in range(rows) if i % 3]
    assert [refusal.index for refusal in decoded.rejected] == [i for i in range(rows) if not i % 3]


def test_codes_seen_are_forgotten_before_they_fill_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_CODES_MAX", 10)
    values = [with_field(pickup_adcode=str(440_000 + i)) for i in range(100)]
    assert len(decode(Shipment, values).rows) == 100
    assert len(decode(Shipment, [with_field(pickup_adcode="000000")]).rejected) == 1
    (codes,) = [codes for codes in module._reader(Shipment)._codes if codes.field == "pickup_adcode"]
    assert len(codes.known) <= 11
