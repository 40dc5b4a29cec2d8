"""The columns that rules may read: name, type, and what null means.

This list is the contract between those who write rules and those who compute columns: `when` and `evidence` of a
rule may name only these, and a column whose value is null makes the rule answer *unknown*.

Scans of a parcel may come before its shipment record. Until it comes, all columns of its shipment and its history are
null, also those that are otherwise never null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["string", "boolean", "integer", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """One documented column. `null` says when it has no value; empty: never, once there is a shipment record."""

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
    Column(
        "sender_id_masked",
        "boolean",
        "Part of the number is hidden by stars, or by a repeated character that such a number cannot hold.",
    ),
    Column(
        "sender_id_valid",
        "boolean",
        "A resident ID or permit number that can exist: length, characters, date, check digit, region.",
        "no number, a masked number, or another kind of document; or the region is unknown and nothing else is wrong",
    ),
    Column(
        "sender_id_fault",
        "string",
        "Why the number cannot exist, the first that applies: length, characters, region (of no province), date (none "
        "of the calendar), future (born after pickup), too_old (over 110 years before it), check_digit.",
        "sender_id_valid is not false",
    ),
    Column("sender_name_given", "boolean", "The sender's name is there, masked or not."),
    Column("sender_name_masked", "boolean", "The sender's name is masked.", "no name"),
    Column("sender_name_placeholder", "boolean", "The sender's name is a placeholder such as 张三 or 先生.", "no name"),
    Column("goods_class", "string", "powder, liquid, solid, gas, mixed or unknown: as declared, else by the words."),
    Column("goods_controlled", "boolean", "The name holds a term for a drug, a listed precursor or a known disguise."),
    Column(
        "goods_hinted",
        "boolean",
        "The name holds no such term, but may hint at one: by its pinyin, its initials, a homophone of a short one.",
    ),
    Column(
        "goods_term",
        "string",
        "The controlled term that the name holds or hints at, as in its list; the gravest if there are several.",
        "nothing was found, or the term is no longer in the lists",
    ),
    Column(
        "goods_term_kind",
        "string",
        "narcotic, psychotropic, non_medical, street_name or precursor: the list that the term is in.",
        "as goods_term",
    ),
    Column(
        "goods_trick",
        "string",
        "How the term is written: plain, separated, characters, sound, pinyin, mixed, initials, shape, order, parts, "
        "filler, doubled or misspelt.",
        "nothing was found",
    ),
    Column("goods_vague", "boolean", "The name is empty or says nothing about the goods: 样品, 其他, test."),
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
        "phone_parcels_24h",
        "integer",
        "Parcels with this sender's mobile in the 24 h up to this one.",
        f"no usable mobile; {_PENDING}",
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
        f"no unmasked resident ID that begins with 14 digits; {_PENDING}",
    ),
    Column("saturated", "boolean", "An entity of this parcel overflowed: its counts are lower bounds.", _PENDING),
)

_NO_LICENCE = "the outlet or its enterprise is not in the reference data, or no licence is in force"

# Joined from `waybill.reference` as it stood at pickup.
REFERENCE = (
    Column("outlet_known", "boolean", "The outlet and its enterprise are in the reference data."),
    Column(
        "licence_in_force",
        "boolean",
        "The outlet's enterprise has a licence in force at pickup.",
        "the outlet or its enterprise is not in the reference data",
    ),
    Column("licence_covers_place", "boolean", "That licence is for the place where the outlet lies.", _NO_LICENCE),
    Column(
        "licence_covers_service",
        "boolean",
        "That licence is for this direction: domestic, international (export, import) or hmt.",
        _NO_LICENCE,
    ),
    Column("couriers_loaded", "boolean", "The reference data hold couriers of this carrier."),
    Column("courier_registered", "boolean", "The reference data hold this courier, who had not left by pickup."),
    Column(
        "sender_id_is_courier",
        "boolean",
        "The sender's ID number is that of a courier, of any carrier, who had not left by pickup.",
        "not a retail parcel, no usable ID, or no couriers in the reference data",
    ),
    Column(
        "sender_phone_is_courier",
        "boolean",
        "The sender's mobile is that of a courier, of any carrier, who had not left by pickup.",
        "not a retail parcel, no usable mobile, or no couriers in the reference data",
    ),
)

NO_RECORD = "no shipment record"

# Something counts as missing only when event time has passed a deadline; until then the column is null. The deadlines
# are defined with the columns in `streams.flow.fold.journey`, because the parcel must be judged again when they pass.
JOURNEY = (
    Column("scans", "integer", "Scans of this parcel."),
    Column("inspections", "integer", "Inspections of this parcel."),
    Column("first_scan_at", "integer", "Time of the first scan, epoch ms UTC.", "no scan"),
    Column("departed_at", "integer", "Time of the first departed scan, epoch ms UTC.", "no departed scan"),
    Column(
        "departed_uninspected",
        "boolean",
        "Departed, and no open_box or xray inspection started at or before the first departed scan.",
        "none has come, and event time is not yet more than 10 min past the scan",
    ),
    Column(
        "doubtful_departures",
        "integer",
        "Departed scans at or after an inspection with another result than pass, with no pass between the two.",
        "there is one, and event time is not yet more than 1 min past the first: the pass may still be on its way",
    ),
    Column(
        "home_delivery_at",
        "integer",
        "Time of the first out_for_delivery scan in a home place (setting), epoch ms UTC.",
        "no such scan",
    ),
    Column(
        "second_xray_missing",
        "boolean",
        "From a priority origin, out for delivery in a home place, and no second_xray started before.",
        f"none has come, and event time is not yet more than 10 min past home_delivery_at; {NO_RECORD}",
    ),
    Column(
        "weight_change_g",
        "integer",
        "Largest difference between the weight of a scan and weight_g, grams; 0 if no scan has a weight.",
        NO_RECORD,
    ),
    Column(
        "unregistered_24h",
        "boolean",
        "There are scans, and no shipment record has come within 24 h after the first, nor since.",
        "none has come, and event time is not yet more than 24 h past first_scan_at",
    ),
    Column(
        "unmoved_48h",
        "boolean",
        "No scan other than picked_up, dated up to 48 h after picked_up_at.",
        f"none has come, and event time is not yet more than 48 h past picked_up_at; {NO_RECORD}",
    ),
    Column(
        "delivered_elsewhere",
        "boolean",
        "A delivered scan in another province than pickup_adcode, by the first two digits.",
        NO_RECORD,
    ),
    Column(
        "delivered_elsewhere_h",
        "number",
        "Time from picked_up_at to the first delivered scan in another province, hours.",
        f"no such scan; {NO_RECORD}",
    ),
    Column("open_box_s", "number", "Duration of the shortest open_box inspection, seconds.", "no open_box inspection"),
)

COLUMNS: dict[str, Column] = {column.name: column for column in (*SHIPMENT, *HISTORY, *REFERENCE, *JOURNEY)}
