"""The events that come in, and the records that workers and stations write about them. Each is defined once.

Other files: reference data (`reference`), messages beside alerts (`apart`), the clue log (`clues`), and other records
of the desk (`desk`).

The fields are those of the wire, in its order (which is also the fastest order to decode). Decoding, the published
JSON Schemas and the AsyncAPI document all come from these classes: run `python -m schemas` after a change.

`*_at` = epoch milliseconds UTC; `_g` grams; `_fen` 1/100 CNY; `*_adcode` = GB/T 2260, six digits as text. An optional
field may be null or absent, and unknown further fields are ignored. Numbers are integers: a producer may write `1.0`,
which JSON Schema calls an integer too.

A JSON Schema cannot express three things: text is Unicode (an escaped half of a surrogate pair is refused); a message
and its nesting have limits (`streams.flow.decode.Limits`); and if an object has a name twice, both values must be valid
and the last one counts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from schemas.terms import (
    INT_SAFE_MAX,
    Adcode,
    AlertId,
    Arm,
    CarrierCode,
    Category,
    CheckKind,
    ClueId,
    Count,
    Country,
    CustomerType,
    DeclaredMatch,
    Direction,
    EventId,
    GoodsForm,
    Hs6,
    Id,
    InspectionType,
    Millis,
    Money,
    NoiseReason,
    Offset,
    Outcome,
    PhotoHash,
    PickupPlace,
    Probability,
    RealnameCheck,
    RealnameMethod,
    RejectReason,
    Result,
    RuleId,
    ScanType,
    SealState,
    SenderIdType,
    Stage,
    Status,
    Text,
    Tier,
    Token,
    Word,
)


def _about(text: str) -> Meta:
    return Meta(description=text)


class Record(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The base of all records. `repr` shows only the class: fields hold personal data, and reprs end up in logs."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __rich_repr__(self) -> Any:
        return iter(())


class ParcelEvent(Record, frozen=True, kw_only=True):
    """The base of all input events: one event of one parcel."""

    event_id: Annotated[EventId, _about("Unique per event; a retry or a re-upload repeats it.")]
    schema_version: Annotated[Literal[1], _about("Version of this record's definition.")]
    carrier_code: Annotated[CarrierCode, _about("Carrier; first half of the parcel's identity, so without a colon.")]
    waybill_no: Annotated[Id, _about("Waybill number; second half of the parcel's identity.")]

    @property
    def parcel(self) -> str:
        """Identity of the parcel, `CARRIER:NUMBER`."""
        return f"{self.carrier_code}:{self.waybill_no}"

    @property
    def key(self) -> str:
        """Key of the message: the parcel."""
        return self.parcel


class Shipment(ParcelEvent, frozen=True, kw_only=True):
    """Acceptance record (收寄), one per parcel. A corrected upload has a new `event_id`; the newest wins."""

    picked_up_at: Annotated[Millis, _about("Time of acceptance, epoch ms UTC.")]
    recorded_at: Annotated[Millis | None, _about("Time of upload by the device, epoch ms UTC.")] = None
    outlet_id: Annotated[Id, _about("Outlet that accepted the parcel.")]
    courier_id: Annotated[Id, _about("Courier who accepted it.")]
    device_id: Annotated[Id | None, _about("Device it was recorded on.")] = None
    pickup_adcode: Annotated[Adcode, _about("Place of acceptance, GB/T 2260.")]
    pickup_place: Annotated[PickupPlace, _about("Kind of place of acceptance.")]
    customer_type: Annotated[CustomerType, _about("Only retail senders are under the real-name duty.")]
    sender_name: Annotated[Text | None, _about("Sender's name, may be masked. Personal data.")] = None
    sender_phone: Annotated[Text | None, _about("Sender's phone, may be masked. Personal data.")] = None
    sender_id_type: Annotated[SenderIdType | None, _about("Kind of the sender's identity document.")] = None
    sender_id_no: Annotated[Text | None, _about("Number of that document, may be masked. Personal data.")] = None
    realname_method: Annotated[RealnameMethod, _about("How the sender's identity was taken.")]
    realname_check: Annotated[RealnameCheck, _about("Result of the comparison with the person.")]
    agent_submitted: Annotated[bool, _about("Handed in by an agent on behalf of the sender.")]
    agent_id_no: Annotated[Text | None, _about("The agent's ID number, may be masked. Personal data.")] = None
    recipient_name: Annotated[Text | None, _about("Recipient's name, may be masked. Personal data.")] = None
    recipient_phone: Annotated[Text | None, _about("Recipient's phone, may be masked. Personal data.")] = None
    dest_country: Annotated[Country, _about("Country of destination, ISO 3166-1 alpha-2.")]
    dest_adcode: Annotated[Adcode | None, _about("Place of destination, GB/T 2260.")] = None
    direction: Annotated[Direction, _about("hmt = to or from Hong Kong, Macau or Taiwan.")]
    goods_name: Annotated[Text, _about("Goods as declared; may be empty.")]
    goods_form: Annotated[GoodsForm | None, _about("Physical form as declared.")] = None
    hs6: Annotated[Hs6 | None, _about("Harmonized System heading, six digits.")] = None
    declared_value_fen: Annotated[Money | None, _about("Declared value, 1/100 CNY.")] = None
    freight_fen: Annotated[Money | None, _about("Freight, 1/100 CNY.")] = None
    weight_g: Annotated[Count, _about("Weight at acceptance, grams.")]
    pieces: Annotated[Count, _about("Number of pieces.")]


class Scan(ParcelEvent, frozen=True, kw_only=True):
    """One scan of a parcel's track."""

    scan_type: Annotated[ScanType, _about("What the scan records.")]
    scanned_at: Annotated[Millis, _about("Time of the scan, epoch ms UTC.")]
    recorded_at: Annotated[Millis | None, _about("Time of upload, epoch ms UTC.")] = None
    facility_id: Annotated[Id, _about("Facility of the scan.")]
    facility_adcode: Annotated[Adcode, _about("Place of the facility, GB/T 2260.")]
    operator_id: Annotated[Id | None, _about("Who scanned.")] = None
    device_id: Annotated[Id | None, _about("Device that scanned.")] = None
    vehicle_no: Annotated[Id | None, _about("Vehicle the parcel came or went with.")] = None
    next_facility_id: Annotated[Id | None, _about("Where it goes next.")] = None
    weight_g: Annotated[Count | None, _about("Weight measured here, grams.")] = None
    seal_state: Annotated[SealState | None, _about("State of the seal.")] = None


