"""The random arm drawn a second time, by its formula alone, and what a reader of its topic has."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import xxhash

from schemas.desk import Order
from schemas.records import Scan
from tests.worlds import HOME, Record

ORDER_KEY: Final = bytes(range(32))
ORDER_SHARE: Final = 0.4
Drawn = dict[str, tuple[str, str, int]]
"""Day, place and time by parcel."""
_order = msgspec.json.Decoder(Order).decode


def drawn(records: Iterable[Record], share: float = ORDER_SHARE) -> Drawn:
    """What the formula draws of these records."""
    first: dict[str, Scan] = {}
    for record in records:
        if isinstance(record, Scan) and record.facility_adcode.startswith(HOME):
            if record.scan_type in ("delivered", "returned"):
                continue
            other = first.get(record.parcel)
            if other is None or _rank(record) < _rank(other):
                first[record.parcel] = record
    found = {}
    for parcel, scan in first.items():
        day = (datetime.fromtimestamp(scan.scanned_at / 1000, UTC) + timedelta(hours=8)).date().isoformat()
        seed = hmac.digest(ORDER_KEY, f"waybill-orders {day}".encode(), "sha256")[:16]
        if xxhash.xxh64_intdigest(seed + parcel.encode()) / 2**64 < share:
            found[parcel] = day, scan.facility_adcode, scan.scanned_at
    return found


def _rank(scan: Scan) -> tuple[int, int]:
    return scan.scanned_at, xxhash.xxh3_64_intdigest(scan.event_id.encode())


def standing(messages: Iterable[tuple[bytes, bytes | None]], share: float = ORDER_SHARE) -> Drawn:
    """What the newest message of each key says; nothing of orders that were taken back."""
    found = {}
    for key, value in dict(messages).items():
        if value is not None:
            order = _order(value)
            assert (order.key, order.arm, order.p) == (key.decode(), "random", share)
            found[order.key] = order.day, order.adcode, order.at
    return found
