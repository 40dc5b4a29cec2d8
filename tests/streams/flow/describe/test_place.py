"""Places: prefixes, distances between centroids, assigned regions."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.flow.describe.place import assigned_regions, distance_km, starts_with_any

codes = st.integers(-5, 1_100_000) | st.sampled_from([int(code) for code in assigned_regions()])


def km(a: int, b: int) -> float:
    return float(distance_km(np.array([a], dtype=np.int32), np.array([b], dtype=np.int32))[0])


def test_prefixes() -> None:
    series = pl.Series(["510104", "120111", "120112", "441300", None])
    assert starts_with_any(series, ("5101", "120111")).to_list() == [True, True, False, False, None]
    assert starts_with_any(series, ("44",)).to_list() == [False, False, False, True, None]
    assert starts_with_any(series, ()).to_list() == [False, False, False, False, None]
    assert starts_with_any(pl.Series([], dtype=pl.String), ("44",)).to_list() == []


def test_known_distances() -> None:
    # Guangzhou to Beijing is 1,890 km by the usual tables; one degree of a great circle is 111.195 km.
    assert km(440100, 110000) == pytest.approx(1890, rel=0.01)
    assert km(440111, 440306) == pytest.approx(87, rel=0.1)
    lon_a, lat_a, lon_b, lat_b = map(math.radians, (113.26641, 23.132324, 116.407394, 39.904211))
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    assert km(440000, 110000) == pytest.approx(2 * 6371.0088 * math.asin(math.sqrt(half)), rel=1e-12)


def test_a_code_without_centroid_takes_its_parents() -> None:
    assert km(510102, 510100) == 0  # dissolved in 1990: its city's
    assert km(510199, 510100) == 0  # never assigned: its city's
    assert km(519999, 510000) == 0  # no such city: its province's
    assert km(510104, 510100) > 0  # has its own


@pytest.mark.parametrize("code", [0, -1, 999999, 990000, 830000, 1, 1_000_000, 2**31 - 1])
def test_unknown_places_are_nan(code: int) -> None:
    assert math.isnan(km(code, 440100))
    assert math.isnan(km(440100, code))


@given(st.lists(st.tuples(codes, codes), max_size=40))
def test_distance_is_symmetric_and_on_earth(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array([pair[i] for pair in pairs], dtype=np.int32) for i in (0, 1))
    there, back = distance_km(a, b), distance_km(b, a)
    np.testing.assert_allclose(there, back, rtol=1e-12)
    known = there[~np.isnan(there)]
    assert ((known >= 0) & (known < 5_600)).all()  # the longest way within the country


def test_assigned_regions_are_sorted_distinct_and_read_only() -> None:
    regions = assigned_regions()
    assert regions.dtype == np.int32
    assert (np.diff(regions) > 0).all()
    assert len(regions) == 7668
    assert {110101, 440111, 500105, 710000, 820000} <= set(regions.tolist())
    with pytest.raises(ValueError, match="read-only"):
        regions[0] = 1