class Inspection(ParcelEvent, frozen=True, kw_only=True):
    """One open-box, X-ray, identity or other check of a parcel."""

    inspection_type: Annotated[InspectionType, _about("Kind of check.")]
    stage: Annotated[Stage, _about("Where on its way the parcel was checked.")]
    started_at: Annotated[Millis, _about("Start, epoch ms UTC.")]
    ended_at: Annotated[Millis, _about("End, epoch ms UTC.")]
    inspector_id: Annotated[Id, _about("Who checked.")]
    machine_id: Annotated[Id | None, _about("Machine it was done with.")] = None
    facility_id: Annotated[Id, _about("Facility of the check.")]
    facility_adcode: Annotated[Adcode, _about("Place of the facility, GB/T 2260.")]
    result: Annotated[Result, _about("Result of the check.")]
    finding_code: Annotated[Id | None, _about("Carrier's code of what was found.")] = None
    photo_hash: Annotated[PhotoHash | None, _about("Perceptual hash of the photo, 16 hex digits.")] = None
    declared_match: Annotated[DeclaredMatch | None, _about("Whether the goods are those declared.")] = None


class Source(Record, frozen=True, kw_only=True):
    """Where an event was read."""

    topic: Annotated[str, _about("Topic.")]
    partition: Annotated[Count, _about("Partition.")]
    offset: Annotated[Offset, _about("Offset.")]


class Title(Record, frozen=True, kw_only=True):
    """A rule's title."""

    zh: Annotated[str, _about("In Chinese.")]
    en: Annotated[str, _about("In English.")]


class Reason(Record, frozen=True, kw_only=True):
    """One rule that says yes."""

    rule: Annotated[RuleId, _about("Rule, `family.name`.")]
    version: Annotated[Annotated[int, Meta(ge=1)], _about("Version of the rule.")]
    category: Annotated[Category, _about("Suspicion is judged by ranking, compliance by precision.")]
    points: Annotated[
        Annotated[int, Meta(ge=0, le=100)], _about("What it adds to the score; less while it is held back.")
    ]
    title: Annotated[Title, _about("The rule's title.")]
    evidence: Annotated[
        dict[str, str | int | float | bool | None], _about("Columns the rule names, with their values for this parcel.")
    ]


