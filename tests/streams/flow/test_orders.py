"""The random arm: the parcels that a formula chooses, however their events came, and nobody foresees which."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.desk import Order
from streams.files.driver import Offline
from streams.flow.judged import Judged
from streams.flow.orders import Orders, chosen, seed_of
from streams.settings import Settings
from streams.state.store import whole
from tests.ordering import ORDER_KEY, ORDER_SHARE, drawn, standing
from tests.repetition import examples
from tests.runs import catalogue
from tests.worlds import DAY, HOME, START, shuffled, world


@examples(3)
@given(st.integers(0, 10**6), st.sampled_from([2, 33, 5_000]), st.integers(0, 99))
def test_the_same_are_drawn_however_events_come(seed: int, size: int, order: int) -> None:
    """And whoever takes over in between, with what is kept."""
    records, rng = world(seed, 25), random.Random(order)
    run = Offline(
        Settings(home_adcodes=HOME), catalogue(), partitions=2, now_ms=START + 1_000 * DAY,
        orders=Orders(ORDER_KEY, ORDER_SHARE, HOME),
    )  # fmt: skip
    given = shuffled(records, rng)
    for first in range(0, len(given), size):
        run.feed(run.batches(given[first : first + size]))
        if rng.random() < 0.3:
            run._parcels.close()
            for number in range(2):
                pieces = whole(run.stores[0], number, 7)
                run._parcels.timers.open({number: run._parcels.restore(number, pieces, lambda: False)})
    assert standing(run.orders.items()) == drawn(records)


def test_a_seed_is_of_one_day_and_one_key() -> None:
    days = [datetime(2026, 11, day, tzinfo=UTC).date() for day in range(1, 29)]
    seeds = {seed_of(key, day) for key in (ORDER_KEY, ORDER_KEY[::-1]) for day in days}
    assert len(seeds) == 2 * len(days)
    assert all(len(seed) == 16 for seed in seeds)


def test_as_many_are_drawn_as_asked_for() -> None:
    seed = seed_of(ORDER_KEY, datetime(2026, 11, 28, tzinfo=UTC).date())
    found = sum(chosen(seed, b"SF:%d" % number, 0.05) for number in range(20_000))
    assert abs(found - 1_000) < 5 * (20_000 * 0.05 * 0.95) ** 0.5
    assert chosen(seed, b"SF:1", 1.0)


def test_an_order_goes_out_with_each_event_once_and_keeps_the_probability_of_its_draw() -> None:
    """Whatever share is set by then; an event that is read again says nothing."""
    records = world(3, 25)
    first, rest = records[: len(records) // 2], records[len(records) // 2 :]
    run = Following(
        Settings(home_adcodes=HOME), catalogue(), partitions=1, now_ms=START + 1_000 * DAY,
        orders=Orders(ORDER_KEY, ORDER_SHARE, HOME),
    )  # fmt: skip
    run.feed(run.batches(first))
    before = standing(run.orders.items())
    assert before
    run.feed(run.batches(first))
    assert len(run.sent) == len(before), "nothing is news"
    run._parcels._orders = Orders(ORDER_KEY, 1e-9, HOME)
    for record in rest:
        run.feed(run.batches([record]))
    after = standing(run.orders.items())
    assert any(before[parcel] != after[parcel] for parcel in before.keys() & after.keys())
    assert all(one.revision < other.revision for one, other in run.pairs()), "each says that it is newer"


class Following(Offline):
    """Keeps every order that goes out."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.sent: list[Order] = []

    def _keep(self, judged: Judged) -> None:
        super()._keep(judged)
        self.sent += [msgspec.json.decode(each.value, type=Order) for each in judged.orders if each.value]

    def pairs(self) -> Iterator[tuple[Order, Order]]:
        """Each with the next one about its parcel."""
        by_parcel: dict[str, Order] = {}
        for order in self.sent:
            if order.key in by_parcel:
                yield by_parcel[order.key], order
            by_parcel[order.key] = order
