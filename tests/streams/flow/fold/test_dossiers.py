"""Dossiers: the set of a parcel's events, in whatever order, batch or number of copies they come."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import permutations
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.columns import COLUMNS
from schemas.inputs import MOVEMENTS
from schemas.records import Shipment
from streams.flow.batches import Answers, Movements, Uploads, untail
from streams.flow.describe.describer import Describer
from streams.flow.describe.movements import movements
from streams.flow.fold import parcels
from streams.flow.fold.dossiers import Dossiers
from streams.flow.fold.movements import MOVEMENTS_MAX
from streams.flow.fold.uploads import VERSIONS_MAX
from streams.flow.layout import FACT, HEAD, KINDS, MOVEMENT, PHONE, SENDER, VERSION
from streams.flow.revision import revisions
from streams.settings import Settings
from streams.state.store import MemoryStore
from tests.worlds import HOUR, START, Crowd, Record, parcel_of

DESCRIBER = Describer.of(Settings(), COLUMNS)


@cache
def described(shipments: tuple[Shipment, ...]) -> Uploads:
    """They come again and again, in many orders."""
    return DESCRIBER.uploads(shipments, [0] * len(shipments), range(len(shipments)))


def step(store: MemoryStore, records: Sequence[Record], answers: Answers | None = None) -> Dossiers:
    """Fold records, all on partition 0."""
    shipments = tuple(record for record in records if isinstance(record, Shipment))
    moves = [(each, [record for record in records if isinstance(record, each.record)]) for each in MOVEMENTS]
    touched = parcels.fold(
        store,
        described(shipments),
        Movements.joined([movements(each, some, [0] * len(some), range(len(some))) for each, some in moves]),
        answers or Answers.none(),
    )
    touched.save(store)
    return touched


def kept(store: MemoryStore) -> dict[bytes, bytes]:
    """What is stored, without the offsets that events were read at."""
    out = {}
    for key, value in store._values[0].items():
        head = np.frombuffer(value[: HEAD.itemsize], dtype=HEAD).copy()
        head["offset"] = 0
        rest = bytearray(value[HEAD.itemsize :])
        start = int(head["versions"][0]) * VERSION.itemsize
        moves = np.frombuffer(rest, dtype=MOVEMENT, count=int(head["movements"][0]), offset=start)
        moves["offset"] = 0
        out[key] = head.tobytes() + bytes(rest)
    return out


def facts(*rows: tuple[Shipment, int, int, int]) -> Answers:
    """Answers (upload, kind, known, first count)."""
    out = np.zeros(len(rows), dtype=FACT)
    for row, (shipment, kind, known, count) in zip(out, rows, strict=True):
        uploads = described((shipment,))
        row["parcel"], row["event"] = uploads.parcels[0], uploads.rows["event"][0]
        row["kind"], row["known"], row["counts"][0] = kind, known, count
        row["previous_ms"] = -1
    return Answers([0] * len(rows), out)


@pytest.fixture
def crowd() -> Crowd:
    return Crowd(Random(3))


def upload(crowd: Crowd, name: str, at: int = START, **fields: Any) -> Shipment:
    """An upload of parcel 1 that is known by `name`."""
    given = {"customer_type": "retail", "recorded_at": None, "sender_phone": "16800000001", **fields}
    made: Shipment = msgspec.structs.replace(crowd.shipment(1, 0, at), event_id=name, **given)
    return made


# --- uploads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batched", [False, True])
def test_the_newest_upload_stands_whatever_the_order(crowd: Crowd, batched: bool) -> None:
    """By its record's time, else its pickup's, and of equal ones by event id."""
    ones = [
        upload(crowd, "a", START + HOUR),
        upload(crowd, "b", START, recorded_at=START + 2 * HOUR),
        upload(crowd, "d", START + 9, recorded_at=START + 2 * HOUR),
        upload(crowd, "c", START + 3 * HOUR, recorded_at=START + 2 * HOUR),
    ]
    left = set()
    for order in permutations(ones):
        store = MemoryStore()
        given = [*order, order[0]]
        for batch in [given] if batched else [[each] for each in given]:
            step(store, batch)
        left.add(tuple(kept(store).items()))
        (value,) = store._values[0].values()
        head = np.frombuffer(value[: HEAD.itemsize], dtype=HEAD)[0]
        assert untail(value[HEAD.itemsize + 3 * VERSION.itemsize :])[0] == "d"
        assert (int(head["versions"]), int(head["picked_up_at"])) == (3, START + 9)
    assert len(left) == 1


@pytest.mark.parametrize("batched", [False, True])
def test_uploads_that_share_an_event_id_but_not_what_they_say_are_several(crowd: Crowd, batched: bool) -> None:
    """The newest stands, and of those of one time always the same."""
    ones = [
        upload(crowd, "a", recorded_at=START + HOUR, weight_g=100),
        upload(crowd, "a", recorded_at=START + 2 * HOUR, weight_g=200),
        upload(crowd, "a", recorded_at=START + 2 * HOUR, weight_g=300),
    ]
    left = set()
    for order in permutations(ones):
        store = MemoryStore()
        given = [*order, *order]
        for batch in [given] if batched else [[each] for each in given]:
            step(store, batch)
        left.add(tuple(kept(store).items()))
        (value,) = store._values[0].values()
        head = np.frombuffer(value[: HEAD.itemsize], dtype=HEAD)[0]
        assert int(head["versions"]) == 2
        assert int(head["weight_g"]) in (200, 300)
    assert len(left) == 1


def test_what_a_superseded_upload_said_is_taken_back(crowd: Crowd) -> None:
    store = MemoryStore()
    first = upload(crowd, "a", sender_id_no="440000198001010015", sender_phone="16800000001")
    second = upload(crowd, "b", START + 1, sender_id_no="440000198001010023", sender_phone="16800000001")
    told = step(store, [first]).observations()
    assert set(told["live"]) == {1}
    again = step(store, [second]).observations()
    back, new = again[again["live"] == 0], again[again["live"] == 1]
    assert sorted(back["entity"].tolist()) == sorted(told["entity"].tolist())
    assert set(back["event"]) == set(told["event"])
    assert not np.isin(new["event"], told["event"]).any()
    # The late arrival of one that does not stand is told, and taken back, in one.
    late = step(store, [upload(crowd, "0", START - 1)]).observations()
    assert len(late)
    assert set(late["live"]) == {0}


def test_a_repetition_changes_nothing(crowd: Crowd) -> None:
    store = MemoryStore()
    records: list[Record] = [
        upload(crowd, "a"),
        upload(crowd, "b", START + 1),
        crowd.scan(1, 0, START),
        crowd.inspection(1, 0, START),
    ]
    step(store, records)
    before = dict(store._values[0])
    for record in records:
        touched = step(store, [record, record])
        assert not touched.changed.any()
        assert not touched.judge.any()
        assert len(touched.observations()) == 0
    assert store._values[0] == before


def test_more_corrections_than_are_remembered(crowd: Crowd) -> None:
    """Whoever corrects a parcel a hundred times gets the newest judged, and no error; the revision rises on."""
    store = MemoryStore()
    none, found = np.zeros(1, dtype=np.int64), []
    for number in range(VERSIONS_MAX + 10):
        corrected = upload(crowd, f"{number:04d}", START + number)
        for touched in (step(store, [corrected]), step(store, [], facts((corrected, SENDER, 5, 1)))):
            found += revisions(touched, none, none, none, none == 0)
    assert found == sorted(set(found))
    (value,) = store._values[0].values()
    head = np.frombuffer(value[: HEAD.itemsize], dtype=HEAD)[0]
    assert (int(head["versions"]), int(head["picked_up_at"])) == (VERSIONS_MAX, START + VERSIONS_MAX + 9)


# --- answers ----------------------------------------------------------------------------------------------------------


def test_of_two_answers_the_one_that_stands_on_more_counts(crowd: Crowd) -> None:
    one = upload(crowd, "a")
    left = []
    for order in permutations([(one, SENDER, 1, 1), (one, SENDER, 3, 2), (one, SENDER, 2, 9), (one, PHONE, 1, 7)]):
        store = MemoryStore()
        step(store, [one])
        for answer in order:
            step(store, [], facts(answer))
        left.append(kept(store))
    assert all(each == left[0] for each in left)
    head = np.frombuffer(next(iter(left[0].values()))[: HEAD.itemsize], dtype=HEAD)[0]
    assert (int(head["sender_parcels_24h"]), int(head["phone_ids_30d"])) == (2, 7)
    assert head["known"].tolist() == [3, 1, 0, 0, 0]


def test_answers_of_a_superseded_upload_do_not_speak_for_the_new_one(crowd: Crowd) -> None:
    first, second = upload(crowd, "a"), upload(crowd, "b", START + 1)
    left = []
    for late in (False, True):
        store = MemoryStore()
        step(store, [first])
        if not late:
            step(store, [], facts((first, SENDER, 5, 20)))
        step(store, [second])
        if late:
            step(store, [], facts((first, SENDER, 5, 20)))
        touched = step(store, [], facts((second, SENDER, 2, 1)))
        left.append(kept(store))
        assert int(touched.heads["sender_parcels_24h"][0]) == 1
        # Two uploads, and what the histories counted for each of them.
        count, (zero, three, seventy) = 2 + 5 + 2, np.array([[0], [3], [70]])
        assert revisions(touched, zero, zero, zero, zero == 1) == [2 * 8 * count]
        assert revisions(touched, zero, three, seventy, zero == 0) == [2 * (8 * count + 73) + 1]
    assert left[0] == left[1]


def test_an_answer_about_what_is_not_known_here_is_passed_over(crowd: Crowd) -> None:
    store = MemoryStore()
    touched = step(store, [], facts((upload(crowd, "a"), SENDER, 5, 20)))
    assert not touched.changed.any()


# --- movements --------------------------------------------------------------------------------------------------------


def test_movements_are_a_set_in_order_of_time(crowd: Crowd) -> None:
    records: list[Record] = [crowd.scan(1, i, START + (7 * i) % 5 * HOUR) for i in range(5)]
    records += [crowd.inspection(1, i, START + i * HOUR) for i in range(2)]
    random = Random(5)
    left = set()
    for _ in range(30):
        given = [*records, *random.choices(records, k=3)]
        random.shuffle(given)
        store = MemoryStore()
        cut = random.randrange(len(given))
        for batch in (given[:cut], given[cut:]):
            step(store, batch)
        left.add(tuple(kept(store).items()))
    ((_, value),) = left.pop()
    assert not left
    moves = np.frombuffer(value, dtype=MOVEMENT, offset=HEAD.itemsize, count=7)
    assert moves["at"].tolist() == sorted(moves["at"].tolist())
    assert len(set(moves["id"].tolist())) == 7


def test_a_scan_and_an_inspection_may_share_an_id(crowd: Crowd) -> None:
    """Their ids come from different systems, which may both count from one."""
    store = MemoryStore()
    scan = msgspec.structs.replace(crowd.scan(1, 0, START), event_id="1")
    check = msgspec.structs.replace(crowd.inspection(1, 0, START), event_id="1")
    assert step(store, [scan, check]).heads["movements"].tolist() == [2]


def test_more_movements_than_are_kept(crowd: Crowd) -> None:
    """The earliest stay, in any order of arrival: they are what says whether a parcel was checked before it left."""
    records: list[Record] = [crowd.scan(1, i, START + i) for i in range(MOVEMENTS_MAX + 20)]
    random = Random(1)
    left = set()
    for size in (1_000, 40, 1):
        store = MemoryStore()
        random.shuffle(records)
        for first in range(0, len(records), size):
            step(store, records[first : first + size])
        left.add(tuple(kept(store).items()))
    ((_, value),) = left.pop()
    assert not left
    moves = np.frombuffer(value, dtype=MOVEMENT, offset=HEAD.itemsize, count=MOVEMENTS_MAX)
    assert moves["at"].tolist() == list(range(START, START + MOVEMENTS_MAX))


# --- several parcels --------------------------------------------------------------------------------------------------


def test_parcels_in_one_batch_do_not_mix(crowd: Crowd) -> None:
    records: list[Record] = []
    for number in range(1, 30):
        records += [crowd.shipment(number, 0, START), crowd.scan(number, 0, START), crowd.inspection(number, 0, START)]
        records += [crowd.shipment(number, 1, START + 1)] * (number % 3)
    together, apart = MemoryStore(), MemoryStore()
    step(together, records)
    for record in records:
        step(apart, [record])
    assert kept(together) == kept(apart)
    assert len(kept(together)) == 29


def test_equal_numbers_of_two_carriers_are_two_parcels(crowd: Crowd) -> None:
    store = MemoryStore()
    other = msgspec.structs.replace(upload(crowd, "a"), carrier_code="OTHER")
    touched = step(store, [upload(crowd, "a"), other])
    assert touched.parcels == [parcel.encode() for parcel in (f"ZTO:{parcel_of(1)['waybill_no']}", other.parcel)]
    assert len(set(touched.heads["event"].tolist())) == 2


def test_nothing_gives_nothing() -> None:
    store = MemoryStore()
    touched = parcels.fold(store, Uploads.none(), Movements.none(), Answers.none())
    touched.save(store)
    assert len(touched.observations()) == len(store._values) == 0
    nothing = np.empty(0, dtype=np.int64)
    assert revisions(touched, nothing, nothing, nothing, nothing == 0) == []
    assert len(KINDS) == HEAD["known"].shape[0]
