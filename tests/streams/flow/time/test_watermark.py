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
from schemas.inputs import INPUT_TOPICS
from schemas.records import Inspection, Scan, Shipment, encode
from streams.files.driver import TOPIC_OF, raw
from streams.flow.time.timers import AHEAD_MS_MAX, PartitionTimers, ReadProgress, TimerService
from streams.kafka.transport.grouping import Partition
from streams.state.store import MemoryStore, whole
from streams.worker.idle import Looks
from tests.repetition import seeds
from tests.runs import Recorded
from tests.schemas.samples import INSPECTION, SCAN, SHIPMENT
from tests.worlds import DAY, MINUTE, START

Event = Shipment | Scan | Inspection
Sent = tuple[int, int, Event]
"""When it reaches its topic, its partition, and the event."""

SETTLE_MS = 2_000
PARTITIONS = 2
NOW = START + 1_000 * DAY
ABSENCES = (
    "journey.departed_uninspected",
    "journey.unregistered",
    "journey.ghost",
    "journey.second_xray_missing",
    "journey.unresolved_departed",
)


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
        for kind, after, share in (("canine", 0, 0.5), ("xray", 1, 0.7), ("second_xray", 20 * 60, 0.7)):
            at = begin + after * MINUTE
            given = {"inspection_type": kind, "started_at": at, "ended_at": at + 9_000, "event_id": f"i{number}{kind}"}
            given["result"] = "suspicious" if kind == "canine" else "pass"  # a doubt that the X-ray settles
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
        self._places = [(topic, number) for topic in INPUT_TOPICS for number in range(PARTITIONS)]
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
        self._looks.clear()


@pytest.mark.parametrize("seed", seeds(3))
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
                place = rng.choice(
                    [place for place in reader._places if place != stuck] + [stuck] * (rng.random() < 0.1)
                )
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


# --- one case of each -------------------------------------------------------------------------------------------------


class Played:
    """A partition whose topics are read, and whose ends are looked at, as a test says."""

    def __init__(self) -> None:
        self.recorded = Recorded()
        self.timers = self.recorded._parcels.timers = TimerService(SETTLE_MS)

    def read(self, *events: Event) -> None:
        for event in events:
            self.recorded._keep(self.recorded._parcels.step([raw(TOPIC_OF[type(event)], 0, [encode(event)])], NOW))

    def look(self, at: int, *lagging: str, through: int | None = None, now: int = NOW, idle: bool = False) -> int:
        """The watermark after the broker was asked at a moment, in minutes after START."""
        progress = ReadProgress(at, lagging, at if through is None else through, idle)
        self.recorded._keep(self.recorded._parcels.settle({0: progress}, at, now))
        (watermark,) = self.timers.event_time(np.zeros(1, dtype=np.uint16))
        return int(watermark)

    def missing(self) -> bool:
        return ("SF:W", ABSENCES[0]) in missing(self.recorded)


def departed(minutes: int, waybill: str = "W") -> Scan:
    at = START + minutes * MINUTE
    given = {"waybill_no": waybill, "event_id": f"d{waybill}{at}", "scan_type": "departed", "scanned_at": at}
    return msgspec.convert({**SCAN, **given}, Scan)


def checked(minutes: int, waybill: str = "M") -> Inspection:
    at = START + minutes * MINUTE
    given = {"waybill_no": waybill, "event_id": f"i{waybill}{at}", "started_at": at, "ended_at": at + 9_000}
    return msgspec.convert({**INSPECTION, **given}, Inspection)


def after(minutes: int) -> int:
    return START + minutes * MINUTE


def test_what_is_sent_together_is_read_together() -> None:
    played = Played()
    played.read(departed(0), departed(30, "O"))
    assert played.look(0) == 0
    assert played.look(SETTLE_MS - 1) == 0
    assert not played.missing()
    assert played.look(SETTLE_MS) == after(30)
    assert played.missing()


def test_a_topic_that_lags_keeps_decisions_open_and_one_that_is_silent_does_not() -> None:
    played = Played()
    played.read(departed(0), departed(90, "O"), checked(5))
    assert [played.look(at, topics.INSPECTIONS) for at in (0, 5_000, 10_000)] == [0, after(5), after(5)]
    played.read(checked(60))
    assert [played.look(at, topics.INSPECTIONS) for at in (11_000, 14_000)] == [after(5), after(60)]
    assert played.missing(), "a long backlog goes on deciding as it is read"
    assert [played.look(at) for at in (15_000, 20_000)] == [after(60), after(90)]


