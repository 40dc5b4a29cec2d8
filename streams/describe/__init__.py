"""Describe: columns that need no memory. Past this point nobody is named.

Each record becomes one packed row; names, numbers and phones become tokens or flags here and go no further.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from schemas.records import Inspection, Scan, Shipment
from streams import layout
from streams.describe.goods import describe_goods
from streams.describe.identity import describe_ids
from streams.describe.people import describe_names, describe_phones
from streams.describe.place import starts_with_any
from streams.describe.tokens import Tokeniser, load_keys
from streams.frames import Movements, Uploads, tail
from streams.layout import FLAGS, MOVEMENT, NONE, SHIPMENT, parcel_ref
from streams.settings import Settings

Rows = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Describer:
    """What describing depends on besides the record: keys, and the deployment's priority lists."""

    tokens: Tokeniser
    priority_origins: tuple[str, ...]
    priority_countries: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Describer:
        """The describer that these settings ask for; without keys it has the well-known development keys."""
        tokens = load_keys(
            token_key_file=settings.token_key_file,
            token_state_key_file=settings.token_state_key_file,
            token_key=settings.token_key.get_secret_value() if settings.token_key else None,
            token_state_key=settings.token_state_key.get_secret_value() if settings.token_state_key else None,
        )
        return cls(tokens, settings.priority_origins, settings.priority_countries)

    def uploads(self, records: Sequence[Shipment], partitions: list[int], offsets: Sequence[int]) -> Uploads:
        """SHIPMENT rows of shipment records."""
        if not records:
            return Uploads.none()
        raw = _shipment_frame(records)
        parcels = [record.parcel for record in records]
        rows = np.zeros(len(records), dtype=SHIPMENT)
        rows["offset"] = offsets
        rows["event"] = [
            xxhash.xxh3_64_intdigest(f"{parcel}\x1f{record.event_id}".encode())
            for parcel, record in zip(parcels, records, strict=True)
        ]
        _plain(rows, raw)
        self._flags_and_persons(rows, raw)
        tails = [tail(r.event_id, r.carrier_code, r.waybill_no, r.outlet_id, r.courier_id) for r in records]
        return Uploads(partitions, [parcel_ref(parcel) for parcel in parcels], rows, tails)

    def _flags_and_persons(self, rows: Rows, raw: pl.DataFrame) -> None:
        ids = describe_ids(raw["sender_id_no"], raw["sender_id_type"], raw["picked_up_at"])
        names = describe_names(raw["sender_name"])
        goods = describe_goods(raw["goods_name"], raw["goods_form"])
        origin = starts_with_any(raw["pickup_adcode"], self.priority_origins)
        lane = (raw["direction"] == "export") & raw["dest_country"].is_in(self.priority_countries)
        _flags(
            rows,
            agent_submitted=raw["agent_submitted"],
            sender_id_given=ids["id_norm"].is_not_null(),
            sender_id_masked=ids["id_masked"],
            sender_id_checked=ids["id_valid"].is_not_null(),
            sender_id_valid=ids["id_valid"],
            sender_name_given=names["name_norm"].is_not_null(),
            sender_name_masked=names["name_masked"],
            sender_name_placeholder=names["name_placeholder"],
            goods_controlled=goods["goods_controlled"],
            goods_vague=goods["goods_vague"],
            priority_origin=origin,
            priority_lane=lane,
        )
        rows["goods_class"] = _code(goods["goods_class"], layout.GOODS_CLASSES)
        token = self.tokens.tokens
        rows["person"] = token("id", _where(ids["id_norm"], ~ids["id_masked"]))
        phone = token("phone", describe_phones(raw["sender_phone"])["phone_norm"].to_list())
        rows["recipient"] = token("phone", describe_phones(raw["recipient_phone"])["phone_norm"].to_list())
        rows["sender"] = np.where(rows["person"] != 0, rows["person"], phone)
        self._entities(rows, raw, phone, ids["id_prefix14"], names, goods["goods_norm"])

    def _entities(
        self,
        rows: Rows,
        raw: pl.DataFrame,
        phone: NDArray[np.uint64],
        prefix: pl.Series,
        names: pl.DataFrame,
        goods: pl.Series,
    ) -> None:
        """Who and what this upload is an observation of. History counts retail parcels only."""
        retail = (raw["customer_type"] == "retail").to_numpy()
        some = np.flatnonzero(retail)
        if len(some) == 0:
            return
        token = self.tokens.tokens
        at = raw[some]
        outlet = _joined(at["carrier_code"], at["outlet_id"])
        counted = names["name_norm"].is_not_null() & ~names["name_masked"] & ~names["name_placeholder"]
        rows["name"][some] = token("name", _where(names["name_norm"], counted, some))
        rows["outlet"][some] = _hashes(outlet)
        clone = _joined(at["weight_g"].cast(pl.String), goods[some], at["dest_adcode"].fill_null("").str.slice(0, 4))
        rows["clone"][some] = _hashes(clone)
        entity = rows["entity"]
        entity[some, layout.SENDER] = rows["person"][some]
        entity[some, layout.PHONE] = phone[some]
        entity[some, layout.RECIPIENT] = rows["recipient"][some]
        entity[some, layout.COURIER] = token("courier", _joined(at["carrier_code"], at["courier_id"]).to_list())
        near = prefix[some]
        entity[some, layout.OUTLET_PREFIX] = token("prefix", _joined(outlet, near).to_list())


