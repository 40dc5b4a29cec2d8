"""The columns that rules may read: name, type, and what null means.

This list is the contract between those who write rules and those who compute columns: `when` and `evidence` of a
rule may name only these, and a column whose value is null makes the rule answer *unknown*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["string", "boolean", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """One documented column. `null` says when it has no value; empty means never."""

    name: str
    type: ColumnType
    doc: str
    null: str = ""


SHIPMENT = (
    Column("carrier_code", "string", "Carrier that accepted the parcel."),
    Column("outlet_id", "string", "Outlet where it was accepted."),
    Column("courier_id", "string", "Courier who accepted it."),
    Column("picked_up_at", "integer", "Time of acceptance, epoch ms UTC."),
    Column("pickup_adcode", "string", "GB/T 2260 code of the place of acceptance, six digits."),
    Column("pickup_place", "string", "outlet, door, fixed_site, non_fixed, locker or stall."),
    Column("customer_type", "string", "retail, agreement or letter."),
    Column("retail", "boolean", "customer_type is retail: the real-name duty applies."),
    Column("direction", "string", "domestic, export, import or hmt."),
    Column("dest_country", "string", "ISO 3166-1 alpha-2 code of the destination."),
    Column("dest_adcode", "string", "GB/T 2260 code of the destination.", "not given"),
    Column("priority_origin", "boolean", "pickup_adcode starts with one of the priority origins (setting)."),
    Column("priority_lane", "boolean", "Export to one of the priority destinations (setting)."),
    Column("realname_method", "string", "reader, ocr, manual, reuse, agreement or none."),
    Column("realname_check", "string", "pass, fail or not_done."),
    Column("agent_submitted", "boolean", "Handed in by an agent on behalf of the sender."),
    Column("sender_id_type", "string", "Kind of the sender's identity document.", "not given"),
    Column("sender_id_given", "boolean", "The sender's ID number is there, masked or not."),
    Column("sender_id_masked", "boolean", "The ID number is masked (a star in it)."),
    Column(
        "sender_id_valid",
        "boolean",
        "A resident ID or permit number that can exist: length, characters, date, check digit, region.",
        "no number, a masked one, or another kind of document",
    ),
    Column("sender_name_given", "boolean", "The sender's name is there, masked or not."),
    Column("sender_name_masked", "boolean", "The sender's name is masked.", "no name"),
    Column("sender_name_placeholder", "boolean", "The sender's name is a placeholder such as 张三 or 先生.", "no name"),
    Column("goods_class", "string", "powder, liquid, solid, gas, mixed or unknown: as declared, else by the words."),
    Column("goods_controlled", "boolean", "The name holds a term for a drug, a listed precursor or a known disguise."),
    Column(
        "goods_hinted",
        "boolean",
        "The name holds no such term, but what may be one: its pinyin, its initials, a short one's homophone.",
    ),
    Column("goods_vague", "boolean", "The name says nothing: 样品, 其他, test, empty."),
    Column("declared_value_fen", "integer", "Declared value, 1/100 CNY.", "not declared"),
    Column("freight_fen", "integer", "Freight, 1/100 CNY.", "not given"),
    Column("weight_g", "integer", "Weight at acceptance, grams."),
    Column("pieces", "integer", "Number of pieces."),
)

_PENDING = "not a retail parcel, or history has not answered yet"

HISTORY = (
    Column(
        "sender_parcels_24h", "integer", "Parcels on this ID in the 24 h up to this one.", f"no usable ID; {_PENDING}"
    ),
    Column("sender_earlier_90d", "integer", "Earlier parcels on this ID in 90 d.", f"no usable ID; {_PENDING}"),
    Column(
        "sender_names_90d",
        "integer",
        "Distinct sender names on this ID in 90 d; masked and placeholder names not counted.",
        f"no usable ID; {_PENDING}",
    ),
    Column("sender_outlets_90d", "integer", "Distinct outlets used with this ID in 90 d.", f"no usable ID; {_PENDING}"),
    Column(
        "sender_provinces_24h",
        "integer",
        "Distinct provinces of acceptance on this ID in 24 h.",
        f"no usable ID; {_PENDING}",
    ),
    Column(
        "sender_previous_km",
        "number",
        "Distance from the place of this ID's previous parcel, km.",
        f"no previous parcel, or a place without centroid; no usable ID; {_PENDING}",
    ),
    Column(
        "sender_previous_h",
        "number",
        "Time since this ID's previous parcel, hours.",
        f"no previous parcel; no usable ID; {_PENDING}",
    ),
    Column(
        "phone_ids_30d", "integer", "Distinct IDs with this sender's mobile in 30 d.", f"no usable mobile; {_PENDING}"
    ),
    Column(
        "recipient_senders_14d",
        "integer",
        "Distinct IDs that posted from priority origins to this recipient's mobile in 14 d.",
        f"no usable mobile; {_PENDING}",
    ),
    Column("courier_ids_60s", "integer", "Distinct sender IDs registered by this courier in 60 s.", _PENDING),
    Column(
        "courier_clones_1h",
        "integer",
        "This courier's parcels in 1 h with the same weight, goods name and first four digits of dest_adcode.",
        _PENDING,
    ),
    Column("courier_clone_ids_1h", "integer", "Distinct sender IDs among courier_clones_1h.", _PENDING),
    Column(
        "outlet_prefix_ids_24h",
        "integer",
        "Distinct IDs with the same first 14 digits at this outlet in 24 h.",
        f"no unmasked resident ID; {_PENDING}",
    ),
    Column("saturated", "boolean", "An entity of this parcel overflowed: its counts are lower bounds.", _PENDING),
)

COLUMNS: dict[str, Column] = {column.name: column for column in (*SHIPMENT, *HISTORY)}
