"""With the native library the same rows, tails, names and rejects come out as without it, whatever comes in."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import load_catalogue
from schemas import topics
from schemas.inputs import INPUTS
from streams.flow.batches import Batch
from streams.flow.decode import Limits
from streams.flow.describe.describer import Describer
from streams.flow.front.reader import Front, Read
from streams.flow.reference.reading import Reader
from streams.native import Switch
from streams.settings import Settings
from tests.repetition import examples, seeds
from tests.schemas.samples import EVENTS, REFERENCE, wire
from tests.streams.flow.front.traffic import APPENDED, values
from tests.streams.flow.test_reference import same

pytestmark = pytest.mark.native
KINDS = tuple(each.kind for each in INPUTS)
Columns = tuple[str, ...]
EVERY: Columns = tuple(sorted(load_catalogue().columns))


@cache
def front(switch: Switch, columns: Columns = EVERY) -> Front:
    """A front end for rules that read these columns, with the library (1) or without it (0)."""
    return Front(Describer.of(Settings(native=switch), columns), Limits(bytes_max=4_096))


def batches(kind: str, found: Sequence[bytes | None], cuts: Sequence[int] = ()) -> list[Batch]:
    """Values as batches of several partitions, cut at these places."""
    ends = [0, *sorted(min(cut, len(found)) for cut in cuts), len(found)]
    topic = next(each.topic for each in INPUTS if each.kind == kind)
    return [
        Batch(topic, number, range(start, end), found[start:end], [-1] * (end - start))
        for number, (start, end) in enumerate(pairwise(ends))
    ]


def said(read: Read) -> tuple[Any, ...]:
    """All that a front end says, as something to compare."""
    rows = [
        (each.partitions, each.parcels, each.rows.dtype, each.rows.tobytes()) for each in (read.uploads, read.movements)
    ]
    return rows, read.uploads.tails, read.movements.names, [(batch.partition, bad) for batch, bad in read.rejected]


def compare(kind: str, found: Sequence[bytes | None], columns: Columns = EVERY, cuts: Sequence[int] = ()) -> int:
    """How many records the library left to Python, having compared."""
    given = batches(kind, found, cuts)
    native = front("1", columns).read(given)
    assert said(native) == said(front("0", columns).read(given))
    return native.strange


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", seeds(1))
def test_mutated_records(kind: str, seed: int) -> None:
    left = compare(kind, values(kind, 1_000, seed), cuts=(300, 301, 800))
    assert 50 < left < 900


@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.lists(st.integers(0, 40), max_size=3))
@examples(12)
def test_small_batches_of_mutated_records(kind: str, seed: int, cuts: list[int]) -> None:
    compare(kind, values(kind, 40, seed), cuts=cuts)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            field: st.text(max_size=20) | st.text("王张*·• 0189aZxX-+", max_size=19)
            for field in ("sender_name", "sender_phone", "sender_id_no", "recipient_phone", "goods_name", "event_id")
        },
    ),
    st.booleans(),
)
@examples(60)
def test_any_text_in_a_shipment(fields: dict[str, str], escaped: bool) -> None:
    text = wire({**EVENTS["shipment"], **fields}, escaped=True)
    compare("shipment", [text if escaped else text.decode("unicode_escape").encode("utf-8", "surrogatepass")])


@given(st.sampled_from(KINDS), st.binary(max_size=60), st.integers(0, 700), st.integers(0, 20))
@examples(60)
def test_any_bytes_in_a_record(kind: str, piece: bytes, at: int, less: int) -> None:
    good = wire(EVENTS[kind])
    compare(kind, [good[:at] + piece + good[at + less :], good])


@pytest.mark.parametrize(
    "columns", [(), ("sender_names_90d",), ("phone_ids_30d",), ("courier_clones_1h",), ("outlet_known",)]
)
def test_what_rules_read_is_what_is_filled(columns: Columns) -> None:
    compare("shipment", values("shipment", 200, columns), columns)


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_records_are_plain_however_they_are_written(kind: str) -> None:
    record = EVENTS[kind]
    written = [
        wire(record),
        wire(record, escaped=True),
        wire(dict(reversed(record.items()))),
        wire({name: value for name, value in record.items() if value is not None}),
        wire({"more": "值", **record, "x": None, "y": 1}),
        wire(record).replace(b",", b" ,\n\t ").replace(b":", b" : "),
        b"\0\0\0\0\7" + wire(record),
    ]
    assert compare(kind, written) == 0


def test_what_shipments_often_hold_is_plain() -> None:
    """Virtual numbers with an extension, and names that end as a title ends: many of a stream have them."""
    often = ({"recipient_phone": "15400000001-9818"}, {"sender_phone": "020-12345678"}, {"sender_name": "宋洋志"})
    assert compare("shipment", [wire({**EVENTS["shipment"], **fields}) for fields in often]) == 0


def test_names_with_what_marketplaces_append() -> None:
    names = [form.replace("NAME", name) for form in APPENDED for name in ("张三", "周小测", "JOHN SMITH", "王*")]
    compare("shipment", [wire({**EVENTS["shipment"], "sender_name": name}) for name in names])
    compare("shipment", [wire({**EVENTS["shipment"], "recipient_name": name}) for name in names[::7]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_may_be_read_ahead(kind: str) -> None:
    given = batches(kind, values(kind, 300, "ahead"), (100,))
    ahead = [front("1").ahead(batch) for batch in given]
    assert all(batch.plain for batch in ahead)
    expected = said(front("0").read(given))
    assert said(front("1").read(ahead)) == expected
    other = front("1", ())
    assert said(other.read(ahead)) == said(front("0", ()).read(given)), "read again, for other rules"
    assert all(front("0").ahead(batch) is batch for batch in given)


@given(st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=20))
@examples(30)
def test_lines_of_a_text(lines: list[bytes]) -> None:
    found = front("1").lines(b"\n".join(lines))
    assert list(found) == lines
    assert len(found) == len(lines)
    assert found[-1] == lines[-1]
    with pytest.raises(IndexError):
        found[len(lines)]


@pytest.mark.parametrize("kind", KINDS)
def test_lines_are_read_as_values_are(kind: str) -> None:
    written = [value.replace(b"\n", b" ") for value in values(kind, 300, "lines") if value]
    (one,) = batches(kind, written)
    read = front("1").read([replace(one, values=front("1").lines(b"\n".join(written)))])
    assert said(read) == said(front("0").read([one]))
    assert read.strange > 0, "some of them were objects"


def test_what_brings_no_events_is_not_read_ahead() -> None:
    batch = Batch(topics.FACTS, 0, [1], [b"x"], [-1])
    assert front("1").ahead(batch) is batch


@pytest.mark.parametrize("seed", seeds(2))
def test_reference_records(seed: int) -> None:
    kinds = [str(record["kind"]) for record in REFERENCE]
    found = [value for kind in kinds for value in values(kind, 300, seed)]
    random.Random(seed).shuffle(found)
    assert 200 < len(front("1").reference(found).strange) < len(found) - 200
    readers = [Reader(front(switch)) for switch in ("0", "1")]
    for start in range(0, len(found), 250):
        piece = found[start : start + 250]
        python, native = (reader.add(piece, range(start, start + len(piece))) for reader in readers)
        assert python == native
    assert same(readers[0].build(), readers[1].build())


def test_goods_names_are_read_once_and_kept() -> None:
    fresh = Front(Describer.of(Settings(native="1"), EVERY), Limits())
    found = [wire({**EVENTS["shipment"], "goods_name": f"衣服{number % 50}"}) for number in range(200)]
    given = batches("shipment", found)
    for _ in range(2):
        assert said(fresh.read(given)) == said(front("0").read(given))
        given = [replace(batch, partition=1) for batch in given]
