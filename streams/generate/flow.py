"""Synthetic traffic as a stream of chunks in order of arrival, the same for the same arguments.

    traffic = generate(20_000, seed=7)
    for chunk in traffic:                  # slices of time: what reached the topics then
        chunk.frame("scan")                # a polars frame with the fields of the wire, by kind of event
    traffic.reference, traffic.truth

Memory is bounded by a chunk and by what still travels: events wait as numbers until their time has come.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.generate import journey, planted
from streams.generate.journey import Rates, inspection_columns, scan_columns, travel
from streams.generate.patterns import PATTERNS
from streams.generate.people import People
from streams.generate.shipments import HOUR_MS, Parcels, Shares, corrected, ordinary, shipments
from streams.generate.wire import COLUMNS
from streams.generate.world import DAY_MS, World
from streams.settings import PRIORITY_ORIGINS

START_AT = 1_762_099_200_000  # 2025-11-03 00:00 in China
HOME_ADCODES = ("430421",)
PARCELS_MAX = 50_000_000  # beyond it the spaces of phones and ID numbers would repeat
POPULATIONS = 3
POPULATION_SLOTS = 5_000_000  # persons of each kind
PLANTED_SET = 120  # parcels of one instance of every pattern, roughly
UTC8_MS = 8 * HOUR_MS
# Parcels by hour of the day in China: little at night, most in the late afternoon (our guess).
HOURS = np.array([1, 1, 1, 1, 1, 1, 2, 4, 8, 10, 11, 11, 9, 9, 11, 12, 13, 14, 12, 10, 8, 5, 3, 2], dtype=np.float64)
SEAM_MS = 300_000  # a check at the counter is recorded up to so long before its parcel


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records that arrive in one slice of time, each frame in order of arrival. until: its end, epoch ms."""

    frames: Mapping[str, pl.DataFrame]
    until: int

    def __len__(self) -> int:
        return sum(map(len, self.frames.values()))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Records of one kind as on the wire; absent options are None."""
        return self.frame(kind).to_dicts()

    def frame(self, kind: str) -> pl.DataFrame:
        """Records of one kind as a frame, empty for a kind that is not generated."""
        return self.frames[kind] if kind in self.frames else pl.DataFrame(schema=COLUMNS[kind])


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make. Times are epoch ms, shares are of 1, rates are averages per parcel.

    population: traffics of one seed and of different populations share no person, outlet, device or parcel.
    plain_cases: a planted parcel is plain but for what makes its case; else it varies like any other, unmasked.
    """

    parcels: int
    seed: int
    start_at: int = START_AT
    days: float = 7.0
    retail_share: float = 0.3
    scans_per_parcel: float = 6.0
    inspections_per_parcel: float = 1.0
    late_share: float = 0.01
    duplicate_share: float = 0.005
    planted_share: float = 0.01
    home_adcodes: tuple[str, ...] = HOME_ADCODES
    chunk_parcels: int = 50_000
    population: int = 0
    plain_cases: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.parcels <= PARCELS_MAX:
            raise ValueError(f"parcels: from 1 to {PARCELS_MAX}, not {self.parcels}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed: from 0 to 2**32 - 1, not {self.seed}")
        if not 0.01 <= self.days <= 366:
            raise ValueError(f"days: from 0.01 to 366, not {self.days}")
        if not 4 <= self.scans_per_parcel <= len(journey.STEPS):
            raise ValueError(f"scans_per_parcel: from 4 to {len(journey.STEPS)}, not {self.scans_per_parcel}")
        if not 0 <= self.inspections_per_parcel <= 2:
            raise ValueError(f"inspections_per_parcel: from 0 to 2, not {self.inspections_per_parcel}")
        for name in ("retail_share", "late_share", "duplicate_share", "planted_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: from 0 to 1, not {getattr(self, name)}")
        if not 0 <= self.population < POPULATIONS:
            raise ValueError(f"population: from 0 to {POPULATIONS - 1}, not {self.population}")
        if self.population and self.parcels > POPULATION_SLOTS:
            raise ValueError(f"parcels: at most {POPULATION_SLOTS} of a population apart, not {self.parcels}")
        if self.chunk_parcels < 1:
            raise ValueError(f"chunk_parcels: at least 1, not {self.chunk_parcels}")


def generate(parcels: int, seed: int, **more: Any) -> Traffic:
    """Traffic of `parcels` parcels; `more` as in Plan. Raises ValueError for a number out of range, naming it."""
    return Traffic(Plan(parcels, seed, **more))


