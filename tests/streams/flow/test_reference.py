"""Reference data: what a table of records knows, however it was read, and sweeps that judge again what they touch."""

from __future__ import annotations

import asyncio
import json
import pickle
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas import topics
from schemas.records import Shipment, encode
from schemas.reference import Courier, Enterprise, Outlet
from streams.files.driver import raw
from streams.flow import layout
from streams.flow.batches import Batch
from streams.flow.decode import Limits
from streams.flow.describe.describer import Describer
from streams.flow.describe.tokens import load_keys
from streams.flow.front.reader import Front
from streams.flow.layout import HEAD, text_ref
from streams.flow.reference import EMPTY, Index, Reference
from streams.flow.reference.reading import Reader
from streams.flow.rejudge import Sweeper
from streams.settings import Settings
from tests.repetition import seeds
from tests.runs import Recorded, difference, open_alerts, run
from tests.schemas.samples import SHIPMENT
from tests.workbench import Workbench, newest_open, workbench
from tests.worlds import DAY, HOUR, START, Known, Record, events_of, register, resident_id, world

Message = tuple[bytes | None, bytes | None]  # key, value


def reader() -> Reader:
    return Reader(Front(Describer.of(Settings(), ()), Limits()))


def message(record: Known) -> Message:
    return record.key.encode(), encode(record)


def known(messages: list[Message], cuts: list[int] | None = None) -> Reference:
    """What these messages say, read in pieces that end at `cuts`."""
    table = reader()
    reference = EMPTY
    for first, end in zip([0, *(cuts or [])], [*(cuts or []), len(messages)], strict=True):
        some = messages[first:end]
        assert not table.add([value for _, value in some], range(first, end), [key for key, _ in some])
        reference = table.build()
    return reference


def same(one: Any, other: Any) -> bool:
    """Whether two of these objects hold the same."""
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)
    return bool(one == other)


