"""Acceptance records: who sends what to whom, and when the record is uploaded.

Ordinary traffic is quiet by construction: a sender keeps one name, phone, ID number and place, prepares few parcels a
day, and declares goods worth more than the freight. It may still answer rules that look at one parcel alone: priority
origin or lane, powder or liquid, first parcel of a sender, an agent, a place that is not fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.generate import goods
from streams.generate.people import People, masked_ids, masked_names, masked_phones
from streams.generate.wire import COLUMNS
from streams.generate.world import CARRIERS, COURIERS_PER_OUTLET, MERCHANT_SLOT, RECIPIENT_SLOT, SENDER_SLOT, World

HOUR_MS = 3_600_000
RETAIL, AGREEMENT, LETTER = range(3)
DOMESTIC, EXPORT, HMT = range(3)
LETTER_SHARE = 0.02
EXPORT_SHARE, HMT_SHARE = 0.025, 0.005
COUNTRIES = ("JP", "KR", "SG", "MY", "GB", "DE", "FR", "TH", "US", "CA", "AU", "NZ", "MX")
PICKUP_PLACES = ("outlet", "door", "locker", "stall", "fixed_site", "non_fixed")
PICKUP_SHARES = (0.5, 0.3, 0.1, 0.05, 0.04, 0.01)
METHODS = ("reader", "ocr", "manual", "reuse")
METHOD_SHARES = (0.5, 0.3, 0.05, 0.15)
AGENT_SHARE = 0.01
MASKED_SHARE = 0.02
RECIPIENT_MASKED_SHARE, RECIPIENT_VIRTUAL_SHARE = 0.15, 0.03
UNRECORDED_SHARE = 0.03
CORRECTED_SHARE = 0.002

TEXT, INT = pl.String, pl.Int64


@dataclass(frozen=True, slots=True)
class Parcels:
    """Columns of parcels, row by row: what shipments and journeys are made from. Times are epoch ms."""

    number: NDArray[np.int64]
    at: NDArray[np.int64]
    outlet: NDArray[np.int64]
    sender: NDArray[np.int64]  # slot
    recipient: NDArray[np.int64]  # slot
    place: NDArray[np.int64]  # destination
    customer: NDArray[np.int64]
    direction: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the traffic is retail, uploaded hours late, or delivered twice: shares of 1."""

    retail: float
    late: float
    duplicate: float


def ordinary(
    world: World, rng: np.random.Generator, numbers: NDArray[np.int64], at: NDArray[np.int64],
    shares: Shares, parcels: int, days: float,
) -> Parcels:  # fmt: skip
    """Ordinary parcels with the given numbers and times, out of `parcels` in `days` days altogether."""
    count = len(numbers)
    customer = np.where(rng.random(count) < shares.retail, RETAIL, AGREEMENT)
    customer[rng.random(count) < LETTER_SHARE] = LETTER

    persons = max(1, round(parcels * shares.retail / 2))
    merchants = max(1, round(parcels * (1 - shares.retail) / 300))
    person = SENDER_SLOT + _popular(rng, count, persons, _exponent(persons, days))
    merchant = MERCHANT_SLOT + _popular(rng, count, merchants, 2.0)
    sender = np.where(customer == AGREEMENT, merchant, person)
    home = world.outlet_of(sender, 20)
    near = np.minimum(home + 1, world.outlets - 1)
    moves = (rng.random(count) < 0.1) & (world.outlet_places[near] == world.outlet_places[home])
    recipient = RECIPIENT_SLOT + rng.integers(0, max(1, round(parcels * 0.8)), count)

    abroad = rng.random(count)
    direction = np.where(abroad < EXPORT_SHARE, EXPORT, np.where(abroad > 1 - HMT_SHARE, HMT, DOMESTIC))
    direction[customer == LETTER] = DOMESTIC
    return Parcels(
        number=numbers, at=at, outlet=np.where(moves, near, home), sender=sender, recipient=recipient,
        place=world.place_of(recipient, 21), customer=customer, direction=direction,
    )  # fmt: skip


