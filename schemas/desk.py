"""Records of the desk besides clues: traces, tallies, orders, holds, enforcement, entries, access, grades."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.records import Record, Source, _about
from schemas.terms import (
    Adcode,
    AlertId,
    CarrierCode,
    CellKey,
    ChainHash,
    ClueId,
    Colour,
    Count,
    Country,
    CustomerType,
    Day,
    Direction,
    Duty,
    EnforcementKind,
    EntryKind,
    EventId,
    Id,
    InspectionType,
    Met,
    Millis,
    Money,
    PickupPlace,
    Probability,
    Result,
    ScanType,
    Text,
    Tier,
    Token,
    UserId,
    Word,
)

MOVEMENTS_MAX = 256
GoodsClass = Literal["powder", "liquid", "solid", "gas", "mixed", "unknown"]
Tokens = tuple[Token, ...]
Masked = Annotated[str, Meta(max_length=64)]
Parcel = Annotated[str, Meta(min_length=3, max_length=129)]


class Movement(Record, frozen=True, kw_only=True):
    """One scan or inspection of a traced parcel."""

    at: Annotated[Millis, _about("Time of the scan, or start of the inspection, epoch ms UTC.")]
    kind: Annotated[ScanType | InspectionType, _about("What was recorded.")]
    event_id: Annotated[EventId, _about("The event.")]
    facility_id: Id
    adcode: Annotated[Adcode, _about("Place of the facility, GB/T 2260.")]
    operator_id: Id | None = None
    machine_id: Id | None = None
    result: Annotated[Result | None, _about("What an inspection gave.")] = None
    duration_ms: Annotated[Annotated[int, Meta(ge=0)] | None, _about("How long an inspection took.")] = None


class Trace(Record, frozen=True, kw_only=True):
    """The way of a parcel with an alert or order, from its events. Persons are masked, or tokens under every key."""

    alert_id: Annotated[AlertId, _about("Id of the parcel's alert or order.")]
    revision: Annotated[Annotated[int, Meta(ge=0)], _about("Revision of the alert or order whose sources were read.")]
    carrier_code: Annotated[CarrierCode, _about("Carrier.")]
    waybill_no: Annotated[Id, _about("Waybill number.")]
    event_id: Annotated[EventId | None, _about("The shipment record.")] = None
    pickup_adcode: Annotated[Adcode | None, _about("Place of acceptance, GB/T 2260.")] = None
    dest_adcode: Annotated[Adcode | None, _about("Place of destination, GB/T 2260.")] = None
    pickup_place: Annotated[PickupPlace | None, _about("Kind of place of acceptance.")] = None
    picked_up_at: Annotated[Millis | None, _about("Time of acceptance, epoch ms UTC.")] = None
    direction: Annotated[Direction | None, _about("hmt = to or from Hong Kong, Macau or Taiwan.")] = None
    dest_country: Annotated[Country | None, _about("Country of destination, ISO 3166-1 alpha-2.")] = None
    goods_class: Annotated[GoodsClass | None, _about("Physical form, as declared, else by the goods name.")] = None
    goods_name: Annotated[Text | None, _about("Goods as declared; digits and possible names are masked.")] = None
    goods_term: Annotated[Text | None, _about("Controlled term that the name holds or hints at, as in its list.")] = (
        None
    )
    weight_g: Annotated[Count | None, _about("Weight at acceptance, grams.")] = None
    customer_type: Annotated[CustomerType | None, _about("Kind of sender.")] = None
    outlet_id: Id | None = None
    sender_tokens: Annotated[Tokens, _about("The sender's ID number, one token per key held.")] = ()
    sender_phone_tokens: Annotated[Tokens, _about("The sender's mobile, one token per key held.")] = ()
    recipient_tokens: Annotated[Tokens, _about("The recipient's mobile, one token per key held.")] = ()
    device_tokens: Annotated[Tokens, _about("The device of acceptance, one token per key held.")] = ()
    courier_tokens: Annotated[Tokens, _about("The courier of acceptance, one token per key held.")] = ()
    sender_masked: Annotated[Masked | None, _about("The sender's name, masked as in GB/T 41833.")] = None
    recipient_masked: Annotated[Masked | None, _about("The recipient's name, masked as in GB/T 41833.")] = None
    movements: Annotated[
        Annotated[tuple[Movement, ...], Meta(max_length=MOVEMENTS_MAX)],
        _about("By time; only the newest if there are more."),
    ] = ()
    gaps: Annotated[tuple[Source, ...], _about("Sources that can no longer be read.")] = ()

    @property
    def key(self) -> str:
        """Key of the message: the parcel."""
        return f"{self.carrier_code}:{self.waybill_no}"


class DutyCount(Record, frozen=True, kw_only=True):
    """One duty at one outlet on one day: for how many parcels it was due, and for how many done."""

    due: Annotated[Count, _about("Parcels under the duty for which it is known whether it was done.")]
    done: Annotated[Count, _about("Those of them for which it was done.")]


class Tally(Record, frozen=True, kw_only=True):
    """Counts over all parcels of one outlet and day in one partition. Each message replaces the one before; for the
    outlet's total, add up the partitions.
    """

    outlet_id: Id
    day: Annotated[Day, _about("Day of acceptance in China, YYYY-MM-DD.")]
    partition: Annotated[Count, _about("Partition whose parcels these are.")]
    parcels: Annotated[dict[CustomerType, Count], _about("Parcels by kind of sender.")]
    duties: Annotated[dict[Duty, DutyCount], _about("Due and done by duty; absent if due for no parcel.")]
    formal_open_box: Annotated[Count, _about("Parcels with an open-box check shorter than 3 s.")] = 0
    powder_liquid: Annotated[Count, _about("Parcels of powder or liquid.")] = 0
    priority_lane: Annotated[Count, _about("Parcels to priority destinations.")] = 0
    ghost: Annotated[Count, _about("Parcels that had not moved 48 h after acceptance, while a rule asks for it.")] = 0
    too_fast: Annotated[Count, _about("Parcels delivered in another province within 12 h.")] = 0
    late_upload: Annotated[Count, _about("Parcels whose valid record came more than 1 h after acceptance.")] = 0
    alerts: Annotated[dict[Tier, Count], _about("Parcels with an open alert, by tier.")]

    @property
    def key(self) -> str:
        """Key of the message, `outlet:YYYYMMDD:partition`."""
        return f"{self.outlet_id}:{self.day.replace('-', '')}:{self.partition}"


class Order(Record, frozen=True, kw_only=True):
    """A parcel that the random arm chose for a check, whatever its verdict. Sent again with each of its events."""

    order_id: Annotated[Id, _about("A function of the parcel alone: the id that an alert about it has.")]
    revision: Annotated[
        Annotated[int, Meta(ge=0)], _about("Rises with each change; counted as that of the parcel's alert.")
    ]
    arm: Annotated[Literal["random"], _about("Drawn by keyed hash before anyone looked.")]
    p: Annotated[Probability, _about("Probability with which it was chosen.")]
    day: Annotated[Day, _about("Day in China whose seed chose it, YYYY-MM-DD.")]
    carrier_code: Annotated[CarrierCode, _about("Carrier.")]
    waybill_no: Annotated[Id, _about("Waybill number.")]
    adcode: Annotated[Adcode, _about("Where the parcel can next be stopped, GB/T 2260.")]
    outlet_id: Annotated[Id | None, _about("Outlet of acceptance; absent without a shipment record.")] = None
    at: Annotated[Millis, _about("Event time at which it was chosen, epoch ms UTC.")]
    sources: Annotated[tuple[Source, ...], _about("Where the parcel's events can be read.")] = ()

    @property
    def key(self) -> str:
        """Key of the message: the parcel."""
        return f"{self.carrier_code}:{self.waybill_no}"


class Hold(Record, frozen=True, kw_only=True):
    """What a carrier is asked to do with a parcel. Upserted by parcel: the newest holds."""

    hold_id: Id
    clue_id: Annotated[ClueId, _about("The clue behind it.")]
    action: Annotated[
        Literal["request", "extend", "release"],
        _about("Stop the parcel, stop it for longer, or release it."),
    ]
    parcel: Annotated[Parcel, _about("Parcel, `CARRIER:NUMBER`; key of the message.")]
    reason: Annotated[Text, _about("Why; no personal data.")]
    basis: Annotated[Text, _about("Legal basis.")]
    until: Annotated[Millis, _about("End at the latest, epoch ms UTC.")]
    by: Annotated[UserId, _about("Who orders it.")]
    second_by: Annotated[UserId | None, _about("Who seconds an extension: another person.")] = None
    station: Annotated[Id | None, _about("Station for which they act.")] = None
    at: Annotated[Millis, _about("Wall clock of the order, epoch ms UTC.")]

    @property
    def key(self) -> str:
        """Key of the message: the parcel."""
        return self.parcel


class Enforcement(Record, frozen=True, kw_only=True):
    """One act of supervision of an enterprise. Corrected by a further entry, never edited."""

    event_id: Annotated[EventId, _about("UUID version 7, unique per entry; a repeat changes nothing.")]
    enterprise_id: Id
    action: Annotated[EnforcementKind, _about("What was done.")]
    at: Annotated[Millis, _about("When it was decided, epoch ms UTC.")]
    by: Annotated[UserId, _about("Who enters it.")]
    second_by: Annotated[UserId | None, _about("Who seconds a seal: another person.")] = None
    station: Annotated[Id | None, _about("Station for which they act.")] = None
    outlet_id: Id | None = None
    clue_id: Annotated[ClueId | None, _about("The clue that led to it.")] = None
    due: Annotated[Millis | None, _about("To be done by then, epoch ms UTC.")] = None
    fine_fen: Annotated[Money | None, _about("Fine, 1/100 CNY.")] = None
    reward_fen: Annotated[Money | None, _about("Reward, 1/100 CNY.")] = None
    reward_level: Annotated[Word | None, _about("Level of the reward.")] = None
    informant_no: Annotated[Id | None, _about("Number of the informant; never a name.")] = None
    persons: Annotated[Count | None, _about("Persons trained or disciplined (count).")] = None
    organiser: Annotated[Word | None, _about("Who organised a training: joint, regulator or enterprise.")] = None
    document_no: Annotated[Id | None, _about("Number of the decision.")] = None
    basis: Annotated[Text | None, _about("Legal basis.")] = None
    checks: Annotated[
        dict[Word, Literal["pass", "fail", "not_applicable"]] | None, _about("Result of each check of a visit.")
    ] = None
    corrects: Annotated[EventId | None, _about("The entry that this one corrects, or objects to.")] = None
    note: Annotated[Text | None, _about("Remark; no personal data.")] = None

    @property
    def key(self) -> str:
        """Key of the message: the enterprise."""
        return self.enterprise_id


class Entry(Record, frozen=True, kw_only=True):
    """A number typed into a report, or a sign-off. The newest message of a key is valid."""

    entry: Annotated[CellKey, _about("`report:period:adcode:cell`; key of the message.")]
    entry_kind: Annotated[EntryKind, _about("A cell, or a sign-off.")]
    value: Annotated[int | str | None, _about("What was typed; null removes it.")] = None
    by: Annotated[UserId, _about("Who typed it.")]
    at: Annotated[Millis, _about("Wall clock, epoch ms UTC.")]

    @property
    def key(self) -> str:
        """Key of the message."""
        return self.entry


class Access(Record, frozen=True, kw_only=True):
    """Who read what. Each writer chains its entries: `prev` is the SHA-256 of its previous entry."""

    event_id: Annotated[EventId, _about("UUID version 7.")]
    writer: Annotated[Id, _about("The process that writes this chain.")]
    prev: Annotated[ChainHash, _about("SHA-256 of the writer's previous entry, 64 hex digits; zeros for its first.")]
    user: Annotated[UserId, _about("Who read; key of the message.")]
    what: Annotated[tuple[Id, ...], _about("Ids of what was read; ids only.")]
    fields: Annotated[tuple[Word, ...], _about("Fields that were shown.")]
    why: Annotated[Text, _about("Purpose; no personal data.")]
    ok: Annotated[bool, _about("true = it was shown; false = it was refused.")]
    at: Annotated[Millis, _about("Wall clock, epoch ms UTC.")]

    @property
    def key(self) -> str:
        """Key of the message: the user."""
        return self.user


class Grade(Record, frozen=True, kw_only=True):
    """The grade of a firm: what it ships, and whether it does its duties. Derived; it can be computed again."""

    enterprise_id: Id
    day: Annotated[Day, _about("Day at the end of which it is valid, YYYY-MM-DD.")]
    colour: Annotated[Colour, _about("红, 黄, 绿.")]
    exposed: Annotated[bool, _about("It ships powder or liquid goods.")]
    compliance: Annotated[Met, _about("Whether it does its duties.")]
    stars: Annotated[Annotated[int, Meta(ge=0, le=5)] | None, _about("Stars; absent = not rated.")] = None
    catalogue: Annotated[str, _about("Fingerprint of the rules behind it.")]
    inputs: Annotated[dict[Word, float | None], _about("Figures behind it; null = unknown.")]

    @property
    def key(self) -> str:
        """Key of the message: the enterprise."""
        return self.enterprise_id


class Link(Record, frozen=True, kw_only=True):
    """Clues that share a sender, recipient or device within 14 days. Derived; they can be computed again."""

    clue_id: Annotated[ClueId, _about("The clue; key of the message.")]
    clues: Annotated[tuple[ClueId, ...], _about("Clues linked with it, sorted.")]
    weight: Annotated[Annotated[float, Meta(ge=0)], _about("Weight of the strongest link.")]
    at: Annotated[Millis, _about("Wall clock, epoch ms UTC.")]

    @property
    def key(self) -> str:
        """Key of the message: the clue."""
        return self.clue_id
