"""Tallies counted a second time, with Polars, straight from the records: nothing is shared with the flow.

What a code and an ID number mean, and what the register of licences says, is asked of `tests.reference`; only the form
of goods, which their names may tell, is what the describer makes of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from math import inf

import msgspec
import polars as pl

from schemas.desk import Tally
from schemas.records import Alert, Inspection, Scan, Shipment
from schemas.reference import Enterprise, Outlet
from streams.flow.describe.goods import describe_goods
from tests import reference
from tests.reference import COUNTRIES, HOUR, ORIGINS, Register, plain, standing
from tests.worlds import HOME, Record

Counts = dict[tuple[str, str], dict[str, int]]
"""What is counted, by outlet and day; nothing that is 0."""
_MARKS = ("formal_open_box", "powder_liquid", "priority_lane", "ghost", "too_fast", "late_upload")
_tally = msgspec.json.Decoder(Tally).decode


def published(messages: Iterable[tuple[bytes, bytes]]) -> Counts:
    """What a reader of the topic ends up with: the newest of each key, added up over partitions."""
    out: dict[tuple[str, str], Counter[str]] = {}
    for key, value in dict(messages).items():
        tally = _tally(value)
        assert key.decode() == tally.key
        counts = out.setdefault((tally.outlet_id, tally.day), Counter())
        counts.update({f"parcels.{kind}": n for kind, n in tally.parcels.items()})
        counts.update({f"alerts.{tier}": n for tier, n in tally.alerts.items()})
        for duty, count in tally.duties.items():
            counts.update({f"{duty}.due": count.due, f"{duty}.done": count.done})
        counts.update({name: getattr(tally, name) for name in _MARKS})
    return {place: found for place, counts in out.items() if (found := {k: n for k, n in counts.items() if n})}


def published_values(values: Iterable[bytes]) -> Counts:
    """The same of values alone, in their order."""
    return published((_tally(value).key.encode(), value) for value in values)


def recount(records: Iterable[Record], alerts: Iterable[Alert], home: tuple[str, ...] = HOME) -> Counts:
    """The same, of these records, when no more events come. alerts: those that are open."""
    given = [*records]
    tiers = {f"{alert.carrier_code}:{alert.waybill_no}": alert.tier for alert in alerts if alert.status == "open"}
    parcels = _shipments(given).join(_journeys(given, home), on="parcel", how="left")
    counts = (
        parcels.with_columns(tier=pl.col("parcel").replace_strict(tiers, default=None, return_dtype=pl.String))
        .group_by("outlet", "day")
        .agg(*(said.fill_null(False).sum().alias(name) for name, said in _said().items()))
    )
    return {(row.pop("outlet"), row.pop("day")): {name: n for name, n in row.items() if n} for row in counts.to_dicts()}


def _said() -> dict[str, pl.Expr]:
    """What a parcel counts for."""
    col = pl.col
    retail, left = col("kind") == "retail", col("departed_at").is_not_null() & (col("kind") != "letter")
    out = col("origin") & col("out_at").is_not_null()
    return {
        **{f"parcels.{kind}": col("kind") == kind for kind in ("retail", "agreement", "letter")},
        **{f"alerts.{tier}": col("tier") == tier for tier in ("low", "medium", "high", "extreme")},
        "realname.due": retail,
        "realname.done": retail & col("identified"),
        "open_box.due": left,
        "open_box.done": left & (col("opened_at") <= col("departed_at")),
        "xray.due": left,
        "xray.done": left & (col("xray_at") <= col("departed_at")),
        "second_xray.due": out,
        "second_xray.done": out & (col("second_xray_at") < col("out_at")),
        "licensed.due": col("licensed").is_not_null(),
        "licensed.done": col("licensed"),
        "registered.due": col("registered").is_not_null(),
        "registered.done": col("registered"),
        "formal_open_box": col("formal"),
        "powder_liquid": col("form").is_in(["powder", "liquid"]),
        "priority_lane": col("lane"),
        "ghost": col("moved_at").is_null() | (col("moved_at") > col("at") + 48 * HOUR),
        "too_fast": col("elsewhere_at") < col("at") + 12 * HOUR,
        "late_upload": col("late"),
    }


def _shipments(records: list[Record]) -> pl.DataFrame:
    """The upload that stands of each parcel, with what it says by itself and what the register says of it."""
    register, stand = Register(records), standing(records)
    outlets = cache(register.outlet)
    staff: dict[tuple[str, str], float] = {}
    for one in register.couriers:
        code = plain(one.carrier_code), plain(one.courier_id)
        staff[code] = max(staff.get(code, 0), inf if one.left_at is None else one.left_at)
    carriers = {carrier for carrier, _ in staff}
    rows = []
    for parcel, s in stand.items():
        facts = reference._facts(s)
        courier = plain(s.carrier_code), plain(s.courier_id)
        rows.append(
            {
                "parcel": parcel,
                "outlet": plain(s.outlet_id) or s.outlet_id,
                "at": s.picked_up_at,
                "kind": s.customer_type,
                "origin": s.pickup_adcode.startswith(tuple(ORIGINS)),
                "province": s.pickup_adcode[:2],
                "lane": s.direction == "export" and s.dest_country in COUNTRIES,
                "identified": s.realname_check == "pass"
                and bool(plain(s.sender_id_no).strip(" -"))
                and reference._number_invalid(facts) is not True,
                "late": (s.picked_up_at if s.recorded_at is None else s.recorded_at) - s.picked_up_at > HOUR,
                "licensed": _licensed(s, register, outlets(s.outlet_id)),
                "registered": staff.get(courier, 0) > s.picked_up_at if courier[0] in carriers else None,
            }
        )
    goods = [
        pl.Series([getattr(s, name) for s in stand.values()], dtype=pl.String) for name in ("goods_name", "goods_form")
    ]
    day = pl.from_epoch(pl.col("at") + 8 * HOUR, time_unit="ms").dt.strftime("%Y-%m-%d")
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        day=day, form=describe_goods(*goods)["goods_class"]
    )


def _licensed(s: Shipment, register: Register, outlet: Outlet | None) -> bool | None:
    licence = None if outlet is None else register.licence(outlet, s.picked_up_at)
    if outlet is None or not isinstance(licence, Enterprise):
        return None if licence is None else False
    service = {"domestic": "domestic", "hmt": "hmt"}.get(s.direction, "international")
    here = any(outlet.adcode.startswith(area) for area in licence.licence_adcodes)
    return here and service in licence.licence_scopes


def _journeys(records: list[Record], home: tuple[str, ...]) -> pl.DataFrame:
    """When things happened first to each parcel."""
    origins = pl.DataFrame(
        [(parcel, s.pickup_adcode[:2]) for parcel, s in standing(records).items()],
        schema=["parcel", "province"],
        orient="row",
    )
    moves = (
        pl.DataFrame(
            [
                (r.parcel, r.event_id, r.scan_type, r.scanned_at, r.facility_adcode, 0)
                if isinstance(r, Scan)
                else (
                    r.parcel,
                    r.event_id,
                    r.inspection_type,
                    r.started_at,
                    r.facility_adcode,
                    r.ended_at - r.started_at,
                )
                for r in records
                if isinstance(r, Scan | Inspection)
            ],
            schema={"parcel": str, "id": str, "what": str, "at": int, "adcode": str, "ms": int},
            orient="row",
        )
        .unique(["parcel", "id"])
        .join(origins, on="parcel")
    )
    checks = ["open_box", "xray", "second_xray", "canine", "trace_swab", "identity_check"]
    what, at = pl.col("what"), pl.col("at")
    here = pl.any_horizontal(pl.col("adcode").str.starts_with(place) for place in home)
    opened = what == "open_box"
    return moves.group_by("parcel").agg(
        at.filter(what == "departed").min().alias("departed_at"),
        at.filter(what == "xray").min().alias("xray_at"),
        at.filter(what == "second_xray").min().alias("second_xray_at"),
        at.filter(opened & (pl.col("ms") >= 3_000)).min().alias("opened_at"),
        (opened & (pl.col("ms") < 3_000)).any().alias("formal"),
        at.filter((what == "out_for_delivery") & here).min().alias("out_at"),
        at.filter((what == "delivered") & (pl.col("adcode").str.head(2) != pl.col("province")))
        .min()
        .alias("elsewhere_at"),
        at.filter(~what.is_in([*checks, "picked_up"])).min().alias("moved_at"),
    )