def waybill_numbers(numbers: NDArray[np.int64], seed: int) -> pl.Series:
    """13-digit waybill numbers, one to one with parcel numbers below 10^10."""
    spread = (numbers * 899_809_343 + seed * 7_919) % 10_000_000_000
    return pl.Series(spread + 1_000_000_000_000).cast(pl.String)


def shipments(
    world: World, people: People, rng: np.random.Generator, parcels: Parcels, seed: int, *, plain: bool = False,
    masks: bool = True,
) -> pl.DataFrame:  # fmt: skip
    """Shipment records of `parcels`, on time and once.

    plain: everything given, an ordinary solid thing handed in at the counter: what planted cases vary. masks: some
    names and numbers are masked, some recipients have a virtual phone; never so if plain.
    """
    count = len(parcels.number)
    carrier = pl.Series(np.array(CARRIERS)[world.outlet_carriers[parcels.outlet]])
    outlet_id = world.outlet_ids.gather(parcels.outlet)
    courier = rng.integers(0, COURIERS_PER_OUTLET, count)
    items = np.zeros(count, dtype=np.int64) if plain else goods.draw(rng, count)
    freight = rng.integers(600, 3_000, count)
    value = freight + rng.integers(500, 40_000, count)
    place = np.zeros(count, dtype=np.int64) if plain else _choice(rng, count, PICKUP_SHARES)
    agent = np.zeros(count, dtype=bool) if plain else (rng.random(count) < AGENT_SHARE)
    country = np.where(
        parcels.direction == EXPORT, np.array(COUNTRIES)[rng.integers(0, len(COUNTRIES), count)],
        np.where(parcels.direction == HMT, np.array(["HK", "MO", "TW"])[rng.integers(0, 3, count)], "CN"),
    )  # fmt: skip
    draft = pl.DataFrame(
        {
            "event_id": f"s{seed}-" + pl.Series(parcels.number).cast(TEXT),
            "schema_version": pl.Series(np.ones(count, dtype=np.int64)),
            "carrier_code": carrier,
            "waybill_no": waybill_numbers(parcels.number, seed),
            "picked_up_at": parcels.at,
            "recorded_at": parcels.at + rng.integers(1_000, 60_000, count),
            "outlet_id": outlet_id,
            "courier_id": outlet_id + "C" + pl.Series(courier).cast(TEXT),
            "device_id": "D-" + outlet_id + "-" + pl.Series(courier).cast(TEXT),
            "pickup_adcode": world.facility_adcodes.gather(parcels.outlet),
            "pickup_place": np.array(PICKUP_PLACES)[place],
            "customer_type": np.array(["retail", "agreement", "letter"])[parcels.customer],
            "sender_name": people.names(parcels.sender),
            "sender_phone": people.phones(parcels.sender),
            "sender_id_no": people.ids(parcels.sender),
            "realname_method": np.array(METHODS)[_choice(rng, count, METHOD_SHARES)],
            "agent_submitted": agent,
            "agent_id_no": people.ids(parcels.sender + 1),
            "recipient_name": people.names(parcels.recipient),
            "recipient_phone": people.phones(parcels.recipient),
            "dest_country": country,
            "dest_adcode": world.facility_adcodes.gather(world.hub(parcels.place)),
            "direction": np.array(["domestic", "export", "hmt"])[parcels.direction],
            **goods.columns(items, rng),
            "declared_value_fen": value,
            "freight_fen": freight,
            "pieces": np.where(plain | (rng.random(count) < 0.95), 1, 2),
            "_merchant": parcels.sender - MERCHANT_SLOT,
            **{f"_u{n}": rng.random(count) for n in range(6)},
        }
    )
    return _settle(draft, plain, masks and not plain)


