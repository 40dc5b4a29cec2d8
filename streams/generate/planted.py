"""Planted cases: parcels made so that given rules must say yes, and their neighbours so that those must not.

Each pattern is a function that yields the parcels of one instance; `PATTERNS` lists them. Windows are by event time, so
of a pattern that builds up only its later parcels fire: the earlier ones are listed as quiet for the same rule.
Persons, couriers and businesses of planted cases occur nowhere else, except where a case says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import polars as pl

from streams.generate.people import People
from streams.generate.shipments import DOMESTIC, EXPORT, RETAIL, Parcels, shipments, waybill_numbers
from streams.generate.wire import COLUMNS
from streams.generate.world import CARRIERS, PLANTED_SLOT, World
from streams.settings import PRIORITY_ORIGINS

T = TypeVar("T")

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
SERIALS = 10_000  # of one population


@dataclass(slots=True)
class Plant:
    """One planted parcel: how it differs from a plain retail parcel, and what must be said of it."""

    at: int  # ms after the instance's start
    outlet: int
    sender: int  # slot
    recipient: int  # slot
    place: int  # destination
    rules: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    flags: int = 0
    recorded: bool = True  # has a shipment record
    pattern: str = ""
    case: int = 0
    number: int = 0
    weight_g: int = 300  # as declared; known once its record is made


class Stage:
    """Hands out outlets, persons and couriers to the patterns, never the same twice."""

    def __init__(self, world: World, people: People, rng: np.random.Generator, home_adcodes: tuple[str, ...],
                 start_at: int, span_ms: int, population: int = 0) -> None:  # fmt: skip
        self.world, self.people, self.rng = world, people, rng
        self.start_at, self.span_ms = start_at, span_ms
        priority = world.places_with(PRIORITY_ORIGINS)
        self.home_places = world.places_with(home_adcodes) if home_adcodes else np.array([], dtype=np.int64)
        ordinary = np.setdiff1d(world.places_with(PRIORITY_ORIGINS, wanted=False), self.home_places)
        self._ordinary = np.flatnonzero(np.isin(world.outlet_places, ordinary))
        self._priority = np.flatnonzero(np.isin(world.outlet_places, np.setdiff1d(priority, self.home_places)))
        self._slot = PLANTED_SLOT
        self._serial = population * SERIALS
        self._steps_count: dict[str, int] = {}

    def person(self) -> int:
        """A slot that no other parcel uses (nor the next slot, which is the agent's)."""
        self._slot += 2
        return self._slot

    def serial(self) -> int:
        """A number that no other case has."""
        self._serial += 1
        return self._serial

    def variant(self, name: str, choices: Sequence[T]) -> T:
        """The next of a pattern's variants, round and round; `name` tells them from those of others."""
        step = self._steps_count.get(name, 0)
        self._steps_count[name] = step + 1
        return choices[step % len(choices)]

    def outlet(self, *, priority: bool = False) -> int:
        """An outlet in a priority origin, or in neither a priority origin nor a home place."""
        return int(self.rng.choice(self._priority if priority else self._ordinary))

    def outlet_in(self, adcode: int) -> int:
        """An outlet in the place with this code."""
        place = np.flatnonzero(self.world.adcodes == adcode)[0]
        return int(np.flatnonzero(self.world.outlet_places == place)[0])

    def place_far_from(self, outlet: int) -> int:
        """A destination in another province, neither a priority origin nor a home place."""
        province = self.world.adcodes // 10_000
        own = province[self.world.outlet_places[outlet]]
        places = np.unique(self.world.outlet_places[self._ordinary])
        return int(self.rng.choice(places[province[places] != own]))

    def courier(self, outlet: int, **changes: Any) -> str:
        """A courier of this outlet who takes planted parcels only; registered, unless `changes` says otherwise."""
        outlet_id = str(self.world.outlet_ids[outlet])
        place, carrier = int(self.world.outlet_places[outlet]), CARRIERS[int(self.world.outlet_carriers[outlet])]
        slot = np.array([self.person()], dtype=np.int64)
        record = self.world.courier(
            f"{outlet_id}P{self.serial()}", outlet_id, f"E{carrier}{self.world.adcodes[place] // 10_000}",
            str(self.people.ids(slot)[0]), str(self.people.phones(slot)[0]),
        )  # fmt: skip
        self.world.planted_couriers.append(record | changes)
        return str(record["courier_id"])

    def plant(self, at: int = 0, outlet: int | None = None, **given: Any) -> Plant:
        """A quiet parcel of new persons, to another province."""
        outlet = self.outlet() if outlet is None else outlet
        sender, recipient = given.pop("sender", None), given.pop("recipient", None)
        place = given.pop("place", None)
        return Plant(
            at=at, outlet=outlet,
            sender=self.person() if sender is None else sender,
            recipient=self.person() if recipient is None else recipient,
            place=self.place_far_from(outlet) if place is None else place, **given,
        )  # fmt: skip


Pattern = Callable[[Stage], Iterator[Plant]]


def plan(stage: Stage, patterns: dict[str, Pattern], wanted: int, first_number: int) -> list[Plant]:
    """At most `wanted` planted parcels: instances of all patterns in turn, at even-handed times, numbered by time.

    A pattern that would reach beyond the end is moved to an earlier start, or left out where the span is too short.
    """
    plants: list[Plant] = []
    cases = 0
    while True:
        before = len(plants)
        for name, pattern in patterns.items():
            instance = list(pattern(stage))
            length = max((plant.at for plant in instance), default=0)
            if not instance or len(plants) + len(instance) > wanted or length >= stage.span_ms:
                continue
            start = stage.start_at + int(stage.rng.integers(0, stage.span_ms - length))
            for plant in instance:
                plant.at += start
                plant.pattern = name
                plant.case = cases
            plants += instance
            cases += 1
        if len(plants) == before:
            break
    # Windows order equal times by parcel; give none the chance.
    plants.sort(key=lambda plant: plant.at)
    for number, plant in enumerate(plants):
        plant.number = first_number + number
    return plants


def columns(plants: list[Plant]) -> Parcels:
    """The planted parcels as columns, for shipments and journeys."""
    rows = [
        (p.number, p.at, p.outlet, p.sender, p.recipient, p.place, RETAIL,
         EXPORT if p.fields.get("direction") == "export" else DOMESTIC)
        for p in plants
    ]  # fmt: skip
    return Parcels(*np.array(rows, dtype=np.int64).reshape(len(plants), 8).T)


def records(stage: Stage, plants: list[Plant], seed: int, *, plain_cases: bool = True) -> pl.DataFrame:
    """Shipment records of the planted parcels that have one; what a plant does not set is as `plain_cases` says."""
    shown = [plant for plant in plants if plant.recorded]
    plain = shipments(stage.world, stage.people, stage.rng, columns(shown), seed, plain=plain_cases, masks=False)
    rows = [row | plant.fields for row, plant in zip(plain.to_dicts(), shown, strict=True)]
    for row, plant in zip(rows, shown, strict=True):
        plant.weight_g = row["weight_g"]
    return pl.DataFrame(rows, schema=COLUMNS["shipment"], orient="row")


def truth(plants: list[Plant], world: World, seed: int) -> pl.DataFrame:
    """What must be said: parcel, pattern, case, rules that must say yes, rules that must not (`quiet`)."""
    numbers = waybill_numbers(np.array([plant.number for plant in plants], dtype=np.int64), seed)
    return pl.DataFrame(
        {
            "parcel": [
                f"{CARRIERS[int(world.outlet_carriers[plant.outlet])]}:{number}"
                for plant, number in zip(plants, numbers, strict=True)
            ],
            "pattern": [plant.pattern for plant in plants],
            "case": [plant.case for plant in plants],
            "rules": [sorted(plant.rules) for plant in plants],
            "quiet": [sorted(plant.quiet) for plant in plants],
        },
        schema={
            "parcel": pl.String,
            "pattern": pl.String,
            "case": pl.Int64,
            "rules": pl.List(pl.String),
            "quiet": pl.List(pl.String),
        },
    )