class Traffic:
    """The traffic of one plan; iterate over it for its chunks, as often as wanted."""

    def __init__(self, plan: Plan, patterns: dict[str, planted.Pattern] = PATTERNS) -> None:
        self.plan = plan
        self._people = People(plan.seed, plan.population * POPULATION_SLOTS)
        self._world = World(self._people, plan.seed, plan.parcels, plan.days, plan.start_at, plan.population)
        stage = planted.Stage(
            self._world, self._people, np.random.default_rng([plan.seed, 11, plan.population]), plan.home_adcodes,
            plan.start_at, round(plan.days * DAY_MS), plan.population,
        )  # fmt: skip
        wanted = max(round(plan.parcels * plan.planted_share), min(plan.parcels // 4, PLANTED_SET))
        self._first = plan.population * PARCELS_MAX
        self._plants = planted.plan(stage, patterns, wanted if plan.planted_share else 0, self._first)
        self._planted_shipments = planted.records(stage, self._plants, plan.seed, plain_cases=plan.plain_cases)
        self._second_xray = (self._world.places_with(PRIORITY_ORIGINS), stage.home_places)

    @property
    def reference(self) -> list[dict[str, Any]]:
        """Reference records as on the wire: enterprises, outlets, couriers, machines."""
        return self._world.reference()

    @property
    def truth(self) -> pl.DataFrame:
        """Planted parcels: parcel, pattern, case (one instance of it), rules (must say yes), quiet (must not)."""
        return planted.truth(self._plants, self._world, self.plan.seed)

    def __iter__(self) -> Iterator[Chunk]:
        plan, world = self.plan, self._world
        times = _times(plan, plan.parcels - len(self._plants))
        pending = _Pending(world, plan.seed)
        starts = range(0, max(1, len(times)), plan.chunk_parcels)
        bounds = [0, *(int(times[start]) for start in starts[1:]), plan.start_at + round(plan.days * DAY_MS)]
        for n, start in enumerate(starts):
            self._make(pending, n, start, times[start : start + plan.chunk_parcels], bounds[n], bounds[n + 1])
            yield pending.take(bounds[n + 1] - SEAM_MS)
        # All is accepted; what still travels follows in slices of about the same size.
        step = max(HOUR_MS, round(plan.days * DAY_MS / len(starts)))
        until = bounds[-1]
        while pending:
            until += step
            yield pending.take(until)

    def _make(self, pending: _Pending, n: int, first: int, times: NDArray[np.int64], since: int, until: int) -> None:
        """All events of the parcels accepted in one slice, ordinary and planted ([since, until) by time)."""
        plan, world = self.plan, self._world
        rng = np.random.default_rng([plan.seed, 12, n, plan.population])
        shares = Shares(plan.retail_share, plan.late_share, plan.duplicate_share)
        numbers = self._first + len(self._plants) + first + np.arange(len(times), dtype=np.int64)
        parcels = ordinary(world, rng, numbers, times, shares, plan.parcels, plan.days)
        frame = shipments(world, self._people, rng, parcels, plan.seed)

        low, high = (bisect_left(self._plants, at, key=lambda plant: plant.at) for at in (since, until))
        plants = self._plants[low:high]
        mine = pl.col("picked_up_at").is_between(since, until, closed="left")
        records = pl.concat([frame, corrected(frame, rng), self._planted_shipments.filter(mine)])
        moves = travel(
            world, rng, _joined(parcels, planted.columns(plants)),
            np.array([*frame["weight_g"], *(plant.weight_g for plant in plants)], dtype=np.int64),
            np.array([0] * len(times) + [plant.flags for plant in plants], dtype=np.int64),
            Rates(plan.scans_per_parcel, plan.inspections_per_parcel), self._second_xray,
        )  # fmt: skip
        pending.add("shipment", _delivered(records, "recorded_at", "picked_up_at", rng, shares))
        pending.add("scan", _delivered(moves.scans, "recorded", "at", rng, shares))
        pending.add("inspection", _delivered(moves.inspections, "recorded", "at", rng, shares))


class _Pending:
    """Events that were made but have not arrived."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._frames: dict[str, pl.DataFrame] = {}

    def __bool__(self) -> bool:
        return any(len(frame) for frame in self._frames.values())

    def add(self, kind: str, frame: pl.DataFrame) -> None:
        held = self._frames.get(kind)
        self._frames[kind] = frame if held is None else pl.concat([held, frame])

    def take(self, until: int) -> Chunk:
        """Records of all that arrives before `until` (epoch ms), in order of arrival."""
        due: dict[str, pl.DataFrame] = {}
        for kind, frame in self._frames.items():
            here = frame["arrive"] < until
            due[kind] = frame.filter(here).sort("arrive", maintain_order=True)
            self._frames[kind] = frame.filter(~here)
        return Chunk({kind: _ON_THE_WIRE[kind](frame, self._world, self._seed) for kind, frame in due.items()}, until)


_ON_THE_WIRE: Final[dict[str, Callable[[pl.DataFrame, World, int], pl.DataFrame]]] = {
    "shipment": lambda frame, *_: frame.select(COLUMNS["shipment"].keys()),
    "scan": scan_columns,
    "inspection": inspection_columns,
}


def _times(plan: Plan, count: int) -> NDArray[np.int64]:
    """Times of acceptance, sorted, spread over the hours of the days as HOURS says."""
    rng = np.random.default_rng([plan.seed, 13, plan.population])
    hours = np.arange(int(np.ceil(plan.days * 24)))
    length = np.minimum(1.0, plan.days * 24 - hours)
    first = (plan.start_at + UTC8_MS) // HOUR_MS
    weight = HOURS[(first + hours) % 24] * length
    each = rng.multinomial(count, weight / weight.sum())
    hour = np.repeat(hours, each)
    at = (hour + rng.random(count) * length[hour]) * HOUR_MS
    at.sort()
    times: NDArray[np.int64] = plan.start_at + at.astype(np.int64)
    return times


def _delivered(
    frame: pl.DataFrame, recorded: str, happened: str, rng: np.random.Generator, shares: Shares
) -> pl.DataFrame:
    """With the column `arrive` (epoch ms): some are uploaded hours late, and some of all come a second time."""
    count = len(frame)
    late = np.where(rng.random(count) < shares.late, rng.integers(HOUR_MS, 12 * HOUR_MS, count), 0)
    frame = frame.with_columns(pl.col(recorded) + late).with_columns(
        arrive=pl.coalesce(pl.col(recorded), pl.col(happened) + 5_000 + late)
    )
    again = frame.filter(rng.random(count) < shares.duplicate)
    again = again.with_columns(pl.col("arrive") + rng.integers(60_000, 6 * HOUR_MS, len(again)))
    return pl.concat([frame, again])


def _joined(first: Parcels, second: Parcels) -> Parcels:
    return Parcels(*(np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(Parcels)))
