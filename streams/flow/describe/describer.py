"""Describes shipment records without any state. Past this point nobody is named.

Each record becomes one packed row. Names, numbers and phones become tokens or flags here and go no further.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from schemas.columns import REFERENCE
from schemas.records import Shipment
from streams.flow import layout
from streams.flow.batches import TAIL, Rows, Uploads, tail
from streams.flow.describe.fields import Fields, codes_of, fields_of, parcels_of
from streams.flow.describe.goods import describe_goods
from streams.flow.describe.identity import describe_ids
from streams.flow.describe.people import describe_names, mobiles
from streams.flow.describe.place import starts_with_any
from streams.flow.describe.text import codes as normal_codes
from streams.flow.describe.tokens import Tokeniser, tokeniser
from streams.flow.layout import FLAGS, NONE, READ, SHIPMENT, parcel_ref, text_ref
from streams.flow.reject_cipher import RejectCipher, cipher_of
from streams.native import Switch
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Describer:
    """Describes records. Beside the record this depends on keys and on the deployment's lists of places."""

    tokens: Tokeniser
    priority_origins: tuple[str, ...]
    priority_countries: tuple[str, ...]
    home_adcodes: tuple[str, ...]
    kinds: frozenset[int]  # kinds of history that are kept
    joins: bool  # reference data are looked up
    reject_cipher: RejectCipher  # how the bytes of a record that cannot be read are kept
    native: Switch  # whether the native front end is used

    @classmethod
    def of(cls, settings: Settings, columns: Container[str]) -> Describer:
        """The describer for these settings. Without keys it uses the well-known development keys.

        columns: those that the rules in force read. History that none of them needs is not kept.
        """
        places = settings.priority_origins, settings.priority_countries, settings.home_adcodes
        return cls(tokeniser(settings), *places, frozenset(), False, cipher_of(settings), settings.native).reading(
            columns
        )

    def reading(self, columns: Container[str]) -> Describer:
        """The same for rules that read these columns."""
        kinds = frozenset(kind for kind, names in READ.items() if any(name in columns for name in names))
        return replace(self, kinds=kinds, joins=any(column.name in columns for column in REFERENCE))

    def uploads(self, records: Sequence[Shipment], partitions: list[int], offsets: Sequence[int]) -> Uploads:
        """SHIPMENT rows of shipment records."""
        if not records:
            return Uploads.none()
        raw = fields_of(Shipment, records)
        parcels = parcels_of(raw)
        rows = np.zeros(len(records), dtype=SHIPMENT)
        _plain(rows, raw)
        self._flags_and_persons(rows, raw)
        tails = list(map(tail, *(raw[name] for name in TAIL)))
        # The hash covers all content of an upload, so two different uploads with one event id stay different.
        said, size = rows.tobytes(), SHIPMENT.itemsize
        rows["event"] = [
            xxhash.xxh3_64_intdigest(said[size * i : size * (i + 1)] + strings) for i, strings in enumerate(tails)
        ]
        rows["offset"] = offsets
        return Uploads(partitions, [parcel_ref(parcel) for parcel in parcels], rows, tails)

    def _flags_and_persons(self, rows: Rows, raw: Fields) -> None:
        text = {name: pl.Series(raw[name], dtype=pl.String) for name in _TEXTS}
        # Keys and alerts have them as written; comparisons use their normal form.
        text.update({name: normal_codes(text[name]) for name in _CODES})
        ids = describe_ids(text["sender_id_no"], text["sender_id_type"], pl.Series(rows["picked_up_at"]))
        names = describe_names(text["sender_name"])
        goods = describe_goods(text["goods_name"], text["goods_form"])
        _flags(
            rows,
            agent_submitted=np.array(raw["agent_submitted"]),
            sender_id_given=ids["id_norm"].is_not_null(),
            sender_id_masked=ids["id_masked"],
            sender_id_checked=ids["id_valid"].is_not_null(),
            sender_id_valid=ids["id_valid"].fill_null(False),
            sender_name_given=names["name_norm"].is_not_null(),
            sender_name_masked=names["name_masked"],
            sender_name_placeholder=names["name_placeholder"],
            goods_controlled=goods["goods_controlled"],
            goods_hinted=goods["goods_hinted"],
            goods_vague=goods["goods_vague"],
            priority_origin=starts_with_any(text["pickup_adcode"], self.priority_origins),
            priority_lane=(rows["direction"] == _EXPORT)
            & np.isin(rows["dest_country"], np.array(self.priority_countries, dtype="S2")),
        )
        rows["sender_id_fault"] = ids["id_fault"].fill_null(NONE)
        rows["goods_class"] = goods["goods_class"].cast(pl.Enum(layout.GOODS_CLASSES)).to_physical()
        rows["goods_term"], rows["goods_trick"] = goods["goods_term"], goods["goods_trick"]
        token = self.tokens.tokens
        rows["person"] = token("id", _where(ids["id_norm"], ~ids["id_masked"]))
        phone = token("phone", mobiles(text["sender_phone"]).to_list())
        rows["recipient"] = token("phone", mobiles(text["recipient_phone"]).to_list())
        rows["sender"] = np.where(rows["person"] != 0, rows["person"], phone)
        self._entities(rows, text, phone, ids["id_prefix14"], names, goods["goods_norm"])

    def _entities(
        self,
        rows: Rows,
        text: Mapping[str, pl.Series],
        phone: NDArray[np.uint64],
        prefix: pl.Series,
        names: pl.DataFrame,
        goods: pl.Series,
    ) -> None:
        """The entities that this upload is an observation of. Histories count retail parcels only."""
        if self.joins or layout.SENDER in self.kinds:
            rows["carrier"] = _hashes(text["carrier_code"]).astype(np.uint32)
            rows["outlet"] = _hashes(text["outlet_id"])
        if self.joins or layout.COURIER in self.kinds:
            rows["courier"] = _hashes(_joined(text["carrier_code"], text["courier_id"]))
        some = np.flatnonzero(rows["customer_type"] == _RETAIL)
        if len(some) == 0:
            return
        token = self.tokens.tokens
        at = {name: text[name][some] for name in ("carrier_code", "outlet_id", "dest_adcode")}
        counted = names["name_norm"].is_not_null() & ~names["name_masked"] & ~names["name_placeholder"]
        entity = rows["entity"]
        if layout.SENDER in self.kinds:
            entity[some, layout.SENDER] = rows["person"][some]
            rows["name"][some] = token("name", _where(names["name_norm"], counted, some))
        if layout.PHONE in self.kinds:
            entity[some, layout.PHONE] = phone[some]
        if layout.RECIPIENT in self.kinds:
            entity[some, layout.RECIPIENT] = rows["recipient"][some]
        if layout.COURIER in self.kinds:
            entity[some, layout.COURIER] = rows["courier"][some]
            dest4 = at["dest_adcode"].fill_null("").str.slice(0, 4)
            rows["clone"][some] = _hashes(
                _joined(pl.Series(rows["weight_g"][some]).cast(pl.String), goods[some], dest4)
            )
        if layout.OUTLET_PREFIX in self.kinds:
            entity[some, layout.OUTLET_PREFIX] = token(
                "prefix", _joined(at["carrier_code"], at["outlet_id"], prefix[some]).to_list()
            )


