"""The world of one seed: places, carriers, outlets, couriers and facilities, and the reference records about them.

Facilities are numbered: outlets first, then one hub and one delivery station per place. Everything ordinary is licensed
and registered; what is not, planted cases add through `planted_couriers` and `planted_enterprises`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.generate.people import People, Slots, unit

DAY_MS = 86_400_000
CARRIERS = ("QN", "HT", "LY", "FC")  # invented; shares of the outlets below
CARRIER_SHARES = (0.4, 0.3, 0.2, 0.1)
PARCELS_PER_COURIER_DAY = 80
COURIERS_PER_OUTLET = 4

# GB/T 2260 code, longitude, latitude (centroids as in streams/flow/describe/data), weight of its traffic (our guess).
PLACES = (
    (110102, 116.366, 39.912, 9), (110105, 116.443, 39.922, 9), (120102, 117.252, 39.128, 5),
    (120111, 117.009, 39.141, 1), (130102, 114.539, 38.036, 5), (130602, 115.459, 38.877, 10),
    (140105, 112.566, 37.737, 5), (150102, 111.666, 40.858, 5), (210102, 123.42, 41.79, 5),
    (210202, 121.645, 38.919, 5), (220102, 125.35, 43.864, 5), (230102, 126.617, 45.756, 5),
    (310104, 121.436, 31.188, 12), (310105, 121.425, 31.22, 12), (320102, 118.798, 32.048, 5),
    (320205, 120.358, 31.59, 5), (320302, 117.186, 34.289, 5), (320505, 120.434, 31.33, 18),
    (330102, 120.169, 30.242, 20), (330203, 121.551, 29.875, 5), (330302, 120.655, 28.016, 5),
    (330602, 120.583, 29.988, 4), (330603, 120.495, 30.082, 4), (330702, 119.572, 29.087, 40),
    (340102, 117.31, 31.858, 5), (350102, 119.304, 26.082, 5), (350203, 118.083, 24.445, 6),
    (350502, 118.587, 24.907, 16), (350802, 117.037, 25.098, 1), (360102, 115.904, 28.699, 5),
    (370102, 117.076, 36.666, 5), (370202, 120.412, 36.076, 5), (371302, 118.348, 35.052, 12),
    (410102, 113.613, 34.748, 5), (411302, 112.54, 33.004, 5), (420102, 114.309, 30.6, 7),
    (420103, 114.271, 30.601, 7), (420602, 112.134, 32.01, 5), (430102, 113.033, 28.185, 5),
    (430421, 112.371, 26.97, 6), (440103, 113.244, 23.126, 15), (440111, 113.273, 23.157, 15),
    (440303, 114.131, 22.548, 12), (440306, 113.884, 22.555, 12), (440402, 113.544, 22.266, 5),
    (440507, 116.716, 23.372, 20), (440604, 113.122, 23.01, 12), (441302, 114.382, 23.084, 3),
    (441303, 114.456, 22.79, 3), (450102, 108.369, 22.854, 2), (450103, 108.494, 22.786, 2),
    (450202, 109.427, 24.366, 1), (450302, 110.264, 25.274, 5), (460105, 110.294, 20.007, 5),
    (500102, 107.39, 29.703, 7), (500113, 106.54, 29.402, 7), (510104, 104.117, 30.598, 9),
    (510105, 104.061, 30.674, 9), (510703, 104.757, 31.455, 5), (520102, 106.714, 26.568, 5),
    (520302, 106.894, 27.645, 5), (530102, 102.707, 25.044, 3), (530103, 102.752, 25.116, 3),
    (530302, 103.805, 25.495, 5), (530502, 99.166, 25.121, 1), (530802, 100.977, 22.787, 1),
    (530902, 100.083, 23.895, 1), (532622, 104.337, 23.606, 1), (532822, 100.453, 21.957, 1),
    (533102, 97.856, 24.018, 1), (540102, 91.141, 29.655, 5), (610102, 108.961, 34.266, 5),
    (620102, 103.825, 36.057, 5), (630102, 101.804, 36.6, 5), (640104, 106.289, 38.474, 5),
    (650102, 87.632, 43.794, 5),)  # fmt: skip


class World:
    """Places and businesses for about `parcels` parcels in `days` days from `start_at` (epoch ms).

    population: the outlets, facilities and couriers of one have other ids than those of another.
    """

    def __init__(
        self, people: People, seed: int, parcels: int, days: float, start_at: int, population: int = 0
    ) -> None:
        rng = np.random.default_rng([seed, 10, population])
        self._mark = f"N{population}" if population else ""
        self._people = people
        self._start_at = start_at
        self.adcodes: NDArray[np.int64] = np.array([place[0] for place in PLACES], dtype=np.int64)
        self._weights = np.array([place[3] for place in PLACES], dtype=np.float64)
        self._weights /= self._weights.sum()

        couriers = parcels / days / PARCELS_PER_COURIER_DAY
        count = min(20_000, max(len(PLACES), round(couriers / COURIERS_PER_OUTLET)))
        spread = np.maximum(1, np.floor(self._weights * count)).astype(np.int64)
        self.outlet_places: NDArray[np.int64] = np.repeat(np.arange(len(PLACES)), spread)
        self.outlet_carriers = rng.choice(len(CARRIERS), size=len(self.outlet_places), p=CARRIER_SHARES)
        self._outlet_cumulative = np.cumsum((self._weights / spread)[self.outlet_places])
        self._place_cumulative = np.cumsum(self._weights)
        self.planted_couriers: list[dict[str, Any]] = []
        self.planted_enterprises: list[dict[str, Any]] = []
        self.planted_outlets: list[dict[str, Any]] = []

    @property
    def outlets(self) -> int:
        """Number of ordinary outlets."""
        return len(self.outlet_places)

    def outlet_of(self, slots: Slots, salt: int) -> NDArray[np.int64]:
        """An outlet per slot, by the weight of its place."""
        return _search(self._outlet_cumulative, unit(slots, salt))

    def place_of(self, slots: Slots, salt: int) -> NDArray[np.int64]:
        """A place per slot, by its weight."""
        return _search(self._place_cumulative, unit(slots, salt))

    def hub(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Facility number of the hub of each place."""
        return self.outlets + places

    def station(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Facility number of the delivery station of each place."""
        return self.outlets + len(PLACES) + places

    def places_with(self, prefixes: tuple[str, ...], wanted: bool = True) -> NDArray[np.int64]:
        """Places whose code starts with one of `prefixes`, or (wanted=False) the others."""
        found = [str(code).startswith(prefixes) is wanted for code in self.adcodes]
        return np.flatnonzero(found)

    @cached_property
    def outlet_ids(self) -> pl.Series:
        """Ids of the outlets: carrier, place, number within the place."""
        first = np.searchsorted(self.outlet_places, self.outlet_places)
        number = pl.Series(np.arange(self.outlets) - first + 1).cast(pl.String).str.zfill(3)
        return (
            pl.Series(np.array(CARRIERS)[self.outlet_carriers]) + self._text(self.outlet_places) + self._mark + number
        )

    @cached_property
    def facility_ids(self) -> pl.Series:
        """Ids of all facilities, by number."""
        places = self._text(np.arange(len(PLACES))) + self._mark
        return pl.concat([self.outlet_ids, "HUB" + places, "STA" + places])

    @cached_property
    def facility_adcodes(self) -> pl.Series:
        """Place of each facility, by number."""
        every = np.arange(len(PLACES))
        return self._text(np.concatenate([self.outlet_places, every, every]))

    def _text(self, places: NDArray[np.int64]) -> pl.Series:
        return pl.Series(self.adcodes[places]).cast(pl.String)

    def reference(self) -> list[dict[str, Any]]:
        """All reference records, as on the wire."""
        return [
            *self._enterprises(), *self.planted_enterprises, *self._outlets(), *self.planted_outlets,
            *self._couriers(), *self.planted_couriers, *self._machines(), *self._stations(),
        ]  # fmt: skip

    def _enterprises(self) -> list[dict[str, Any]]:
        pairs = sorted({(c, int(self.adcodes[p]) // 10_000) for c, p in zip(
            self.outlet_carriers.tolist(), self.outlet_places.tolist(), strict=True)})  # fmt: skip
        return [
            enterprise(f"E{CARRIERS[carrier]}{province}", number, self._start_at, [str(province)])
            for number, (carrier, province) in enumerate(pairs, start=1)
        ]

    def _outlets(self) -> list[dict[str, Any]]:
        return [
            self.outlet(outlet_id, f"E{CARRIERS[carrier]}{self.adcodes[place] // 10_000}", place)
            for outlet_id, carrier, place in zip(
                self.outlet_ids, self.outlet_carriers.tolist(), self.outlet_places.tolist(), strict=True
            )
        ]

    def outlet(self, outlet_id: str, enterprise_id: str, place: int) -> dict[str, Any]:
        """An outlet in `place`, filed long ago."""
        code, lon, lat, _ = PLACES[place]
        return {
            "kind": "outlet", "id": outlet_id, "outlet_id": outlet_id, "enterprise_id": enterprise_id,
            "adcode": str(code), "lon": lon, "lat": lat, "fixed": True, "filed_at": self._start_at - 300 * DAY_MS,
        }  # fmt: skip

    def _couriers(self) -> list[dict[str, Any]]:
        slots = np.arange(self.outlets * COURIERS_PER_OUTLET, dtype=np.int64) + COURIER_SLOT
        ids, phones = self._people.ids(slots), self._people.phones(slots)
        outlets = self._outlets()
        return [
            self.courier(
                f"{at['outlet_id']}C{n % COURIERS_PER_OUTLET}", at["outlet_id"], at["enterprise_id"], id_no, phone
            )
            for n, (id_no, phone) in enumerate(zip(ids, phones, strict=True))
            for at in (outlets[n // COURIERS_PER_OUTLET],)
        ]

    def courier(self, courier_id: str, outlet_id: str, enterprise_id: str, id_no: str, phone: str) -> dict[str, Any]:
        """A registered and reviewed courier."""
        return {
            "kind": "courier", "id": courier_id, "courier_id": courier_id, "carrier_code": outlet_id[:2],
            "enterprise_id": enterprise_id, "outlet_id": outlet_id, "id_no": id_no, "phone": phone,
            "registered_at": self._start_at - 200 * DAY_MS, "left_at": None,
            "reviewed_at": self._start_at - 100 * DAY_MS, "certificate_to": self._start_at + 400 * DAY_MS,
        }  # fmt: skip

    def _machines(self) -> list[dict[str, Any]]:
        return [
            {"kind": "machine", "id": f"X-{facility}", "machine_id": f"X-{facility}", "facility_id": facility,
             "machine_kind": "xray", "seen_at": self._start_at}
            for facility in self.facility_ids.slice(self.outlets)
        ]  # fmt: skip

    def _stations(self) -> list[dict[str, Any]]:
        """A police station for each place, and one for each province, which has what lies elsewhere."""
        provinces = sorted({int(code) // 10_000 * 10_000 for code in self.adcodes})
        return [
            {"kind": "station", "id": f"PS{code}", "station_id": f"PS{code}", "name": f"示例派出所{code}",
             "station_kind": "police", "adcode": str(code), "capacity": 12}
            for code in (*self.adcodes.tolist(), *provinces)
        ]  # fmt: skip


# Slots of persons, kept apart by purpose; see people.py for the size of the space.
SENDER_SLOT = 0
RECIPIENT_SLOT = 60_000_000
MERCHANT_SLOT = 140_000_000
COURIER_SLOT = 160_000_000
PLANTED_SLOT = 170_000_000


def enterprise(enterprise_id: str, number: int, start_at: int, adcodes: list[str]) -> dict[str, Any]:
    """An enterprise with a licence in force for `adcodes` and every scope. Its USCC has a letter no USCC may have."""
    return {
        "kind": "enterprise", "id": enterprise_id, "enterprise_id": enterprise_id, "name": f"示例快递企业{number:04d}",
        "uscc": f"91000000SYNTH{number:05d}", "licence_no": f"示例许可{number:06d}",
        "licence_from": start_at - 700 * DAY_MS, "licence_to": start_at + 700 * DAY_MS, "licence_adcodes": adcodes,
        "licence_scopes": ["domestic", "international", "hmt"], "filing_no": f"BA{number:06d}",
        "enterprise_kind": "express", "video_online": True, "data_link": True,
    }  # fmt: skip


def _search(cumulative: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.searchsorted(cumulative[:-1], at * cumulative[-1], side="right")
    return found