class Alert(Record, frozen=True, kw_only=True):
    """The verdict on one parcel, upserted: the newest message of a key is valid. No personal data in clear."""

    alert_id: Annotated[AlertId, _about("A function of the parcel alone.")]
    revision: Annotated[
        Annotated[int, Meta(ge=0, le=INT_SAFE_MAX)],
        _about("Rises with each change of the verdict; a function of all that is known about the parcel."),
    ]
    status: Annotated[Status, _about("withdrawn = the parcel fell below the tier from which alerts go out.")]
    tier: Annotated[Tier, _about("低危, 中危, 高危, 特危; low from 20 points, medium 40, high 60, extreme 80.")]
    score: Annotated[Annotated[int, Meta(ge=0, le=100)], _about("Sum of the points of `reasons`, at most 100.")]
    reasons: Annotated[tuple[Reason, ...], _about("Rules that say yes, sorted by rule.")]
    unknown: Annotated[tuple[RuleId, ...], _about("Rules without an answer because data are missing, sorted.")]
    actions: Annotated[tuple[Word, ...], _about("What to do: open_box, second_xray, identity_check, hold, ….")]
    jurisdiction_adcode: Annotated[Adcode, _about("Where the parcel can next be stopped, GB/T 2260.")]
    carrier_code: Annotated[CarrierCode, _about("Carrier.")]
    waybill_no: Annotated[Id, _about("Waybill number.")]
    outlet_id: Annotated[
        Annotated[str, Meta(max_length=64)], _about("Outlet of acceptance; empty while no shipment record is known.")
    ]
    courier_id: Annotated[
        Annotated[str, Meta(max_length=64)], _about("Courier of acceptance; empty while no shipment record is known.")
    ]
    sender_token: Annotated[Token | None, _about("Sender as keyed token, `key id:32 hex`.")] = None
    recipient_token: Annotated[Token | None, _about("Recipient as keyed token, `key id:32 hex`.")] = None
    earlier_sender_tokens: Annotated[
        tuple[Token, ...], _about("The same sender under older keys that workers still hold; none: absent.")
    ] = ()
    earlier_recipient_tokens: Annotated[
        tuple[Token, ...], _about("The same recipient under older keys that workers still hold; none: absent.")
    ] = ()
    goods_class: Annotated[
        GoodsForm | None, _about("Form of the goods: as declared, else by the words of their name.")
    ] = None
    direction: Annotated[Direction | None, _about("hmt = to or from Hong Kong, Macau or Taiwan.")] = None
    pickup_adcode: Annotated[Adcode | None, _about("Place of acceptance, GB/T 2260.")] = None
    dest_adcode: Annotated[Adcode | None, _about("Place of destination, GB/T 2260.")] = None
    dest_country: Annotated[Country | None, _about("Country of destination, ISO 3166-1 alpha-2.")] = None
    happened_at: Annotated[Millis, _about("Event time of the newest fact behind the verdict, epoch ms UTC.")]
    detected_at: Annotated[Millis, _about("Wall clock at the verdict, epoch ms UTC.")]
    catalogue: Annotated[str, _about("Fingerprint of the rules in force.")]
    sources: Annotated[tuple[Source, ...], _about("Events that brought this revision about.")]


class Reject(Record, frozen=True, kw_only=True):
    """A message that could not be read. Says where it was and why, never what it held."""

    topic: Annotated[str, _about("Topic it was read from.")]
    partition: Annotated[Count, _about("Partition.")]
    offset: Annotated[Offset, _about("Offset.")]
    reason: Annotated[RejectReason, _about("Why it was refused.")]
    detail: Annotated[Text, _about("Where in the record and what was expected; no content of the record.")]
    received_at: Annotated[int, _about("The broker's timestamp of the message, epoch ms UTC; -1 if it has none.")]
    raw: Annotated[str | None, _about("The message, encrypted, as base64; absent unless a setting keeps it.")] = None


class Feedback(Record, frozen=True, kw_only=True):
    """What was found when someone looked."""

    feedback_id: Annotated[Id, _about("Unique per answer; a repeat changes nothing.")]
    alert_id: Annotated[AlertId, _about("The alert that is answered.")]
    revision: Annotated[Annotated[int, Meta(ge=0, le=INT_SAFE_MAX)], _about("Its revision.")]
    outcome: Annotated[Outcome, _about("What was found.")]
    rules: Annotated[tuple[RuleId, ...] | None, _about("Rules that were confirmed.")] = None
    to_adcode: Annotated[Adcode | None, _about("Where the case was handed over to, GB/T 2260.")] = None
    note: Annotated[Text | None, _about("Remark; no personal data.")] = None
    found_g: Annotated[Count | None, _about("Weight of what was seized, grams.")] = None
    at: Annotated[Millis, _about("Time of the answer, epoch ms UTC.")]
    by_station: Annotated[Id, _about("Station that answers.")]
    clue_id: Annotated[ClueId | None, _about("The clue answered; absent where a station answers without the desk.")] = (
        None
    )
    arm: Annotated[Arm | None, _about("How the parcel was chosen; absent = selected, by its alert.")] = None
    p: Annotated[Probability | None, _about("Probability with which the random arm chose it.")] = None
    unsure_rules: Annotated[
        tuple[RuleId, ...] | None,
        _about("Rules that the check could not judge. Where `rules` is given, all others of the alert were wrong."),
    ] = None
    checked_at: Annotated[Millis | None, _about("When the parcel was looked at, epoch ms UTC.")] = None
    check_kind: Annotated[CheckKind | None, _about("How it was looked at.")] = None
    confirms: Annotated[Id | None, _about("Feedback of another person that this double check agrees with.")] = None
    corrects: Annotated[Id | None, _about("Feedback that this one replaces.")] = None
    noise_reason: Annotated[NoiseReason | None, _about("Why the alert was wrong.")] = None


_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """The record as it goes on the wire: one JSON object, absent options left out."""
    return _encoder.encode(record)
