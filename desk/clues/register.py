"""Who can stop a parcel where: stations, facilities and working days, from the reference data."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final

from desk.clues.deadlines import Calendar
from schemas.reference import KINDS, Facility, Holiday, Outlet, Station
from streams.flow.decode import decode

_KINDS: Final = ("station", "facility", "outlet", "holiday")


class Register:
    """The newest reference record of each key that the desk needs. It ignores couriers."""

    def __init__(self) -> None:
        self.stations: dict[str, Station] = {}
        self._facilities: dict[str, Facility] = {}
        self._outlets: dict[str, Outlet] = {}
        self._days: dict[str, bool] = {}
        self._by_place: dict[str, list[str]] = {}

    def add(self, key: bytes, value: bytes | None) -> bool:
        """Add one record of `waybill.reference`. Returns whether it changes anything here."""
        kind, _, identity = key.decode("utf-8", "replace").partition(":")
        if kind not in _KINDS:
            return False
        rows = decode(KINDS[kind], [value]).rows if value else []
        if value and not rows:  # it cannot be read, so the last one stays valid
            return False
        self._set(kind, identity, rows[0] if rows else None)
        return True

    def station_for(
        self, adcode: str, facility: str | None, at_ms: int, declined: Container[str] = (), outlet: str | None = None
    ) -> Station | None:
        """The station that can stop a parcel: the one of its facility, else the nearest one to its place.

        adcode: where the parcel is, six digits. declined: stations that have refused. outlet: of acceptance; its
        facility is used if no other is known and the outlet lies in the same place. None: no station covers the place.
        """
        if facility is None and outlet is not None and (known := self._outlets.get(outlet)) is not None:
            facility = known.facility_id if known.adcode == adcode else None
        there = self._facilities.get(facility) if facility is not None else None
        named = [there.station_id] if there is not None and there.station_id is not None else []
        place = there.adcode if there is not None else adcode
        nearest = [station for length in (6, 4, 2) for station in self._by_place.get(place[:length], ())]
        for station_id in (*named, *nearest):
            station = self.stations.get(station_id)
            if station is not None and station_id not in declined and (station.closed_at or at_ms + 1) > at_ms:
                return station
        return None

    @property
    def outlet_places(self) -> dict[str, str]:
        """Code of the place of each outlet, GB/T 2260."""
        return {name: outlet.adcode for name, outlet in self._outlets.items()}

    @property
    def capacities(self) -> dict[str, int]:
        """Clues a working day, by station, for stations that state it."""
        return {name: station.capacity for name, station in self.stations.items() if station.capacity is not None}

    @property
    def calendar(self) -> Calendar:
        """Working days."""
        return Calendar(self._days)

    def _set(self, kind: str, identity: str, record: Any) -> None:
        if kind == "holiday":
            _put(self._days, identity, record.working if isinstance(record, Holiday) else None)
        elif kind == "facility":
            _put(self._facilities, record.facility_id if record else identity, record)
        elif kind == "outlet":
            _put(self._outlets, record.outlet_id if record else identity, record)
        else:
            _put(self.stations, record.station_id if record else identity, record)
            self._by_place = {}
            for station in sorted(self.stations.values(), key=lambda each: each.station_id):
                self._by_place.setdefault(_prefix(station.adcode), []).append(station.station_id)


def _prefix(adcode: str) -> str:
    """The part of a code that names the place: 440100 is 4401, 440000 is 44."""
    return adcode[:2] if adcode.endswith("0000") else adcode[:4] if adcode.endswith("00") else adcode


def _put(into: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        into.pop(key, None)
    else:
        into[key] = value
