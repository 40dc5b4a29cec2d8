"""Records as columns: the values of each field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import astuple, fields

from schemas.records import Record
from streams.flow.layout import NONE

Fields = Mapping[str, Sequence[Any]]
"""The values of records, by field."""


def fields_of(record: type[Record], records: Sequence[Record]) -> Fields:
    """The values of these records, all of this class and at least one."""
    names = (field.name for field in fields(record))
    return dict(zip(names, zip(*map(astuple, records), strict=True), strict=True))


def parcels_of(raw: Fields) -> list[str]:
    """The parcel of each record, `CARRIER:NUMBER`."""
    return [f"{carrier}:{number}" for carrier, number in zip(raw["carrier_code"], raw["waybill_no"], strict=True)]


def codes_of(labels: tuple[str, ...]) -> dict[str | None, int]:
    """The code of each label, and of None."""
    return {**{label: code for code, label in enumerate(labels)}, None: NONE}
