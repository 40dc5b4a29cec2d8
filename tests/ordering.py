"""The random arm drawn a second time, by its formula alone, and what a reader of its topic has."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
import xxhash

from schemas.desk import Order
from schemas.records import Inspection, Scan, Shipment
from tests import reference
from tests.worlds import HOME, Record

ORDER_KEY: Final = bytes(range(32))
ORDER_SHARE: Final = 0.4
Drawn = dict[str, tuple[str, str, int, str | None, int]]
"""Day, place, time, outlet and number of sources by parcel."""
_order = msgspec.json.Decoder(Order).decode


def drawn(records: Iterable[Record], share: float = ORDER_SHARE) -> Drawn:
    """What the formula draws of these records."""
    records = [*records]
    first: dict[str, Scan] = {}
    for record in records:
        if isinstance(record, Scan) and record.facility_adcode.startswith(HOME):
            if record.scan_type in ("delivered", "returned"):
                continue
            other = first.get(record.parcel)
            if other is None or _rank(record) < _rank(other):
                first[record.parcel] = record
    valid, moves = reference.standing(records), _moves(records)
    found = {}
    for parcel, scan in first.items():
        day = (datetime.fromtimestamp(scan.scanned_at / 1000, UTC) + timedelta(hours=8)).date().isoformat()
        seed = hmac.digest(ORDER_KEY, f"waybill-orders {day}".encode(), "sha256")[:16]
        if xxhash.xxh64_intdigest(seed + parcel.encode()) / 2**64 < share:
            shipment = valid.get(parcel)
            place, outlet = _place(moves[parcel].values(), shipment), None if shipment is None else shipment.outlet_id
            found[parcel] = day, place, scan.scanned_at, outlet, len(moves[parcel]) + (shipment is not None)
    return found


def _moves(records: Iterable[Record]) -> defaultdict[str, dict[str, Scan | Inspection]]:
    """Movements of each parcel, by event."""
    found: defaultdict[str, dict[str, Scan | Inspection]] = defaultdict(dict)
    for record in records:
        if isinstance(record, Scan | Inspection):
            found[record.parcel].setdefault(record.event_id, record)
    return found


def _place(moves: Iterable[Scan | Inspection], shipment: Shipment | None) -> str:
    """Where the parcel can be stopped: at its last scan, or at its destination if it has left there."""
    last = max((each for each in moves if isinstance(each, Scan)), key=_rank)
    left = last.scan_type in ("departed", "forwarded")
    return shipment.dest_adcode if left and shipment is not None and shipment.dest_adcode else last.facility_adcode


def _rank(scan: Scan) -> tuple[int, int]:
    return scan.scanned_at, xxhash.xxh3_64_intdigest(scan.event_id.encode())


def standing(messages: Iterable[tuple[bytes, bytes | None]], share: float = ORDER_SHARE) -> Drawn:
    """What the newest message of each key says; nothing of orders that were taken back."""
    found = {}
    for key, value in dict(messages).items():
        if value is not None:
            order = _order(value)
            assert (order.key, order.arm, order.p) == (key.decode(), "random", share)
            found[order.key] = order.day, order.adcode, order.at, order.outlet_id, len(order.sources)
    return found
