"""With the native library histories and dossiers hold and answer the same, byte for byte, as without it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.inputs import MOVEMENTS
from schemas.measures import Measure
from schemas.records import Shipment
from streams import native
from streams.flow.batches import Answers, Movements, Uploads
from streams.flow.describe.movements import movements
from streams.flow.fold import histories, natively, parcels
from streams.flow.fold.counts import add_bits
from streams.flow.fold.dossiers import load
from streams.flow.fold.duties import BITS
from streams.flow.fold.movements import MOVEMENTS_MAX, fold_movements
from streams.flow.front.tables import fingerprint
from streams.flow.layout import FACT, FACT_COLUMNS, KINDS, MOVEMENT, OBSERVATION
from streams.state.store import MemoryStore
from tests.repetition import examples
from tests.streams.flow.fold.test_dossiers import DESCRIBER, upload
from tests.streams.flow.fold.test_figures import measures
from tests.streams.flow.fold.test_histories import Observation, observations, rows
from tests.worlds import START, Crowd

pytestmark = pytest.mark.native
Batches = Sequence[tuple[NDArray[np.void], NDArray[np.int64]]]


def told(batches: Batches, rows_max: int, library: Any | None) -> list[object]:
    """All that a run over these batches says and stores, as something to compare."""
    store = MemoryStore()
    out: list[object] = []

    def begun(numbers: list[int], keys: list[bytes], kinds: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        out.append((numbers, keys, kinds.tolist(), ends.tolist()))

    for found, partitions in batches:
        if library is None:
            facts = histories.fold(store, found, partitions, bucket_rows_max=rows_max, begun=begun)
        else:
            facts = natively.fold(library, store, found, partitions, begun=begun)
        out.append((facts.rows.tobytes(), facts.partitions.tobytes()))
    return [*out, {number: list(values.items()) for number, values in store._values.items()}]


@given(
    st.lists(observations(), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.integers(1, 9),
    st.sampled_from([1, 2, 3, 8, 1_000]),
)
@examples(100)
def test_histories_and_facts_are_the_same(
    found: list[list[Observation]], random: Random, size: int, rows_max: int
) -> None:
    given = [each for part in found for each in part]
    given += random.choices(given, k=3)
    random.shuffle(given)
    batches = []
    for first in range(0, len(given), size):
        part = rows(given[first : first + size])
        batches.append((part, (part["entity"] % 2).astype(np.int64)))
    assert told(batches, rows_max, natively.library_of("1", rows_max)) == told(batches, rows_max, None)


@given(measures(), observations())
@examples(100)
def test_any_measure_that_may_be_declared(measure: Measure, found: list[Observation]) -> None:
    kind = KINDS.index(measure.entity)
    name = "previous_km" if measure.figure == "distance" else FACT_COLUMNS[kind][0]
    window = measure.window_ms * 7 * 3_600_000  # in the measure of these observations
    own = Measure(name, measure.entity, measure.figure, window, measure.attribute, measure.same, measure.earlier)
    batch = rows(found)
    batch["kind"] = kind
    batches = [(batch, np.zeros(len(batch), dtype=np.int64))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histories, "MEASURES", (own,))
        wanted = told(batches, 1_000, None)
    assert told(batches, 1_000, natively.library_of("1", 1_000, (own,))) == wanted


def test_a_large_history() -> None:
    """Of one courier: thousands of rows in one bucket, which comes full."""
    random = np.random.default_rng(5)
    found = np.zeros(4_000, dtype=OBSERVATION)
    found["kind"], found["entity"], found["live"] = KINDS.index("courier"), 7, random.random(4_000) < 0.95
    found["at"] = 1_764_000_000_000 + random.integers(0, 5_400_000, 4_000)
    found["parcel"] = [str(number).encode() for number in range(4_000)]
    found["event"], found["a"] = np.arange(4_000), random.integers(0, 300, 4_000)
    found["b"] = random.integers(0, 9, 4_000)
    batches = [(part, np.zeros(len(part), dtype=np.int64)) for part in np.array_split(found, 7)]
    assert told(batches, 1_500, natively.library_of("1", 1_500)) == told(batches, 1_500, None)


def test_figures_and_fields_that_the_library_does_not_know() -> None:
    measure = Measure("sender_parcels_24h", "sender", "count", 1)
    object.__setattr__(measure, "figure", "median")
    with pytest.raises(ValueError, match="unknown figure"):
        natively.library_of("1", 8, (measure,))


Moved = list[tuple[int, int, int, int]]  # dossier, time, id, and what else it says

moved = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1)), max_size=9)
crowd = st.integers(1, MOVEMENTS_MAX + 9).map(lambda n: [(0, 5 + at, 100 + at, 0) for at in range(n)])


def moves(steps: Sequence[Moved], library: Any | None) -> list[object]:
    """What dossiers hold after each of these steps."""
    dossiers = load(MemoryStore(), [0] * 3, [b"a", b"b", b"c"], library)
    out: list[object] = []
    for step in steps:
        dossiers.changed[:] = dossiers.moved[:] = False
        rows = np.zeros(len(step), dtype=MOVEMENT)
        for name, values in zip(("at", "id", "value"), list(zip(*step, strict=True))[1:], strict=False):
            rows[name] = values
        fold_movements(dossiers, np.array([each[0] for each in step], dtype=np.int64), rows)
        held = [dossiers.heads.tobytes(), dossiers.changed.tolist(), dossiers.moved.tolist()]
        out.append((list(dossiers.movements), held))
    return out


@given(st.lists(moved | crowd, max_size=5))
@examples(150)
def test_movements_are_the_same(steps: list[Moved]) -> None:
    assert moves(steps, native.library("1", fingerprint())) == moves(steps, None)


def _uploads(crowd: Crowd) -> list[Shipment]:
    """Of two parcels; some newer than others, some alike but for what they say."""
    first = [
        upload(crowd, name, START + at, weight_g=100 + at) for name, at in (("a", 0), ("b", 1), ("b", 2), ("c", 1))
    ]
    return [*first, *(crowd.shipment(2, version, START + version) for version in range(3))]


CROWD = Crowd(Random(3))
UPLOADS = DESCRIBER.uploads(_uploads(CROWD), [0] * 7, range(7))
SCANS = movements(MOVEMENTS[0], [CROWD.scan(n, i, START + i) for n in (1, 2, 3) for i in (0, 1)], [0] * 6, range(6))
Told = tuple[int, int, int, int, int]  # upload, kind, known, count, whether it is saturated

told_of = st.tuples(
    st.integers(0, 6), st.integers(0, len(KINDS) - 1), st.integers(0, 4), st.integers(0, 9), st.integers(0, 1)
)
a_step = st.tuples(*(st.lists(each, max_size=6) for each in (st.integers(0, 6), st.integers(0, 5), told_of)))


def answers_of(told: Sequence[Told]) -> Answers:
    rows = np.zeros(len(told), dtype=FACT)
    for row, (i, *values) in zip(rows, told, strict=True):
        row["parcel"], row["event"] = UPLOADS.parcels[i], UPLOADS.rows["event"][i]
        row["kind"], row["known"], row["counts"], row["saturated"] = values
        row["previous_km"] = row["previous_ms"] = values[1]
    return Answers([0] * len(rows), rows)


def folded(steps: Sequence[tuple[list[int], list[int], list[Told]]], library: Any | None) -> list[object]:
    """What is stored and told after each of these steps."""
    store, out = MemoryStore(), list[object]()
    for sent, seen, told in steps:
        parcels_of, tails = [UPLOADS.parcels[i] for i in sent], [UPLOADS.tails[i] for i in sent]
        uploads = Uploads([0] * len(sent), parcels_of, UPLOADS.rows[sent], tails)
        moved = Movements([0] * len(seen), [SCANS.parcels[i] for i in seen], SCANS.rows[seen], SCANS.names)
        touched = parcels.fold(store, uploads, moved, answers_of(told), library=library)
        parcels.answer(touched, store, answers_of(told[::-1]))
        touched.save(store)
        marks = (touched.judge, touched.moved, touched.uploaded, touched.changed, touched.fresh)
        out.append((touched.parcels, [mark.tolist() for mark in marks], touched.heads.tobytes(), list(touched.tails)))
        out.append((list(touched.versions), touched.observations().tobytes(), dict(store._values[0])))
    return out


@given(st.lists(a_step, min_size=1, max_size=4))
@examples(60)
def test_dossiers_are_the_same(steps: list[tuple[list[int], list[int], list[Told]]]) -> None:
    assert folded(steps, native.library("1", fingerprint())) == folded(steps, None)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**32 - 1))), st.sampled_from([1, -1]))
@examples(60)
def test_counts_are_the_same(told: list[tuple[int, int]], sign: int) -> None:
    rows, bits = np.array([row for row, _ in told], dtype=np.int64), np.array([bits for _, bits in told], dtype="<u4")
    both = np.zeros((2, 4, BITS), dtype=np.int32)
    add_bits(both[0], rows, bits, sign)
    library = native.library("1", fingerprint())
    assert library is not None
    library.add_bits(both[1], rows.tobytes(), bits.tobytes(), sign)
    assert both[0].tolist() == both[1].tolist()
