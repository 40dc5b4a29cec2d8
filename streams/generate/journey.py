"""Scans and inspections: the way of each parcel, as a table of steps with typical gaps.

What a planted case changes about a journey is a flag; everything else follows the table. Rows stay numbers until they
are emitted (`Moves`), because most of a day's scans wait for their time while later parcels are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.generate.shipments import DOMESTIC, HOUR_MS, Parcels, waybill_numbers
from streams.generate.wire import COLUMNS
from streams.generate.world import CARRIERS, World

MINUTE_MS = 60_000

# What planted cases change.
UNINSPECTED, UNRESOLVED, NO_SECOND_XRAY, WEIGHT_CHANGED, GHOST, TOO_FAST, FORMALITY = (1 << n for n in range(7))
# What only looks like it, and what hides it. Uploads half a day and more late; a departure that nobody scans; an open
# box of four seconds; a weight that differs by what scales and weather do; 40 h at the outlet; quick, and possible.
UPLOADED_LATE, NO_DEPARTURE, HURRIED, DAMP, WAITS, QUICK = (1 << n for n in range(7, 13))

OUTLET, ORIGIN_HUB, TRANSIT_HUB, DEST_HUB, STATION = range(5)


class Step(NamedTuple):
    """One step: its scan, where, hours after the step before, always made?, made when origin and place are one city?"""

    scan: str
    where: int
    gap_h: float
    always: bool
    in_city: bool


STEPS = (
    Step("picked_up", OUTLET, 0.0, True, True),
    Step("arrived", ORIGIN_HUB, 2.0, False, True),
    Step("sorted", ORIGIN_HUB, 0.5, False, True),
    Step("departed", ORIGIN_HUB, 0.7, True, False),
    Step("arrived", TRANSIT_HUB, 7.0, False, False),
    Step("departed", TRANSIT_HUB, 1.0, False, False),
    Step("arrived", DEST_HUB, 14.0, False, False),
    Step("sorted", DEST_HUB, 0.5, False, False),
    Step("arrived", STATION, 4.0, False, True),
    Step("out_for_delivery", STATION, 1.5, True, True),
    Step("at_locker", STATION, 1.0, False, True),
    Step("delivered", STATION, 2.0, True, True),
)
OPTIONAL = sum(not step.always for step in STEPS)
DEPARTED, OUT_FOR_DELIVERY = 3, 9

TEXT = pl.String
INSPECTIONS = ("open_box", "xray", "second_xray", "identity_check")
OPEN_BOX, XRAY, SECOND_XRAY, IDENTITY_CHECK = range(4)
RESULTS = ("pass", "suspicious", "inconclusive")


@dataclass(frozen=True, slots=True)
class Rates:
    """Averages per parcel. Scans: of an inter-city parcel, from 4 (only steps that are always made) to 12."""

    scans: float
    inspections: float


@dataclass(frozen=True, slots=True)
class Moves:
    """Lean rows, one per scan and one per inspection; `scan_columns` and `inspection_columns` make records of them."""

    scans: pl.DataFrame
    inspections: pl.DataFrame


def travel(
    world: World, rng: np.random.Generator, parcels: Parcels, weight_g: NDArray[np.int64], flags: NDArray[np.int64],
    rates: Rates, second_xray_places: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Moves:  # fmt: skip
    """The journeys of `parcels`.

    second_xray_places: (origins, destinations) between which a second X-ray is made, as numbers of places.
    """
    count = len(parcels.number)
    origin = world.outlet_places[parcels.outlet]
    city = world.adcodes // 100
    abroad = parcels.direction != DOMESTIC
    in_city = (city[origin] == city[parcels.place]) & ~abroad

    # Steps made: all that are always made, others by chance so that the average is met; a stop in transit is two scans.
    made = rng.random((count, len(STEPS))) < min(1.0, max(0.0, (rates.scans - 4) / OPTIONAL))
    made[:, [n for n, step in enumerate(STEPS) if step.always]] = True
    made[:, 5] = made[:, 4]
    skipped_in_city = [n for n, step in enumerate(STEPS) if not step.in_city]
    made[:, skipped_in_city] &= ~in_city[:, None]
    made[:, DEPARTED + 1 :] &= ~abroad[:, None]  # a track abroad is another carrier's
    made[:, 1:] &= (flags & GHOST == 0)[:, None]
    made[:, DEPARTED] &= flags & NO_DEPARTURE == 0

    gaps = np.array([step.gap_h for step in STEPS]) * rng.uniform(0.8, 1.4, (count, len(STEPS)))
    gaps[:, skipped_in_city] *= ~in_city[:, None]
    gaps[world.adcodes[origin] // 10_000 == world.adcodes[parcels.place] // 10_000, 4:7] *= 0.4
    gaps *= np.where(flags & TOO_FAST, 0.2, np.where(flags & QUICK, 0.45, 1.0))[:, None]
    gaps[:, 1] += np.where(flags & WAITS, 40.0, 0.0)
    times = parcels.at[:, None] + (np.cumsum(gaps, axis=1) * HOUR_MS).astype(np.int64)

    transit = rng.integers(0, len(world.adcodes), count)
    facilities = np.stack([
        parcels.outlet, world.hub(origin), world.hub(transit), world.hub(parcels.place), world.station(parcels.place),
    ], axis=1)  # fmt: skip
    row, step = np.nonzero(made)
    scans = _lean_scans(rng, parcels, weight_g, flags, facilities, row, step, times[row, step])
    inspections = _lean_inspections(world, rng, parcels, flags, facilities, made, times, rates, second_xray_places)
    carrier = world.outlet_carriers[parcels.outlet]
    return Moves(
        *(
            lean.with_columns(number=parcels.number[rows], carrier=carrier[rows])
            for lean in (scans, inspections)
            for rows in (lean["row"].to_numpy(),)
        )
    )


def _lean_scans(
    rng: np.random.Generator, parcels: Parcels, weight_g: NDArray[np.int64], flags: NDArray[np.int64],
    facilities: NDArray[np.int64], row: NDArray[np.int64], step: NDArray[np.int64], at: NDArray[np.int64],
) -> pl.DataFrame:  # fmt: skip
    where = np.array([s.where for s in STEPS])[step]
    departs = (step == DEPARTED) | (step == DEPARTED + 2)
    weighed = ((where == ORIGIN_HUB) & (rng.random(len(row)) < 0.4)) | (
        (flags[row] & (WEIGHT_CHANGED | DAMP) != 0) & departs
    )
    scale = rng.integers(-10, 11, len(row))
    changed = np.where(flags[row] & WEIGHT_CHANGED, weight_g[row] // 4 + 200, scale)
    changed = np.where(flags[row] & DAMP, scale + 35, changed)
    return pl.DataFrame({
        "row": row, "at": at, "recorded": at + rng.integers(500, 30_000, len(row)) + _late(rng, flags[row]),
        "step": step,
        "facility": facilities[row, where],
        "next": np.where(departs, facilities[row, np.minimum(where + 1, STATION)], -1),
        "weight": np.where(weighed, np.maximum(1, weight_g[row] + changed), -1),
        "operator": rng.integers(0, 20, len(row)), "seal": rng.random(len(row)) < 0.9,
    })  # fmt: skip


def _lean_inspections(
    world: World, rng: np.random.Generator, parcels: Parcels, flags: NDArray[np.int64], facilities: NDArray[np.int64],
    made: NDArray[np.bool_], times: NDArray[np.int64], rates: Rates,
    second_xray_places: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> pl.DataFrame:  # fmt: skip
    """At most one check per parcel before it leaves, sometimes doubtful and then resolved; extras; second X-rays."""
    count = len(parcels.number)
    planted = flags != 0
    checked = (rng.random(count) < rates.inspections) | planted
    checked &= flags & UNINSPECTED == 0
    open_box = (rng.random(count) < 0.6) | (flags & (FORMALITY | HURRIED) != 0)
    doubtful = open_box & checked & (rng.random(count) < 0.003) & ~planted
    unresolved = flags & UNRESOLVED != 0
    xrayed = (checked & ~open_box) | doubtful | unresolved
    extra = rng.random(count) < rates.inspections - 1
    origins, destinations = second_xray_places
    second = np.isin(world.outlet_places[parcels.outlet], origins) & np.isin(parcels.place, destinations)
    second &= made[:, OUT_FOR_DELIVERY] & (flags & NO_SECOND_XRAY == 0)

    at_pickup = parcels.at - rng.integers(100, 200, count) * 1_000
    at_hub = times[:, DEPARTED] - rng.integers(10, 40, count) * MINUTE_MS
    before_delivery = times[:, OUT_FOR_DELIVERY] - rng.integers(10, 40, count) * MINUTE_MS
    by_hand = np.where(flags & FORMALITY, rng.integers(1_000, 2_500, count), rng.integers(5_000, 90_000, count))
    by_hand = np.where(flags & HURRIED, by_hand % 1_000 + 3_500, by_hand)
    late = _late(rng, flags)
    by_machine = rng.integers(4_000, 15_000, count)

    def rows(which: NDArray[np.bool_], kind: int, start: NDArray[np.int64], ms: NDArray[np.int64],
             where: int, result: NDArray[np.int64]) -> pl.DataFrame:  # fmt: skip
        at = np.flatnonzero(which)
        return pl.DataFrame({
            "row": at, "at": start[at], "recorded": start[at] + ms[at] + 2_000 + late[at],
            "step": np.full(len(at), kind), "facility": facilities[at, where], "ended": start[at] + ms[at],
            "result": result[at],
        })  # fmt: skip

    passed = np.zeros(count, dtype=np.int64)
    lean = pl.concat([
        rows(checked & open_box & ~unresolved, OPEN_BOX, at_pickup, by_hand, OUTLET, np.where(doubtful, 2, 0)),
        rows(xrayed, XRAY, at_hub, by_machine, ORIGIN_HUB, np.where(unresolved, 1, 0)),
        rows(second, SECOND_XRAY, before_delivery, by_machine, STATION, passed),
        rows(extra & checked, IDENTITY_CHECK, at_pickup, by_hand, OUTLET, passed),
    ])  # fmt: skip
    return lean.with_columns(
        photo=rng.integers(0, 2**63, len(lean)),
        inspector=rng.integers(0, 5, len(lean)),
        matched=rng.random(len(lean)) < 0.8,
    )


def _late(rng: np.random.Generator, flags: NDArray[np.int64]) -> NDArray[np.int64]:
    """How much later than usual the events of these parcels are uploaded, ms: 12 to 20 h, or nothing."""
    late = flags & UPLOADED_LATE != 0
    out = np.zeros(len(flags), dtype=np.int64)
    out[late] = rng.integers(12 * HOUR_MS, 20 * HOUR_MS, int(late.sum()))
    return out


def scan_columns(lean: pl.DataFrame, world: World, seed: int) -> pl.DataFrame:
    """Scan records of lean rows, in their order."""
    steps = pl.Series([step.scan for step in STEPS])
    facility, operator = lean["facility"], lean["operator"].cast(TEXT)
    facility_id = world.facility_ids.gather(facility)
    departs = (lean["next"] >= 0).alias("departs")
    draft = lean.select(
        "seal", "weight", departs,
        event_id=pl.format(f"t{seed}-{{}}-{{}}", "number", "step"),
        schema_version=pl.lit(1),
        carrier_code=pl.Series(CARRIERS).gather(lean["carrier"]),
        waybill_no=waybill_numbers(lean["number"].to_numpy(), seed),
        scan_type=steps.gather(lean["step"]),
        scanned_at="at",
        recorded_at="recorded",
        facility_id=facility_id,
        facility_adcode=world.facility_adcodes.gather(facility),
        operator_id="OP-" + facility_id + "-" + operator,
        device_id="D-" + facility_id + "-" + operator,
        vehicle_no="SYN" + operator.str.zfill(5),
        next_facility_id=world.facility_ids.gather(lean["next"].clip(0)),
    )  # fmt: skip
    return draft.with_columns(
        weight_g=pl.when(pl.col("weight") >= 0).then("weight"),
        seal_state=pl.when("seal").then(pl.lit("ok")),
        vehicle_no=pl.when("departs").then("vehicle_no"),
        next_facility_id=pl.when("departs").then("next_facility_id"),
    ).select(pl.col(name).cast(kind) for name, kind in COLUMNS["scan"].items())


def inspection_columns(lean: pl.DataFrame, world: World, seed: int) -> pl.DataFrame:
    """Inspection records of lean rows, in their order."""
    kinds = pl.Series(INSPECTIONS)
    stages = pl.Series(["pickup", "hub", "station", "pickup"])
    facility_id = world.facility_ids.gather(lean["facility"])
    photos = pl.Series([value.to_bytes(8, "big").hex() for value in lean["photo"].to_list()], dtype=TEXT)
    draft = lean.select(
        "step", "matched",
        event_id=pl.format(f"i{seed}-{{}}-{{}}", "number", "step"),
        schema_version=pl.lit(1),
        carrier_code=pl.Series(CARRIERS).gather(lean["carrier"]),
        waybill_no=waybill_numbers(lean["number"].to_numpy(), seed),
        inspection_type=kinds.gather(lean["step"]),
        stage=stages.gather(lean["step"]),
        started_at="at",
        ended_at="ended",
        inspector_id="IN-" + facility_id + "-" + lean["inspector"].cast(TEXT),
        machine_id="X-" + facility_id,
        facility_id=facility_id,
        facility_adcode=world.facility_adcodes.gather(lean["facility"]),
        result=pl.Series(RESULTS).gather(lean["result"]),
        photo_hash=photos,
    )  # fmt: skip
    machine = pl.col("step").is_in([XRAY, SECOND_XRAY])
    return draft.with_columns(
        machine_id=pl.when(machine).then("machine_id"),
        finding_code=pl.when(pl.col("result") == "suspicious").then(pl.lit("DENSITY")),
        photo_hash=pl.when(pl.col("step") != IDENTITY_CHECK).then("photo_hash"),
        declared_match=pl.when((pl.col("step") == OPEN_BOX) & pl.col("matched")).then(pl.lit("yes")),
    ).select(pl.col(name).cast(kind) for name, kind in COLUMNS["inspection"].items())