def scans(records: Sequence[Scan], partitions: list[int], offsets: Sequence[int]) -> Movements:
    """MOVEMENT rows of scans."""
    rows = np.zeros(len(records), dtype=MOVEMENT)
    rows["at"] = [record.scanned_at for record in records]
    rows["value"] = [-1 if record.weight_g is None else record.weight_g for record in records]
    rows["kind"] = [_SCAN[record.scan_type] for record in records]
    rows["seal"] = [_SEAL[record.seal_state] for record in records]
    rows["result"] = rows["stage"] = NONE
    return _movements(rows, records, partitions, offsets)


def inspections(records: Sequence[Inspection], partitions: list[int], offsets: Sequence[int]) -> Movements:
    """MOVEMENT rows of inspections."""
    rows = np.zeros(len(records), dtype=MOVEMENT)
    rows["at"] = [record.started_at for record in records]
    spent = [record.ended_at - record.started_at for record in records]
    rows["value"] = np.clip(np.array(spent, dtype=np.int64), -(2**31), 2**31 - 1)
    rows["kind"] = [layout.INSPECTION + _INSPECTION[record.inspection_type] for record in records]
    rows["result"] = [_RESULT[record.result] for record in records]
    rows["stage"] = [_STAGE[record.stage] for record in records]
    rows["seal"] = NONE
    return _movements(rows, records, partitions, offsets)


def joined(parts: Sequence[Movements]) -> Movements:
    """Several batches of movements as one."""
    return Movements(
        [partition for part in parts for partition in part.partitions],
        [parcel for part in parts for parcel in part.parcels],
        np.concatenate([part.rows for part in parts]),
    )


def _movements(
    rows: Rows, records: Sequence[Scan] | Sequence[Inspection], partitions: list[int], offsets: Sequence[int]
) -> Movements:
    rows["id"] = [xxhash.xxh3_64_intdigest(record.event_id.encode()) for record in records]
    rows["offset"] = offsets
    rows["adcode"] = [int(record.facility_adcode) for record in records]
    return Movements(partitions, [parcel_ref(record.parcel) for record in records], rows)


def _codes(labels: tuple[str, ...]) -> dict[str | None, int]:
    return {**{label: code for code, label in enumerate(labels)}, None: NONE}


_SCAN, _SEAL = _codes(layout.SCAN_TYPES), _codes(layout.SEALS)
_INSPECTION, _RESULT, _STAGE = _codes(layout.INSPECTION_TYPES), _codes(layout.RESULTS), _codes(layout.STAGES)

_FIELDS: dict[str, pl.DataType] = {
    "carrier_code": pl.String(),
    "outlet_id": pl.String(),
    "courier_id": pl.String(),
    "picked_up_at": pl.Int64(),
    "recorded_at": pl.Int64(),
    "pickup_adcode": pl.String(),
    "pickup_place": pl.String(),
    "customer_type": pl.String(),
    "sender_name": pl.String(),
    "sender_phone": pl.String(),
    "sender_id_type": pl.String(),
    "sender_id_no": pl.String(),
    "realname_method": pl.String(),
    "realname_check": pl.String(),
    "agent_submitted": pl.Boolean(),
    "recipient_phone": pl.String(),
    "dest_country": pl.String(),
    "dest_adcode": pl.String(),
    "direction": pl.String(),
    "goods_name": pl.String(),
    "goods_form": pl.String(),
    "declared_value_fen": pl.Int64(),
    "freight_fen": pl.Int64(),
    "weight_g": pl.Int64(),
    "pieces": pl.Int64(),
}
_values = attrgetter(*_FIELDS)


def _shipment_frame(records: Sequence[Shipment]) -> pl.DataFrame:
    columns = zip(*map(_values, records), strict=True)
    return pl.DataFrame(
        [pl.Series(name, values, dtype=kind) for (name, kind), values in zip(_FIELDS.items(), columns, strict=True)]
    )


def _plain(rows: Rows, raw: pl.DataFrame) -> None:
    rows["picked_up_at"] = raw["picked_up_at"]
    rows["version_at"] = raw["recorded_at"].fill_null(raw["picked_up_at"])
    for name in ("declared_value_fen", "freight_fen"):
        rows[name] = raw[name].fill_null(-1)
    for name in ("pickup_adcode", "dest_adcode"):
        rows[name] = raw[name].cast(pl.Int32).fill_null(0)
    for name in ("weight_g", "pieces"):
        rows[name] = raw[name]
    rows["dest_country"] = raw["dest_country"].to_numpy().astype("S2")
    for name, labels in (
        ("customer_type", layout.CUSTOMERS),
        ("pickup_place", layout.PLACES),
        ("direction", layout.DIRECTIONS),
        ("realname_method", layout.METHODS),
        ("realname_check", layout.CHECKS),
        ("sender_id_type", layout.ID_TYPES),
    ):
        rows[name] = _code(raw[name], labels)


def _code(series: pl.Series, labels: tuple[str, ...]) -> NDArray[np.uint8]:
    return series.cast(pl.Enum(labels)).to_physical().cast(pl.UInt8).fill_null(NONE).to_numpy()


def _flags(rows: Rows, **columns: pl.Series) -> None:
    flags = np.zeros(len(rows), dtype=np.uint16)
    for name, column in columns.items():
        flags[column.fill_null(False).to_numpy()] |= FLAGS[name]
    rows["flags"] = flags


def _where(series: pl.Series, mask: pl.Series, rows: NDArray[np.int64] | None = None) -> list[str | None]:
    kept = series.set(~mask, None)
    return (kept if rows is None else kept[rows]).to_list()


def _joined(*parts: pl.Series) -> pl.Series:
    """`a:b:c`; null where any part is."""
    frame = pl.DataFrame([part.alias(str(position)) for position, part in enumerate(parts)])
    return frame.select(pl.concat_str(pl.all(), separator=":")).to_series()


def _hashes(series: pl.Series) -> NDArray[np.uint64]:
    return np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in series.to_list()], dtype=np.uint64)
