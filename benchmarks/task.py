"""The task's numbers, and how one person's parcels are counted. The standard library alone: peers import it, too."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

FORMS = frozenset({"powder", "liquid"})
WINDOW_MS = 86_400_000
PARCELS_MIN = 20
KEPT_MS = 2 * WINDOW_MS  # a partition may be read so far ahead of another

_TIME = itemgetter(0)


def counted(shipment: Mapping[str, Any]) -> str:
    """The ID number that this shipment counts for; empty: for none."""
    return (shipment.get("sender_id_no") or "") if shipment["customer_type"] == "retail" else ""


def candidate(shipment: Mapping[str, Any], origins: frozenset[str]) -> bool:
    """Whether it would be alerted if its sender had posted enough. origins: prefixes of 4 or 6 digits."""
    place = shipment["pickup_adcode"]
    return shipment.get("goods_form") in FORMS and (place[:4] in origins or place in origins)


def parcel_of(shipment: Mapping[str, Any]) -> str:
    """Its key."""
    return f"{shipment['carrier_code']}:{shipment['waybill_no']}"


def add(parcels: list[list[Any]], at: int, parcel: str, waits: bool) -> list[tuple[str, int]]:
    """Count a parcel among those of its sender; returns those to alert now, with their counts.

    parcels: [event time, parcel, whether it would be alerted if its sender had posted more], by time; is changed.
    """
    if any(parcel == known for _, known, _ in parcels):
        return []
    insort(parcels, [at, parcel, waits])
    del parcels[: bisect_right(parcels, at - KEPT_MS, key=_TIME)]
    found = []
    for each in parcels[bisect_left(parcels, at, key=_TIME) : bisect_left(parcels, at + WINDOW_MS, key=_TIME)]:
        time, waiting, waits = each
        if waits:
            count = bisect_right(parcels, time, key=_TIME) - bisect_right(parcels, time - WINDOW_MS, key=_TIME)
            if count >= PARCELS_MIN:
                each[2] = False
                found.append((waiting, count))
    return found


def alert(parcel: str, count: int) -> dict[str, object]:
    """What is said of it."""
    return {"parcel": parcel, "tier": "medium", "score": 50, "sender_parcels_24h": count}
