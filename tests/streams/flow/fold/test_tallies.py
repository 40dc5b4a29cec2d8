"""Tallies: equal to a recount, whatever way the events came, and what of them is kept and forgotten."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.files.driver import Offline
from streams.settings import Settings
from tests.repetition import examples
from tests.runs import catalogue, open_alerts, run
from tests.tallies import Counts, published, recount
from tests.worlds import DAY, HOME, START, Record, shuffled, world


def counted(records: list[Record], size: int, partitions: int, order: int) -> Counts:
    """What a run publishes that is fed so many at a time, and publishes now and then."""
    rng = random.Random(order)
    given = shuffled(records, rng)
    offline = Offline(
        Settings(home_adcodes=HOME), catalogue(), partitions=partitions, now_ms=START + 1_000 * DAY, tally_ms=1
    )
    said: dict[bytes, bytes] = {}
    for first in range(0, len(given), size):
        offline.feed(offline.batches(given[first : first + size]))
        if rng.random() < 0.3:
            said |= {each.key: each.value for each in offline.tallies()}
    offline.close()
    said |= {each.key: each.value for each in offline.tallies()}
    return published(said.items())


@examples(8)
@given(st.integers(0, 10**6), st.sampled_from([3, 33, 5_000]), st.sampled_from([1, 4]), st.integers(0, 99))
def test_tallies_are_those_of_a_recount(seed: int, size: int, partitions: int, order: int) -> None:
    records = world(seed, 25)
    wanted = recount(records, open_alerts(run(records)).values())
    assert counted(records, size, partitions, order) == wanted
