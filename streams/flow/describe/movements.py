"""Describes movements, the events on a parcel's way, as MOVEMENT rows. Nothing here names a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import xxhash

from schemas.inputs import MOVEMENTS, Input
from schemas.records import Inspection, Scan
from streams.flow import layout
from streams.flow.batches import Movements, Rows
from streams.flow.describe.fields import Fields, codes_of, fields_of, parcels_of
from streams.flow.layout import MOVEMENT, NONE, parcel_ref


def movements(of: Input, records: Sequence[Any], partitions: list[int], offsets: Sequence[int]) -> Movements:
    """MOVEMENT rows of the records of one topic, with the partition and the offset of each."""
    if not records:
        return Movements.none()
    raw = fields_of(of.record, records)
    rows = np.zeros(len(records), dtype=MOVEMENT)
    rows["at"] = raw[of.at]
    rows["offset"] = offsets
    rows["adcode"] = [int(code) for code in raw["facility_adcode"]]
    # Different systems may number the records of different topics: a seed of their own keeps equal ids apart.
    seed = MOVEMENTS.index(of)
    rows["id"] = [xxhash.xxh3_64_intdigest(event_id.encode(), seed) for event_id in raw["event_id"]]
    _FILL[of.record](rows, raw)
    rows["kind"] += layout.FIRST_KIND[of.record]
    names = parcels_of(raw)
    parcels = [parcel_ref(name) for name in names]
    cut = {short: name for short, name in zip(parcels, names, strict=True) if len(short) == layout.PARCEL_BYTES}
    return Movements(partitions, parcels, rows, cut)


def _scans(rows: Rows, raw: Fields) -> None:
    rows["value"] = [-1 if weight is None else weight for weight in raw["weight_g"]]
    rows["kind"] = [_SCAN[each] for each in raw["scan_type"]]
    rows["result"] = NONE


def _inspections(rows: Rows, raw: Fields) -> None:
    spent = np.array(raw["ended_at"], dtype=np.int64) - rows["at"]
    rows["value"] = np.clip(spent, -(2**31), 2**31 - 1)
    rows["kind"] = [_INSPECTION[each] for each in raw["inspection_type"]]
    rows["result"] = [_RESULT[result] for result in raw["result"]]


_SCAN, _INSPECTION, _RESULT = map(codes_of, (layout.SCAN_TYPES, layout.INSPECTION_TYPES, layout.RESULTS))

_FILL: Final[dict[type, Callable[[Rows, Fields], None]]] = {Scan: _scans, Inspection: _inspections}
"""By record, the function that fills the columns which differ between records: value, kind and result."""
