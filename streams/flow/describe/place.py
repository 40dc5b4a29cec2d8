"""Places: prefix lists, distances between adcodes, and the regions that were ever assigned.

The table is `data/adcodes.csv` (GB/T 2260 codes with years and centroids; provenance in `data/README.md`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

EARTH_RADIUS_KM = 6371.0088  # mean radius of the WGS 84 ellipsoid (IUGG)
CODES = 1_000_000  # six digits: tables are indexed by the code itself


def starts_with_any(adcode: pl.Series, prefixes: tuple[str, ...]) -> pl.Series:
    """Boolean per code: starts with one of `prefixes` (2, 4 or 6 digits). Null stays null; no prefixes means no."""
    if not prefixes:
        return adcode.str.contains("[^\\s\\S]")
    return adcode.str.contains("^(?:" + "|".join(map(re.escape, prefixes)) + ")")


def distance_km(a: NDArray[np.integer], b: NDArray[np.integer]) -> NDArray[np.float64]:
    """Great-circle distance (haversine) between the centroids of codes, pair by pair, in km; NaN if one is unknown.

    A code without a centroid takes the centroid of its four-digit parent, else of its two-digit parent. 0 is no code.
    """
    places = _centroids()
    lon_a, lat_a = places.of(a)
    lon_b, lat_b = places.of(b)
    half = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    # For antipodes, rounding can push the argument of arcsin above 1.
    km: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(1.0, np.sqrt(half)))
    return km


@cache
def assigned_regions() -> NDArray[np.int32]:
    """Every six-digit code ever assigned, in force or abolished, sorted. Read-only."""
    codes = np.sort(np.array([int(line.partition(b",")[0]) for line in _written().splitlines()[1:]], dtype=np.int32))
    codes.flags.writeable = False
    return codes


@dataclass(frozen=True, slots=True)
class _Centroids:
    """Radians of each known centroid, and for each possible code the position of its own. The last centroid is NaN."""

    row: NDArray[np.int16]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]

    def of(self, codes: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        row = self.row[np.where((codes > 0) & (codes < CODES), codes, 0)]
        return self.lon[row], self.lat[row]


@cache
def _centroids() -> _Centroids:
    known = _table().drop_nulls(["lon", "lat"])
    own = np.full(CODES, -1, dtype=np.int16)
    own[known["adcode"].to_numpy()] = np.arange(len(known), dtype=np.int16)
    code = np.arange(CODES)
    # Top down, so that a four-digit parent without a centroid passes on that of its province.
    row = own
    for step in (10_000, 100):
        parent = row[code // step * step]
        row = np.where(own >= 0, own, parent)
    row[0] = -1
    lon, lat = (np.append(np.radians(known[name].to_numpy()), np.nan) for name in ("lon", "lat"))
    return _Centroids(row.astype(np.int16), lon, lat)


@cache
def _table() -> pl.DataFrame:
    """adcode, name, lon, lat (degrees), since, until (years)."""
    return pl.read_csv(_written(), schema_overrides={"adcode": pl.Int32, "lon": pl.Float64, "lat": pl.Float64})


def _written() -> bytes:
    return (files("streams.flow.describe") / "data" / "adcodes.csv").read_bytes()
