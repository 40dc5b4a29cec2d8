"""The watermark: no absence is decided before what waits in the topics is read, whichever of them is read first."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec
import numpy as np
import pytest

from schemas import topics
from schemas.records import Inspection, Scan, Shipment, encode
from streams.files.driver import TOPIC_OF, raw
from streams.flow.sources import SOURCES
from streams.flow.time.timers import AHEAD_MS_MAX, PartitionTimers, ReadProgress, TimerService
from streams.kafka.transport.poller import Partition
from streams.state.store import MemoryStore, whole
from streams.worker.idle import Looks
from tests.runs import Recorded, run
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT
from tests.worlds import DAY, HOUR, MINUTE, START

Event = Shipment | Scan | Inspection
Sent = tuple[int, int, Event]
"""When it reaches its topic, its partition, and the event."""

SETTLE_MS = 2_000
PARTITIONS = 2
NOW = START + 1_000 * DAY
ABSENCES = ("journey.departed_uninspected", "journey.unregistered", "journey.ghost", "journey.second_xray_missing")


# --- any interleaving and any lag -------------------------------------------------------------------------------------


def journeys(rng: random.Random, parcels: int, speed: float) -> list[Sent]:
    """Parcels on their way, `speed` times as fast as the clock, and when each event reaches its topic.

    Some lack their inspection or their shipment record. Some are reported late as a whole. Events that are sent at one
    moment reach their topics within `SETTLE_MS`.
    """
    found = []
    for number in range(parcels):
        begin = START + number * rng.randint(0, 4) * MINUTE
        late = rng.choice((0, 0, 0, rng.randint(1, 40) * 30 * MINUTE))
        name = {"waybill_no": f"W{number}"}
        place = {"facility_adcode": "440111"}
        events: list[Event] = []
        if rng.random() < 0.8:
            given = {"picked_up_at": begin, "recorded_at": begin, "pickup_adcode": "530102", "event_id": f"u{number}"}
            events.append(msgspec.convert({**SHIPMENT, **name, **given}, Shipment))
        for kind, after, share in (("xray", 1, 0.7), ("second_xray", 20 * 60, 0.7)):
            at = begin + after * MINUTE
            given = {"inspection_type": kind, "started_at": at, "ended_at": at + 9_000, "event_id": f"i{number}{kind}"}
            if rng.random() < share:
                events.append(msgspec.convert({**INSPECTION, **name, **given}, Inspection))
        for kind, minutes in (("departed", 1), ("arrived", 19 * 60), ("out_for_delivery", 20 * 60 + 1)):
            at = begin + minutes * MINUTE
            given = {"scan_type": kind, "scanned_at": at, "event_id": f"s{number}{kind}", "weight_g": None}
            events.append(msgspec.convert({**SCAN, **name, **place, **given}, Scan))
        for event in events:
            sent = (time_of(event) + late - START) / speed + rng.randrange(SETTLE_MS)
            found.append((int(sent), number % PARTITIONS, event))
    return sorted(found, key=lambda each: each[0])


def time_of(event: Event) -> int:
    """Event time, epoch ms."""
    match event:
        case Shipment():
            return event.picked_up_at
        case Scan():
            return event.scanned_at
    return event.started_at


class Reader:
    """Reads topics as a worker does that lags in each of them as it likes. `clock`: ms since the first event."""

    def __init__(self, sent: Iterable[Sent], rng: random.Random) -> None:
        self.recorded = Recorded(partitions=PARTITIONS)
        self.clock = 0
        self.ever: set[tuple[str, str]] = set()
        self._rng = rng
        self.logs: defaultdict[Partition, list[tuple[int, Event]]] = defaultdict(list)
        for at, number, event in sent:
            self.logs[TOPIC_OF[type(event)], number].append((at, event))
        self._read: Counter[Partition] = Counter()
        self._places = [(topic, number) for topic in SOURCES.values() for number in range(PARTITIONS)]
        self._looks = Looks(self._ends, self._positions)
        self._timers(TimerService(SETTLE_MS))

    def _timers(self, timers: TimerService) -> None:
        self.recorded._parcels.timers = timers

    def _there(self, place: Partition) -> int:
        return sum(at <= self.clock for at, _ in self.logs[place])

    async def _ends(self, places: Collection[Partition]) -> dict[Partition, int]:
        told = {place: self._there(place) for place in places}
        self.some()  # reading goes on while the broker is asked
        return told

    async def _positions(self, read: Mapping[Partition, int]) -> Counter[Partition]:
        return Counter({place: self._read[place] for place in self._places})

    @property
    def done(self) -> bool:
        """Everything was sent, and is read."""
        return all(self._read[place] == len(self.logs[place]) for place in self._places)

    def some(self, most: int = 40, place: Partition | None = None) -> None:
        """Read a few records of one topic."""
        place = place or self._rng.choice(self._places)
        first = self._read[place]
        end = min(self._there(place), first + self._rng.randint(1, most))
        if end > first:
            self._read[place] = end
            values = [encode(event) for _, event in self.logs[place][first:end]]
            self.recorded._keep(self.recorded._parcels.step([raw(*place, values, first)], NOW))
            self.remember()

    def look(self) -> None:
        """Ask where topics end, and decide."""
        as_of = self.clock
        progress = asyncio.run(self._looks.look(self._read, self._places, (), as_of))
        for _ in range(self._rng.randrange(3)):
            self.clock += self._rng.randrange(400)
            self.some()
        self.recorded._keep(self.recorded._parcels.settle(progress, self.clock, NOW))
        self.remember()

    def remember(self) -> None:
        """What has been said to be missing, ever."""
        self.ever |= missing(self.recorded)

    def restart(self) -> None:
        """What is in memory is lost; what is stored is there."""
        parcels = self.recorded._parcels
        assert isinstance(parcels.store, MemoryStore)
        stored = {number: whole(parcels.store, number, 7) for number in parcels.store._values}
        self._timers(TimerService(SETTLE_MS))
        parcels.timers.open({number: parcels.restore_timers(each, lambda: False) for number, each in stored.items()})
        self._looks.forget()


@pytest.mark.parametrize("seed", range(40))
def test_no_lag_of_a_topic_makes_anything_missing(seed: int) -> None:
    """Live or at full speed, with reports that come late, topics that stand still for long, and restarts."""
    rng = random.Random(seed)
    sent = journeys(rng, rng.randint(5, 40), speed=rng.choice((1, 60, 100_000)))
    reader = Reader(sent, rng)
    last = sent[-1][0]
    stuck, most = rng.choice(reader._places), rng.choice((2, 40))
    while not reader.done:
        match rng.choice(("read", "read", "read", "wait", "look", "look", "restart")):
            case "read":
                place = rng.choice([place for place in reader._places if place != stuck] + [stuck] * (rng.random() < 0.1))
                reader.some(most, place)
            case "wait":
                reader.clock += int(rng.choice((50, 1_000, last / 20)) * rng.random())
            case "look":
                reader.look()
            case "restart" if rng.random() < 0.1:
                reader.restart()
    for _ in range(4):
        reader.clock += SETTLE_MS
        reader.look()
    at_once = Recorded(partitions=PARTITIONS)
    at_once.feed([raw(*place, [encode(event) for _, event in log]) for place, log in reader.logs.items()])
    assert missing(reader.recorded) == missing(at_once)
    at_once.close()
    assert reader.ever <= missing(at_once)


def missing(recorded: Recorded) -> set[tuple[str, str]]:
    """Parcels and what is said to be missing of them."""
    return {(parcel, rule) for parcel, answers in recorded.answers.items() for rule in ABSENCES if answers[rule]}
