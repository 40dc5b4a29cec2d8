"""Tallies: equal to a recount, however the events came, whoever took over meanwhile, and whatever was forgotten."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.records import Inspection, Scan, Shipment
from schemas.reference import ReferenceRecord
from streams.files.driver import Offline
from streams.flow.fold.tallies import BASE, MARK
from streams.flow.time import watermarks
from streams.flow.time.expiry import Retention
from streams.settings import Settings
from streams.state.store import whole
from tests.repetition import examples
from tests.runs import catalogue, open_alerts, run
from tests.schemas.samples import SHIPMENT
from tests.tallies import Counts, published, recount
from tests.worlds import DAY, HOME, MINUTE, START, Event, events_of, shuffled, world

PARTITIONS = 2
KEPT = Retention(parcels=3 * DAY, under_way=5 * DAY, alerted=6 * DAY, observations=90 * DAY)
LONG_WORLD = 22  # of three weeks
_FIRST_DAY = 16_764  # START, in days from 1970


class Counting(Offline):
    """Counts, and keeps what was published, as the topic does."""

    def __init__(self, kept: Retention | None = None) -> None:
        super().__init__(
            Settings(home_adcodes=HOME), catalogue(), partitions=PARTITIONS, now_ms=START + 1_000 * DAY, retention=kept,
            tally_ms=1,
        )  # fmt: skip
        self.said: dict[bytes, bytes] = {}

    def publish(self) -> None:
        self.said |= {each.key: each.value for each in self.tallies()}

    def taken_over(self) -> None:
        """By a worker that has what is kept, and nothing of what was in memory."""
        parcels = self._parcels
        parcels.close()
        pieces = {number: whole(self.stores[0], number, 7) for number in range(PARTITIONS)}
        parcels.timers.open({number: parcels.restore(number, found, lambda: False) for number, found in pieces.items()})

    def end(self) -> Counts:
        """What a reader has when all is published."""
        self.close()
        self.publish()
        return published(self.said.items())


@pytest.fixture
def small_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks that believe three events."""
    monkeypatch.setattr(watermarks, "EVENTS", 5)
    monkeypatch.setattr(watermarks, "EVENTS_MIN", 3)


def at(event: Event) -> int:
    match event:
        case Shipment():
            return event.picked_up_at
        case Scan():
            return event.scanned_at
        case Inspection():
            return event.started_at


def shipment(number: int, picked_up_at: int) -> Shipment:
    fields = {**SHIPMENT, "event_id": f"u{number}-{picked_up_at}", "waybill_no": f"{number}", "outlet_id": "GZ1"}
    return msgspec.convert({**fields, "picked_up_at": picked_up_at, "recorded_at": None}, Shipment)


@examples(2)
@given(st.integers(0, 10**6), st.sampled_from([3, 33, 5_000]), st.integers(0, 99))
@example(2, 3, 1)
def test_tallies_are_those_of_a_recount(seed: int, size: int, order: int) -> None:
    records, rng = world(seed, 25), random.Random(order)
    wanted = recount(records, open_alerts(run(records)).values())
    counting, given = Counting(), shuffled(records, rng)
    for first in range(0, len(given), size):
        counting.feed(counting.batches(given[first : first + size]))
        if rng.random() < 0.3:
            counting.publish()
        if rng.random() < 0.3:
            counting.taken_over()
    assert counting.end() == wanted


@pytest.mark.usefixtures("small_clocks")
def test_what_is_forgotten_stays_counted() -> None:
    """Parcels are forgotten in between, their tallies just published or not; who takes over knows as much."""
    given = world(LONG_WORLD, 150)
    events = sorted(events_of(given), key=at)
    counting, looked = Counting(KEPT), 0
    counting.feed(counting.batches([each for each in given if isinstance(each, ReferenceRecord)]))
    for first in range(0, len(events), 40):
        counting.feed(counting.batches(events[first : first + 40]))
        if first % 80:
            counting.publish()
        looked += counting.expire()
    assert looked > 100
    found = counting.end()
    alerts = [alert for alert in counting.alerts.values() if alert.status == "open"]
    assert found == recount(given, alerts)

    counting.said.clear()
    for number in range(PARTITIONS):
        counting.stores[0].delete([number], [MARK])
    counting.taken_over()
    counting.publish()
    assert published(counting.said.items()) == found, "from what is kept alone, as when partitions have become more"


@pytest.mark.usefixtures("small_clocks")
def test_days_are_closed_when_nothing_is_kept_of_them() -> None:
    """Then their bases are gone, and what comes for them counts no more."""
    counting = Counting(KEPT)
    for day in range(0, 60, 2):
        records = [shipment(100 * day + number, START + day * DAY + number * MINUTE) for number in range(70)]
        counting.feed(counting.batches(records))
        counting.expire()
    counting.publish()
    rows = [row for number in range(PARTITIONS) for row in counting.stores[0].scan(number, BASE, 5_000, BASE + b"\xff")]
    days = sorted({int.from_bytes(key[-4:], "big") - _FIRST_DAY for key, _ in rows})
    assert (days[0], days[-1]) == (60 - 2 - (KEPT.tallies // DAY) // 2 * 2, 58)
    before = dict(counting.said)
    counting.feed(counting.batches([shipment(1, START + MINUTE + 1), shipment(9_999, START + 59 * DAY)]))
    counting.publish()
    changed = {key.decode()[4:12] for key in counting.said if counting.said[key] != before.get(key)}
    assert "20160123" in changed
    assert "20151125" not in changed