_RETAIL = layout.CUSTOMERS.index("retail")
_EXPORT = layout.DIRECTIONS.index("export")

# Numbers and codes go straight into rows; only values to match or normalise become columns of text.
_NUMBERS = ("picked_up_at", "weight_g", "pieces")
_OPTIONAL = ("declared_value_fen", "freight_fen")
_ADCODES = ("pickup_adcode", "dest_adcode")
_LABELS = {
    name: codes_of(labels)
    for name, labels in (
        ("customer_type", layout.CUSTOMERS),
        ("pickup_place", layout.PLACES),
        ("direction", layout.DIRECTIONS),
        ("realname_method", layout.METHODS),
        ("realname_check", layout.CHECKS),
        ("sender_id_type", layout.ID_TYPES),
    )
}
_TEXTS = (
    *("carrier_code", "outlet_id", "courier_id", "pickup_adcode", "dest_adcode", "goods_name", "goods_form"),
    *("sender_name", "sender_phone", "sender_id_type", "sender_id_no", "recipient_phone"),
)
_CODES = ("carrier_code", "outlet_id", "courier_id")


def _plain(rows: Rows, raw: Fields) -> None:
    for name in _NUMBERS:
        rows[name] = raw[name]
    for name in _OPTIONAL:
        rows[name] = [-1 if value is None else value for value in raw[name]]
    for name in _ADCODES:
        rows[name] = [int(code) if code else 0 for code in raw[name]]
    for name, codes in _LABELS.items():
        rows[name] = [codes[value] for value in raw[name]]
    rows["version_at"] = [
        picked if recorded is None else recorded
        for picked, recorded in zip(raw["picked_up_at"], raw["recorded_at"], strict=True)
    ]
    rows["dest_country"] = np.array(raw["dest_country"], dtype="S2")


def _flags(rows: Rows, **columns: pl.Series | NDArray[np.bool_]) -> None:
    flags = np.zeros(len(rows), dtype=np.uint16)
    for name, column in columns.items():
        flags += np.asarray(column).astype(np.uint16) * FLAGS[name]
    rows["flags"] = flags


def _where(series: pl.Series, mask: pl.Series, rows: NDArray[np.int64] | None = None) -> list[str | None]:
    kept = series.set(~mask, None)
    return (kept if rows is None else kept[rows]).to_list()


def _joined(*parts: pl.Series) -> pl.Series:
    """`a:b:c`; null if any part is null."""
    frame = pl.DataFrame([part.alias(str(position)) for position, part in enumerate(parts)])
    return frame.select(pl.concat_str(pl.all(), separator=":")).to_series()


def _hashes(series: pl.Series) -> NDArray[np.uint64]:
    """A stable hash of each text; never 0. Not for names of persons. Texts repeat, so each is hashed once."""
    distinct = series.unique()
    hashes = [text_ref(text) for text in distinct.to_list()]
    return series.replace_strict(distinct, pl.Series(hashes, dtype=pl.UInt64), return_dtype=pl.UInt64).to_numpy()