def _settle(draft: pl.DataFrame, plain: bool, masks: bool) -> pl.DataFrame:
    """Blank out what does not apply or was not given, and mask some of the rest."""
    retail, agreement = pl.col("customer_type") == "retail", pl.col("customer_type") == "agreement"
    noise = pl.lit(not plain)
    hides = pl.lit(masks)
    masked = hides & (pl.col("_u0") < MASKED_SHARE)
    r_masked = hides & (pl.col("_u1") < RECIPIENT_MASKED_SHARE)
    r_virtual = hides & (pl.col("_u1") > 1 - RECIPIENT_VIRTUAL_SHARE)
    extension = (pl.col("_u1") * 9_999).cast(INT).cast(TEXT).str.zfill(4)
    frame = draft.with_columns(
        sender_name=pl.when(agreement).then("示例商户" + pl.col("_merchant").cast(TEXT).str.zfill(6))
        .when(masked).then(masked_names(pl.col("sender_name"))).otherwise("sender_name"),
        sender_phone=pl.when(masked).then(masked_phones(pl.col("sender_phone"))).otherwise("sender_phone"),
        sender_id_type=pl.when(retail).then(pl.lit("resident_id")),
        sender_id_no=pl.when(retail & hides & (pl.col("_u2") < MASKED_SHARE / 10))
        .then(masked_ids(pl.col("sender_id_no"))).when(retail).then("sender_id_no"),
        realname_method=pl.when(retail).then("realname_method").when(agreement).then(pl.lit("agreement"))
        .otherwise(pl.lit("none")),
        realname_check=pl.when(retail).then(pl.lit("pass")).otherwise(pl.lit("not_done")),
        agent_submitted=retail & pl.col("agent_submitted"),
        agent_id_no=pl.when(retail & pl.col("agent_submitted")).then("agent_id_no"),
        recipient_name=pl.when(r_masked).then(masked_names(pl.col("recipient_name"))).otherwise("recipient_name"),
        recipient_phone=pl.when(r_masked).then(masked_phones(pl.col("recipient_phone")))
        .when(r_virtual).then(pl.col("recipient_phone") + "-" + extension).otherwise("recipient_phone"),
        dest_adcode=pl.when(pl.col("direction") == "domestic").then("dest_adcode"),
        hs6=pl.when(pl.col("direction") == "export").then("hs6"),
        declared_value_fen=pl.when(~noise | (pl.col("_u3") < 0.7)).then("declared_value_fen"),
        device_id=pl.when(pl.col("_u4") < 0.9).then("device_id"),
        recorded_at=pl.when(~noise | (pl.col("_u5") >= UNRECORDED_SHARE)).then("recorded_at"),
    )  # fmt: skip
    return frame.select(pl.col(name).cast(kind) for name, kind in COLUMNS["shipment"].items())


def corrected(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Later uploads of some of these shipments, with a corrected value: new event id, same parcel."""
    rows = frame.filter(rng.random(len(frame)) < CORRECTED_SHARE)
    return rows.with_columns(
        event_id=pl.col("event_id") + "c",
        recorded_at=pl.col("picked_up_at") + rng.integers(HOUR_MS, 6 * HOUR_MS, len(rows)),
        declared_value_fen=pl.col("declared_value_fen") * 2,
    )


def _popular(rng: np.random.Generator, count: int, among: int, exponent: float) -> NDArray[np.int64]:
    """Draw with power-law popularity: the first is met `among ** (1 - 1 / exponent)` times as often as the average."""
    return np.minimum(among - 1, (among * rng.random(count) ** exponent).astype(np.int64))


def _exponent(persons: int, days: float) -> float:
    """As skewed as can be while the busiest person expects at most 6 parcels a day (the velocity rule starts at 20)."""
    busiest = 2 * persons / (6 * days)
    if busiest <= 1 or persons <= 1:
        return 1.5
    return min(1.5, max(1.0, log(persons) / log(busiest)))


def _choice(rng: np.random.Generator, count: int, shares: tuple[float, ...]) -> NDArray[np.int64]:
    return np.searchsorted(np.cumsum(shares)[:-1], rng.random(count), side="right")