@pytest.mark.parametrize("seed", seeds(1))
def test_however_the_records_are_cut_they_say_the_same(seed: int) -> None:
    rng = random.Random(seed)
    messages = [message(record) for record in register(seed, START + 9 * DAY)]
    messages += [(key, None) for key, _ in rng.sample(messages, len(messages) // 3)]
    messages += rng.sample(messages, len(messages) // 3)
    whole = known(messages)
    for _ in range(5):
        cuts = sorted(rng.randint(0, len(messages)) for _ in range(rng.randint(1, 6)))
        assert same(known(messages, cuts), whole)
    assert same(known(messages, list(range(1, len(messages)))), whole)


@pytest.mark.parametrize("seed", seeds(1))
def test_what_is_left_of_a_compacted_topic_says_the_same(seed: int) -> None:
    """But for older versions of a licence under one id, and for which of two ids spoke last of one outlet."""
    everything = [
        each
        for each in register(seed, START + 9 * DAY)
        if isinstance(each, Courier) or (isinstance(each, Outlet) and each.id == each.outlet_id)
    ]
    newest = {record.key: i for i, record in enumerate(everything)}
    table = reader()
    for i in sorted(newest.values()):
        assert not table.add([encode(everything[i])], [i])
    compacted, whole = table.build(), known([message(record) for record in everything])
    assert same(compacted.licences, whole.licences)
    assert same(compacted.couriers, whole.couriers)


def heads(*outlets: str, at: int = START) -> np.ndarray[Any, np.dtype[np.void]]:
    rows = np.zeros(len(outlets), dtype=HEAD)
    rows["picked_up_at"], rows["outlet"] = at, [text_ref(outlet) for outlet in outlets]
    return rows


def touched(reference: Reference, *outlets: str) -> list[int]:
    rows = heads(*outlets)
    return [int(number) for number in reference.touched(rows, rows["entity"][:, layout.PHONE])]


def enterprise(**given: Any) -> Enterprise:
    fields = {
        "id": "E1", "kind": "enterprise", "enterprise_id": "E1", "name": "示例快递企业", "uscc": "91000000SYNTH00001",
        "licence_no": "L1", "licence_adcodes": ["44"], "licence_scopes": ["domestic"], "enterprise_kind": "express",
        "video_online": True, "data_link": True, **given,
    }  # fmt: skip
    return msgspec.convert(fields, Enterprise)


def outlet(outlet_id: str, enterprise_id: str = "E1", **given: Any) -> Outlet:
    fields = {"id": outlet_id, "kind": "outlet", "outlet_id": outlet_id, "enterprise_id": enterprise_id}
    return msgspec.convert({**fields, "adcode": "440111", "lon": 113.2, "lat": 23.1, "fixed": True, **given}, Outlet)


def courier(courier_id: str, **given: Any) -> Courier:
    fields = {"id": courier_id, "kind": "courier", "courier_id": courier_id, "carrier_code": "SF", **given}
    return msgspec.convert({"enterprise_id": "E1", "outlet_id": "O1", "registered_at": START, **fields}, Courier)


def test_only_what_rules_read_counts_as_a_change() -> None:
    records: list[Known] = [enterprise(), outlet("O1"), outlet("O2", "E2"), enterprise(video_online=False)]
    assert touched(known([message(record) for record in records]), "O1", "O2", "O3") == [2, 3, 0]
    records += [outlet("O2"), enterprise(licence_from=START)]
    # A change of the enterprise is one of all its outlets, whether or not it has one in force.
    assert touched(known([message(record) for record in records]), "O1", "O2", "O3") == [6, 6, 0]
    records += [courier("C1")]  # the first of all: until then nobody could say who is none
    assert touched(known([message(record) for record in records]), "O1", "O3") == [7, 7]
    records += [courier("C2"), courier("C1", reviewed_at=START)]
    assert touched(known([message(record) for record in records]), "O1", "O3") == [7, 7]


def test_touching_never_falls() -> None:
    """Whatever comes: an outlet that moves to an enterprise of which nothing is new, one that is deleted."""
    rng = random.Random(3)
    messages: list[Message] = []
    before = [0, 0]
    for _ in range(300):
        theirs = rng.choice(("E1", "E2"))
        outlet_of = outlet(rng.choice(("O1", "O2")), theirs)
        record = rng.choice((enterprise(id=rng.choice("ab"), enterprise_id=theirs), outlet_of, courier("x")))
        key, value = message(record)
        messages.append((key, rng.choice((value, value, None))))
        after = touched(known(messages), "O1", "O2")
        assert all(a <= b for a, b in zip(before, after, strict=True))
        before = after
    assert min(before) > 200


def test_what_cannot_be_read_is_rejected_and_what_is_not_read_is_not() -> None:
    values: list[bytes | None] = [
        encode(courier("C1")),
        b'{"kind":"holiday","id":"2026-01-01","name":"x"}',
        b'{"kind":"machine","id":"X1","machine_id":"X1","facility_id":"F","machine_kind":"xray","seen_at":1764000000000}',
        b'{"kind":"drone","id":"D1"}',
        b"",
        None,
        b"{",
        b"\xff",
        b'{"kind":"outlet","id":"O1"}',
        encode(courier("C2")).replace(b'"SF"', b'"S:F"'),
        b'{"kind":"courier","id":"' + b"x" * 70_000 + b'"}',
        b"\0\0\0\0\1" + encode(outlet("O9")),
        encode(enterprise()).replace(b'"kind":"enterprise",', b""),
        encode(outlet("O1")).replace(b'"kind":"outlet",', b""),
    ]
    table = reader()
    bad = table.add(values, range(5, 5 + len(values)))
    assert [(each.index, each.reason) for each in bad] == [
        (3, "unknown_value"), (4, "empty"), (5, "empty"), (6, "invalid_json"), (7, "invalid_utf8"),
        (8, "missing_field"), (9, "out_of_range"), (10, "oversized"),
        (12, "missing_field"), (13, "missing_field"),
    ]  # fmt: skip
    reference = table.build()
    assert dict(reference.sizes) == {"enterprise": 0, "outlet": 1, "courier": 1}
    assert reference.end == 5 + len(values)


def test_a_courier_is_known_by_tokens_alone() -> None:
    number, phone = resident_id(7), "16800000007"
    reference = known([message(courier("C1", id_no=f" {number.lower()}", phone=f"+86 {phone}"))])
    clear = pickle.dumps(reference)
    assert not any(text.encode() in clear for text in (number, number[:17], phone))
    tokens = load_keys()
    assert reference.couriers.person.refs.tolist() == tokens.tokens("id", [number]).tolist()
    assert reference.couriers.phone.refs.tolist() == tokens.tokens("phone", [phone]).tolist()
    masked = known([message(courier("C1", id_no="440***********0013", phone="168****0007"))])
    assert len(masked.couriers.person.refs) == len(masked.couriers.phone.refs) == 0


def test_nobody_is_looked_up() -> None:
    index = Index(np.array([5, 9], dtype=np.uint64), np.array([1, 2]))
    assert index.get(np.array([0, 5, 7, 9, 10], dtype=np.uint64), -1).tolist() == [-1, 1, -1, 2, -1]
    assert Index().get(np.array([0, 5], dtype=np.uint64), -1).tolist() == [-1, -1]


# --- sweeps -----------------------------------------------------------------------------------------------------------


def parcels(count: int) -> list[Record]:
    """Each has an alert, and 25 points more with a courier who is not registered."""
    fields = {**SHIPMENT, "goods_name": "海洛因", "goods_form": None, "sender_id_no": resident_id(1)}
    return [
        msgspec.convert(
            {
                **fields,
                "waybill_no": f"{i:05d}",
                "event_id": f"e{i}",
                "picked_up_at": START + i * HOUR,
                "courier_id": "C1",
            },
            Shipment,
        )
        for i in range(count)
    ]


def unregistered(recorded: Recorded) -> int:
    return sum(any(reason.rule == "courier.unregistered" for reason in each.reasons) for each in recorded.open_alerts())


@pytest.mark.parametrize("rows_max", [1, 7, 60, 5_000])
def test_slices_of_any_size_come_to_the_same(rows_max: int) -> None:
    recorded = Recorded(partitions=4)
    recorded._sweeper = Sweeper(recorded._parcels, rows_max=rows_max)
    records = parcels(60)
    recorded.feed(recorded.batches(records))
    for change, count in (
        ([courier("C2")], 60),
        ([courier("C1", left_at=START + 20 * HOUR)], 40),
        ([courier("C1")], 0),
    ):
        recorded.feed(recorded.batches(change))
        assert unregistered(recorded) == count


def test_a_sweep_that_is_cut_short_goes_on_with_the_next_worker(tmp_path: Path) -> None:
    """Its state says how far it had come; and what is swept already is not swept again."""
    records = parcels(50)
    changes: list[Known] = [courier("C2")]
    wanted = open_alerts(run([*records, *changes]))

    def take(bench: Workbench) -> None:
        bench.worker.inputs.sweeper._rows_max = 4
        bench.know([raw(topics.REFERENCE, 0, [encode(record) for record in changes])])

    async def slices(bench: Workbench, most: int) -> int:
        done = 0
        while done < most and await bench.worker.inputs.sweep():
            done += 1
            await bench.commit()
        return done

    async def first() -> None:
        with workbench(tmp_path) as bench:
            await bench.settle(run(records[:0]).batches(records))
            await bench.let_pass(START + 10_000 * DAY)
            await bench.commit()
            take(bench)
            assert await slices(bench, 3) == 3
            published.extend(bench.effects.published)

    async def second() -> int:
        with workbench(tmp_path) as bench:
            take(bench)
            count = await slices(bench, 10**6)
            published.extend(bench.effects.published)
            # An epoch of a sweep names offsets too: by them a worker that has lost its partitions is refused.
            assert all(epoch.offsets for epoch in bench.effects.epochs)
            return count

    published: list[tuple[str, int, bytes | None, bytes]] = []
    asyncio.run(first())
    assert asyncio.run(second()) > 10
    assert asyncio.run(second()) == 0
    assert not difference(newest_open(published), wanted)


def test_a_rejected_record_is_published_once(tmp_path: Path) -> None:
    recorded = Recorded(partitions=3)
    batch = raw(topics.REFERENCE, 0, [b"{", encode(courier("C1")), b"[]"])
    recorded.feed([batch])
    recorded.feed([raw(topics.REFERENCE, 0, [encode(courier("C2"))], first=3)])
    recorded.feed([raw(topics.REFERENCE, 0, [b"null"], first=4)])
    assert [(each.topic, each.offset) for each in recorded.rejects] == [(topics.REFERENCE, at) for at in (0, 2, 4)]


@pytest.mark.parametrize("seed", [2, 12, 13])
def test_deleted_records_leave_no_trace_in_answers(seed: int) -> None:
    records = world(seed, 60)
    recorded = run(records)
    gone = [(record.key.encode(), None) for record in records if record not in events_of(records)]
    first = recorded._references
    recorded.feed([Batch(topics.REFERENCE, 0, range(first, first + len(gone)), [None] * len(gone), [0] * len(gone),
                         keys=[key for key, _ in gone])])  # fmt: skip
    assert recorded.answers == run(events_of(records)).answers


def test_a_kind_of_which_all_is_refused_is_silent_until_one_record_can_be_read() -> None:
    reading = reader()
    refused = b'{"kind":"enterprise","id":"E1"}'
    reading.add([refused, *(encode(outlet("GZ1")),)], [0, 1])
    assert reading.build().silent == {"enterprise": "missing_field, $.enterprise_id: required"}
    reading.add([encode(enterprise())], [2])
    assert reading.build().silent == {}


@pytest.mark.parametrize("blank", ["", "\u200b"])
def test_options_that_hold_nothing_do_not_refuse_an_enterprise(blank: str) -> None:
    reading = reader()
    given = json.loads(encode(enterprise()))
    values = {**given, **dict.fromkeys(("uscc", "licence_to", "filing_no", "licence_from"), blank)}
    assert reading.add([json.dumps(values).encode()], [0]) == []
    assert reading.build().sizes["enterprise"] == 1
