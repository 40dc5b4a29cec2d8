"""Histories: whatever the batches and their order, the facts are those of the set; a full one says that it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streams.flow.describe.place import distance_km
from streams.flow.fold import histories
from streams.flow.layout import (
    COURIER,
    DAY_MS,
    FACT_COLUMNS,
    HOUR_MS,
    MINUTE_MS,
    OBSERVATION,
    OBSERVED,
    OUTLET_PREFIX,
    PHONE,
    RECIPIENT,
    SENDER,
    SPAN_MS,
)
from streams.state.format import FORMAT
from streams.state.store import MemoryStore

PLACES = (440111, 440306, 310115, 990101)
ROWS_MAX = 1_000
Fact = dict[str, float | None]


@dataclass(frozen=True)
class Observation:
    kind: int
    entity: int
    at: int
    parcel: int
    a: int = 1
    b: int = 1
    place: int = 440111
    live: bool = True

    @property
    def event(self) -> int:
        """One upload a parcel and time."""
        return self.parcel * 10**15 + self.at

    @property
    def rank(self) -> tuple[int, int, int]:
        return self.at, self.parcel, self.event

    def superseded(self) -> Observation:
        """What is sent when a later upload takes its place."""
        return replace(self, a=0, b=0, place=0, live=False)


@st.composite
def observations(draw: st.DrawFn) -> list[Observation]:
    """Some of one kind, at times on either side of where buckets and windows end; some of them superseded."""
    kind = draw(st.sampled_from([SENDER, PHONE, RECIPIENT, COURIER, OUTLET_PREFIX]))
    span = int(SPAN_MS[kind])
    start = 1_764_000_000_000 // span * span
    step = draw(st.sampled_from([span, span // 4, DAY_MS, HOUR_MS, MINUTE_MS // 3]))
    times = st.tuples(st.integers(-3, 6), st.integers(-1, 1)).map(lambda at: start + at[0] * step + at[1])
    made = draw(
        st.lists(
            st.builds(
                Observation,
                kind=st.just(kind),
                entity=st.integers(1, 2),
                at=times,
                parcel=st.integers(1, 5),
                a=st.integers(0, 3),
                b=st.integers(1, 3),
                place=st.sampled_from(PLACES),
            ),
            min_size=1,
            max_size=14,
            unique_by=lambda observation: observation.event,
        )
    )
    gone = draw(st.lists(st.sampled_from(made), max_size=4))
    return [*made, *(observation.superseded() for observation in gone)]


def rows(found: Sequence[Observation]) -> NDArray[np.void]:
    out = np.zeros(len(found), dtype=OBSERVATION)
    for row, each in zip(out, found, strict=True):
        for name in ("kind", "entity", "at", "event", "a", "b", "place", "live"):
            row[name] = getattr(each, name)
        row["parcel"] = str(each.parcel).encode()
        row["partition"] = each.parcel % 4
    return out


class Run:
    """Histories fed batch by batch, and the last word on each event."""

    def __init__(self, rows_max: int = ROWS_MAX, partition: int = 0) -> None:
        self.store = MemoryStore()
        self.facts: dict[tuple[int, int], Fact] = {}
        self.sent = 0
        self._rows_max = rows_max
        self._partition = partition

    def feed(self, found: Sequence[Observation]) -> Run:
        partitions = np.full(len(found), self._partition)
        facts = histories.fold(self.store, rows(found), partitions, bucket_rows_max=self._rows_max)
        self.sent += len(facts.rows)
        for row, to in zip(facts.rows, facts.partitions, strict=True):
            assert to == int(row["parcel"]) % 4, "facts go where the parcel is"
            told = _fact(row)
            before = self.facts.get((int(row["kind"]), int(row["event"])))
            if before is None or (told["known"] or 0) >= (before["known"] or 0):
                self.facts[int(row["kind"]), int(row["event"])] = told
        return self


def _fact(row: np.void) -> Fact:
    kind = int(row["kind"])
    told: Fact = {name: int(row["counts"][i]) for i, name in enumerate(FACT_COLUMNS[kind])}
    told |= {"known": int(row["known"]), "saturated": int(row["saturated"])}
    if kind == SENDER:
        km, ms = float(row["previous_km"]), int(row["previous_ms"])
        told |= {"previous_km": None if np.isnan(km) else round(km, 1), "previous_ms": None if ms < 0 else ms}
    return told


def brute(found: Iterable[Observation]) -> dict[tuple[int, int], Fact]:
    """The facts of a set of observations, one by one and in words."""
    by_event: dict[tuple[int, int, int], Observation] = {}
    for each in found:
        key = (each.kind, each.entity, each.event)
        if key not in by_event or not each.live:
            by_event[key] = each
    everything = sorted(by_event.values(), key=lambda each: each.rank)
    return {(each.kind, each.event): _brute(each, everything) for each in everything}


def _brute(me: Observation, everything: list[Observation]) -> Fact:
    mine = [o for o in everything if o.entity == me.entity and o.rank <= me.rank]

    def within(span: int) -> list[Observation]:
        return [o for o in mine if o.at > me.at - span]

    window = within(int(SPAN_MS[me.kind]))
    live = [o for o in window if o.live]
    told: Fact = {"known": len(window) + sum(not o.live for o in window), "saturated": 0}
    ids = len({o.a for o in live if o.a})
    if me.kind == COURIER:
        clones = [o for o in live if o.b == me.b]
        return told | {
            "courier_ids_60s": len({o.a for o in within(MINUTE_MS) if o.live and o.a}),
            "courier_clones_1h": len(clones),
            "courier_clone_ids_1h": len({o.a for o in clones if o.a}),
        }
    day = [o for o in within(DAY_MS) if o.live]
    if me.kind == PHONE:
        return told | {"phone_ids_30d": ids, "phone_parcels_24h": len(day)}
    if me.kind != SENDER:
        return told | {FACT_COLUMNS[me.kind][0]: ids}
    before = [o for o in live if o.rank < me.rank]
    km = distance_km(np.array([before[-1].place]), np.array([me.place]))[0] if before else np.nan
    return told | {
        "sender_parcels_24h": len(day),
        "sender_earlier_90d": len(before),
        "sender_names_90d": ids,
        "sender_outlets_90d": len({o.b for o in live}),
        "sender_provinces_24h": len({o.place // 10_000 for o in day}),
        "previous_km": None if np.isnan(km) else round(float(km), 1),
        "previous_ms": me.at - before[-1].at if before else None,
    }


@given(observations(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_facts_are_those_of_the_set(found: list[Observation], random: Random, size: int) -> None:
    given = [*found, *random.choices(found, k=3)]
    random.shuffle(given)
    run = Run()
    for first in range(0, len(given), size):
        run.feed(given[first : first + size])
    live = {(each.kind, each.event) for each in found} - {(each.kind, each.event) for each in found if not each.live}
    wanted = brute(found)
    # What a superseded upload would be told is nobody's business but for how much is known of it.
    assert {key: told for key, told in run.facts.items() if key in live} == {key: wanted[key] for key in live}
    assert {key: told["known"] for key, told in run.facts.items()} == {k: told["known"] for k, told in wanted.items()}


@given(observations())
def test_what_is_known_already_is_not_answered_again(found: list[Observation]) -> None:
    run = Run().feed(found)
    sent = run.sent
    assert run.feed(found).sent == sent


def test_entities_kinds_and_partitions_do_not_mix() -> None:
    at = 1_764_000_000_000
    for kind in (SENDER, PHONE, RECIPIENT, OUTLET_PREFIX):
        run = Run().feed([Observation(kind, entity, at, parcel=entity, a=entity) for entity in range(1, 40)])
        assert all(told["known"] == 1 for told in run.facts.values())
    mixed = Run().feed([Observation(kind, 7, at, parcel=1) for kind in (SENDER, PHONE, RECIPIENT, OUTLET_PREFIX)])
    assert all(told["known"] == 1 for told in mixed.facts.values())
    store = MemoryStore()
    two = rows([Observation(PHONE, 7, at, parcel=1), Observation(PHONE, 7, at, parcel=2)])
    facts = histories.fold(store, two, np.array([0, 1]), bucket_rows_max=ROWS_MAX)
    assert facts.rows["known"].tolist() == [1, 1]


# --- an entity that overflows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_full_history_keeps_the_newest_and_says_so(size: int) -> None:
    span = int(SPAN_MS[PHONE])
    start = 1_764_000_000_000 // span * span
    found = [Observation(PHONE, 1, start + i, parcel=i, a=i + 1) for i in range(30)]
    run = Run(rows_max=8)
    for first in range(0, len(found), size):
        run.feed(found[first : first + size])
    (kept,) = [_kept(value, "at") for value in run.store._values[0].values()]
    assert kept == [start + i for i in range(22, 30)]
    last = run.facts[PHONE, found[-1].event]
    assert last["saturated"] == 1
    assert 8 <= (last["phone_ids_30d"] or 0) <= 30
    assert run.facts[PHONE, found[0].event]["phone_ids_30d"] == 1


def test_a_window_that_reaches_into_a_full_bucket_is_a_lower_bound_too() -> None:
    span = int(SPAN_MS[PHONE])
    start = 1_764_000_000_000 // span * span
    run = Run(rows_max=8)
    for i in range(30):
        run.feed([Observation(PHONE, 1, start + i, parcel=i, a=i + 1)])
    after = Observation(PHONE, 1, start + span + 20, parcel=99, a=99)
    run.feed([after])
    told = run.facts[PHONE, after.event]
    assert (told["phone_ids_30d"] or 0) < len([i for i in range(30) if i > 20]) + 1
    assert told["saturated"] == 1
    later = Observation(PHONE, 1, start + 3 * span, parcel=100, a=100)
    assert run.feed([later]).facts[PHONE, later.event]["saturated"] == 0


def test_what_a_history_holds_is_told_again_when_it_gets_full() -> None:
    """Or what has no room in it later would be missing in counts that do not say so."""
    run = Run(rows_max=2)
    early, middle, late = (Observation(SENDER, 2, 1_764_000_000_000 + i, parcel=i, a=1) for i in range(3))
    run.feed([middle])
    assert run.facts[SENDER, middle.event]["saturated"] == 0
    run.feed([late])
    assert run.facts[SENDER, middle.event]["saturated"] == 1
    run.feed([early])
    assert run.facts[SENDER, middle.event]["sender_parcels_24h"] == 1


@given(observations(), st.randoms(use_true_random=False), st.integers(2, 4), st.integers(1, 5))
def test_counts_of_a_full_history_are_lower_bounds(
    found: list[Observation], random: Random, rows_max: int, size: int
) -> None:
    found = [each for each in found if each.live]
    random.shuffle(found)
    run = Run(rows_max=rows_max)
    for first in range(0, len(found), size):
        run.feed(found[first : first + size])
    buckets = [_kept(value) for value in run.store._values[0].values()]
    assert all(len(kept) <= rows_max for kept in buckets)
    kept = {event for bucket in buckets for event in bucket}
    for key, wanted in brute(found).items():
        told = run.facts[key]
        for column in FACT_COLUMNS[key[0]]:
            assert (told[column] or 0) <= (wanted[column] or 0)
            # One that has fallen out is not told any more when something earlier turns up.
            assert told[column] == wanted[column] or told["saturated"] or key[1] not in kept


def _kept(value: bytes, field: str = "event") -> list[int]:
    assert value[0] == FORMAT
    kept: list[int] = np.frombuffer(value, dtype=OBSERVED, offset=1)[field].tolist()
    return kept