def test_a_topic_of_which_nothing_was_read_keeps_all_decisions_open() -> None:
    played = Played()
    played.read(departed(0), departed(90, "O"))
    assert [played.look(at, topics.SHIPMENTS) for at in (0, 5_000, 10_000)] == [0, 0, 0]
    assert not played.missing()


def test_the_watermark_does_not_fall_when_a_topic_begins_to_lag() -> None:
    played = Played()
    played.read(departed(0), departed(90, "O"), checked(5))
    assert [played.look(at) for at in (0, 5_000)] == [0, after(90)]
    assert played.look(6_000, topics.INSPECTIONS) == after(90)


def test_the_watermark_keeps_near_the_clock() -> None:
    played = Played()
    played.read(departed(0), departed(90, "O"))
    assert [played.look(at, now=after(50)) for at in (0, 5_000)] == [0, after(50) + AHEAD_MS_MAX]
    assert [played.look(at, now=after(70)) for at in (6_000, 12_000)] == [after(50) + AHEAD_MS_MAX, after(75)]


@pytest.mark.parametrize("lagging", [(), (topics.INSPECTIONS,)])
def test_an_idle_partition_goes_by_the_clock_where_no_topic_lags(lagging: tuple[str, ...]) -> None:
    played = Played()
    played.read(departed(0), checked(0))
    played.look(0, *lagging, now=after(60), idle=True)
    assert played.look(5_000, *lagging, now=after(60), idle=True) == after(0 if lagging else 60)
    assert played.missing() is not bool(lagging)


def test_one_that_is_reported_late_waits_for_all_that_was_sent_with_it() -> None:
    """Its inspection lies behind others that are newer."""
    played = Played()
    played.read(checked(0), departed(600, "O"))
    played.look(0, topics.INSPECTIONS)
    played.read(departed(60))
    played.look(1_000, topics.INSPECTIONS, through=0)
    played.read(checked(120))
    assert played.look(9_000, topics.INSPECTIONS, through=0) == after(0)
    assert played.look(19_000, topics.INSPECTIONS, through=2_999) == after(120)
    assert not played.missing(), "its deadline has passed, yet an inspection sent with it may wait"
    played.look(19_001, topics.INSPECTIONS, through=3_000)
    assert played.missing()


def test_one_that_is_reported_late_waits_for_what_is_sent_at_the_same_time() -> None:
    """When the broker was asked first its inspection was still to come."""
    played = Played()
    played.read(departed(600, "O"))
    assert [played.look(at) for at in (0, 5_000)] == [0, after(600)]
    played.read(departed(60))
    played.look(6_000)
    played.look(6_000 + SETTLE_MS - 1)
    assert not played.missing()
    played.look(6_000 + SETTLE_MS)
    assert played.missing()


def test_what_waited_when_a_worker_was_away_is_read_before_anything_is_decided() -> None:
    played = Played()
    played.read(departed(60), departed(600, "O"))
    parcels = played.recorded._parcels
    assert isinstance(parcels.store, MemoryStore)
    played.timers = parcels.timers = TimerService(SETTLE_MS)
    parcels.timers.open({0: parcels.restore_timers(whole(parcels.store, 0, 7), lambda: False)})
    assert [played.look(at, topics.INSPECTIONS, through=-9_999) for at in (0, 5_000)] == [0, 0]
    played.read(checked(120))
    assert played.look(9_000, topics.INSPECTIONS, through=-9_999) == 0
    assert played.look(15_000, topics.INSPECTIONS, through=-9_999) == after(120)
    assert not played.missing()
    played.look(16_000)
    assert played.missing()
    assert played.look(20_000) == after(600)


def test_a_partition_whose_ends_nobody_tells_stands_still() -> None:
    played = Played()
    played.read(departed(0), departed(90, "O"))
    for at in (0, 5_000, 10_000):
        played.recorded._parcels.settle({1: ReadProgress(at)}, at, NOW)
    assert not played.missing()


def test_fronts_that_wait_to_settle_are_few() -> None:
    timers = PartitionTimers()
    for number in range(10_000):
        timers.read(topics.SCANS, np.array([START + number]))
        timers.settle(ReadProgress(number * 500), SETTLE_MS, number * 500, NOW)
    assert len(timers._fronts) <= SETTLE_MS / 500
