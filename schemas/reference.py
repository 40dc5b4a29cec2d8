"""Reference data: enterprises, places, couriers, machines and days, known before any parcel comes."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from msgspec import Meta

from schemas.records import Record, _about
from schemas.terms import (
    Adcode,
    CarrierCode,
    Count,
    Country,
    FacilityKind,
    GoodsForm,
    Id,
    Millis,
    ReviewStatus,
    Scope,
    StationKind,
    Text,
    Word,
)


class ReferenceRecord(Record, frozen=True, kw_only=True, tag_field="kind", tag=str.lower):
    """The fields that all reference records share. `kind` is the class in lower case, and `kind:id` the message key."""

    id: Annotated[Id, _about("Identity within the kind.")]

    @property
    def key(self) -> str:
        """Key of the message, `kind:id`."""
        return f"{type(self).__name__.lower()}:{self.id}"


class Enterprise(ReferenceRecord, frozen=True, kw_only=True):
    """An express enterprise and its licence.

    The records of one enterprise are the versions of its licence. At any time, the version with the latest
    `licence_from` before that time is valid; the newest record if several are equal. A record without `licence_from`
    replaces all earlier records with its `id`. A licence that is published more than a week ahead needs an `id` of its
    own, or compaction removes the present licence.
    """

    enterprise_id: Id
    name: Text
    uscc: Annotated[Id | None, _about("Unified social credit code.")] = None
    licence_no: Id | None = None
    licence_from: Annotated[Millis | None, _about("Licence in force from, epoch ms UTC.")] = None
    licence_to: Annotated[
        Millis | None,
        _about("Licence in force until, epoch ms UTC; midnight in China (UTC+8) means the end of that day."),
    ] = None
    licence_adcodes: Annotated[
        tuple[Annotated[str, Meta(pattern="^[1-9][0-9]{0,5}$", max_length=6)], ...],
        _about("Places it may serve, as GB/T 2260 prefixes."),
    ]
    licence_scopes: Annotated[tuple[Scope, ...], _about("Services it may offer.")]
    filing_no: Id | None = None
    enterprise_kind: Word
    video_online: Annotated[bool, _about("Its video is connected to the regulator.")]
    data_link: Annotated[bool, _about("Its data are connected to the regulator.")]
    park: Annotated[Id | None, _about("Logistics park where it works.")] = None
    monthly_parcels: Annotated[Count | None, _about("Parcels a month, by the regulator or as the firm states.")] = None
    declared_goods: Annotated[
        tuple[GoodsForm, ...] | None, _about("Forms of goods that the firm states it ships; powder and liquid count.")
    ] = None
    declared_lanes: Annotated[
        tuple[Country, ...] | None, _about("Countries that the firm states it ships to, ISO 3166-1 alpha-2.")
    ] = None


class Outlet(ReferenceRecord, frozen=True, kw_only=True):
    """An outlet of an enterprise."""

    outlet_id: Id
    enterprise_id: Id
    adcode: Annotated[Adcode, _about("Place, GB/T 2260.")]
    lon: Annotated[Annotated[float, Meta(ge=-180, le=180)], _about("Longitude, degrees.")]
    lat: Annotated[Annotated[float, Meta(ge=-90, le=90)], _about("Latitude, degrees.")]
    fixed: Annotated[bool, _about("Has fixed premises.")]
    filed_at: Annotated[Millis | None, _about("Time of filing with the regulator, epoch ms UTC.")] = None
    facility_id: Annotated[Id | None, _about("The outlet's own facility, as scans name it.")] = None
    park: Annotated[Id | None, _about("Logistics park where it lies.")] = None


class Courier(ReferenceRecord, frozen=True, kw_only=True):
    """A courier. `id_no` and `phone` become tokens when read."""

    courier_id: Id
    carrier_code: Annotated[CarrierCode, _about("Carrier.")]
    enterprise_id: Id
    outlet_id: Id
    id_no: Annotated[Text | None, _about("ID number. Personal data.")] = None
    phone: Annotated[Text | None, _about("Phone. Personal data.")] = None
    registered_at: Annotated[Millis, _about("Time of registration, epoch ms UTC.")]
    left_at: Annotated[Millis | None, _about("Time of leaving, epoch ms UTC.")] = None
    reviewed_at: Annotated[Millis | None, _about("Time of the last background review, epoch ms UTC.")] = None
    certificate_to: Annotated[Millis | None, _about("Certificate in force until, epoch ms UTC.")] = None
    certificate_no: Annotated[Id | None, _about("Number of that certificate.")] = None
    review_status: Annotated[
        ReviewStatus | None, _about("Whether the background review was done. Never what it found.")
    ] = None


class Machine(ReferenceRecord, frozen=True, kw_only=True):
    """An inspection machine."""

    machine_id: Id
    facility_id: Id
    machine_kind: Word
    seen_at: Annotated[Millis, _about("When it last reported, epoch ms UTC.")]


class Facility(ReferenceRecord, frozen=True, kw_only=True):
    """A place where parcels are scanned and checked, as scans and inspections name it."""

    facility_id: Id
    facility_kind: Annotated[FacilityKind, _about("What is done there.")]
    adcode: Annotated[Adcode, _about("Place, GB/T 2260.")]
    enterprise_id: Id | None = None
    station_id: Annotated[Id | None, _about("Station that stops parcels here; absent = that of the place.")] = None
    xray_units: Annotated[Count | None, _about("X-ray machines (count).")] = None
    cameras: Annotated[Count | None, _about("Cameras connected to the regulator (count).")] = None


class Station(ReferenceRecord, frozen=True, kw_only=True):
    """Who can stop a parcel and answers clues: a police station, a postal office, a security post of a firm."""

    station_id: Id
    name: Text
    station_kind: Annotated[StationKind, _about("Who runs it.")]
    adcode: Annotated[Adcode, _about("Place it serves, GB/T 2260; 440100 serves all of 4401, 440000 all of 44.")]
    capacity: Annotated[
        Annotated[int, Meta(ge=1, lt=2**31)] | None, _about("Clues that it can answer on a working day (count).")
    ] = None
    closed_at: Annotated[Millis | None, _about("It takes no clues after this time, epoch ms UTC.")] = None


class Holiday(ReferenceRecord, frozen=True, kw_only=True):
    """An exception to the working week: a public holiday, or a weekend day that is worked (调休).

    `id` is the day in China, YYYY-MM-DD; a record with an `id` of another form is ignored.
    """

    name: Text | None = None
    working: Annotated[bool, _about("Work is done on this day.")] = False


Reference = Enterprise | Outlet | Courier | Machine | Facility | Station | Holiday

KINDS: Final[dict[str, type[ReferenceRecord]]] = {str(each.__struct_config__.tag): each for each in get_args(Reference)}
"""The records by their `kind`."""
