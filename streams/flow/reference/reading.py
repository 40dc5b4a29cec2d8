"""Reads reference records into rows of the table. ID numbers and phones become tokens here and go no further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.reference import KINDS, Courier, Enterprise, Outlet
from streams.flow.decode import Rejected, decode, unframed
from streams.flow.describe.identity import CHINA_TIME_MS, describe_ids
from streams.flow.describe.people import mobiles
from streams.flow.describe.text import cleaned, code
from streams.flow.describe.tokens import Tokeniser
from streams.flow.front.reader import Front
from streams.flow.layout import DAY_MS, text_ref
from streams.flow.reference import ALWAYS, NEVER, SCOPES, Reference
from streams.flow.reference.table import COURIER, DTYPES, ENTERPRISE, OUTLET, Areas, Table

Rows = NDArray[np.void]


class _Tagged(msgspec.Struct):
    kind: str


_tagged = msgspec.json.Decoder(_Tagged).decode


class Reader:
    """Reads message values into a table; `build` returns what is known so far."""

    def __init__(self, front: Front) -> None:
        """front: makes the same tokens as for senders."""
        self._table = Table()
        self._refused: dict[str, str] = {}  # the first reason, by kind
        self._front = front

    def add(
        self, values: Sequence[bytes | None], offsets: Sequence[int], keys: Sequence[bytes | None] = ()
    ) -> list[Rejected]:
        """Add records in the order of their offsets. Returns those that cannot be read; they change nothing.

        keys: those of the messages. A message that has a key of the form `kind:id` and no value deletes that record.
        """
        rejected: list[Rejected] = []
        by_kind: dict[str, list[int]] = {}
        gone: dict[str, list[tuple[int, int]]] = {}
        for index in self._add_plain(values, offsets):
            value, key = values[index], keys[index] if index < len(keys) else None
            if value is None and key:
                gone.setdefault(_kind_of(key), []).append((_ref(key), offsets[index]))
            else:
                by_kind.setdefault(_kind(value), []).append(index)
        for kind, indices in by_kind.items():
            decoded = decode(KINDS[kind], [values[index] for index in indices], self._front.limits)
            rejected += [Rejected(indices[bad.index], bad.reason, bad.detail) for bad in decoded.rejected]
            for bad in decoded.rejected[:1]:
                self._refused.setdefault(kind, f"{bad.reason}, {bad.detail}")
            if decoded.rows and kind in DTYPES:
                rows = self._rows(kind, decoded.rows)
                rows["offset"] = [offsets[indices[i]] for i in decoded.indices]
                self._table.add(kind, rows)
        for name, pairs in gone.items():
            if name in DTYPES:
                rows = np.zeros(len(pairs), dtype=DTYPES[name])
                rows["key"], rows["offset"], rows["gone"] = *zip(*pairs, strict=True), True
                self._table.add(name, rows)
        if len(offsets):
            self._table.read_to(offsets[-1] + 1)
        return sorted(rejected, key=lambda bad: bad.index)

    def build(self) -> Reference:
        """What is known now, and which kinds are silent because none of their records could be read."""
        built = self._table.build()
        silent = {kind: why for kind, why in self._refused.items() if built.sizes.get(kind) == 0}
        return replace(built, silent=silent)

    def _add_plain(self, values: Sequence[bytes | None], offsets: Sequence[int]) -> Sequence[int]:
        """Add the records that the native front end reads. Returns the places of the others."""
        found = self._front.reference(values)
        for kind, (places, rows) in found.rows.items():
            rows["offset"] = [offsets[place] for place in places]
            if kind == "enterprise":
                rows["area"] = [self._table.areas.number(tuple(prefixes)) for prefixes in found.areas]
            self._table.add(kind, rows)
        return found.strange

    def _rows(self, kind: str, records: list[Any]) -> Rows:
        rows = {
            "enterprise": lambda: _enterprises(records, self._table.areas),
            "outlet": lambda: _outlets(records),
            "courier": lambda: _couriers(records, self._front.describer.tokens),
        }[kind]()
        rows["key"] = [text_ref(record.key) for record in records]
        return rows


def _enterprises(records: Sequence[Enterprise], areas: Areas) -> Rows:
    rows = np.zeros(len(records), dtype=ENTERPRISE)
    rows["enterprise"] = [text_ref(code(record.enterprise_id)) for record in records]
    rows["since"] = [ALWAYS if record.licence_from is None else record.licence_from for record in records]
    rows["until"] = [_until(record.licence_to) for record in records]
    rows["licensed"] = [bool(cleaned(record.licence_no or "")) for record in records]
    rows["scopes"] = [sum(1 << SCOPES.index(scope) for scope in set(record.licence_scopes)) for record in records]
    rows["area"] = [areas.number(record.licence_adcodes) for record in records]
    return rows


def _until(licence_to: int | None) -> int:
    """The first moment at which a licence is no longer valid."""
    if licence_to is None:
        return NEVER
    # Registers give the last day, and exports write it as the midnight at which that day begins.
    return licence_to + DAY_MS if (licence_to + CHINA_TIME_MS) % DAY_MS == 0 else licence_to


def _outlets(records: Sequence[Outlet]) -> Rows:
    rows = np.zeros(len(records), dtype=OUTLET)
    rows["outlet"] = [text_ref(code(record.outlet_id)) for record in records]
    rows["enterprise"] = [text_ref(code(record.enterprise_id)) for record in records]
    rows["adcode"] = [int(record.adcode) for record in records]
    return rows


def _couriers(records: Sequence[Courier], tokens: Tokeniser) -> Rows:
    rows = np.zeros(len(records), dtype=COURIER)
    carriers = [code(record.carrier_code) for record in records]
    rows["carrier"] = np.array([text_ref(carrier) for carrier in carriers], dtype=np.uint64) & 0xFFFFFFFF
    rows["courier"] = [
        text_ref(f"{carrier}:{code(record.courier_id)}") for carrier, record in zip(carriers, records, strict=True)
    ]
    rows["left"] = [NEVER if record.left_at is None else record.left_at for record in records]
    # Like those of senders, so that equal numbers give equal tokens.
    none = pl.Series([None] * len(records), dtype=pl.String)
    ids = describe_ids(pl.Series([record.id_no for record in records], dtype=pl.String), none, none.cast(pl.Int64))
    rows["person"] = tokens.tokens("id", ids["id_norm"].set(ids["id_masked"], None).to_list())
    phones = mobiles(pl.Series([record.phone for record in records], dtype=pl.String))
    rows["phone"] = tokens.tokens("phone", phones.to_list())
    return rows


def _kind(value: bytes | None) -> str:
    """The kind of record that a value holds. A value of no known kind goes to the first kind, which refuses it."""
    try:
        kind = _tagged(unframed(value or b"")).kind
    except (ValueError, RecursionError):
        return "enterprise"
    return kind if kind in KINDS else "enterprise"


def _kind_of(key: bytes) -> str:
    return key.partition(b":")[0].decode(errors="replace")


def _ref(key: bytes) -> int:
    return text_ref(key.decode(errors="replace"))
