"""Figures of declared measures, against what they mean: one observation at a time, one comparison after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.measures import ATTRIBUTES, MEASURES, Figure, Measure
from streams.flow.describe.place import distance_km
from streams.flow.fold.figures import NOTHING, Observed
from streams.flow.layout import KEPT, KINDS, OBSERVED, SPAN_MS

Row = dict[str, int]
PLACES = (440111, 440306, 310115, 990101)

observed_rows = st.lists(
    st.fixed_dictionaries(
        {
            "group": st.integers(0, 2),
            "at": st.integers(1, 12),
            "a": st.integers(0, 3),
            "b": st.integers(0, 2),
            "place": st.sampled_from(PLACES),
            "live": st.integers(0, 1),
        }
    ),
    min_size=1,
    max_size=30,
).map(lambda rows: sorted(rows, key=lambda row: (row["group"], row["at"])))


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    """Any measure that may be declared."""
    entity = draw(st.sampled_from(KINDS))
    figure = draw(st.sampled_from(get_args(Figure)))
    attribute = st.just("place") if figure == "distance" else st.sampled_from(ATTRIBUTES[entity])
    over = draw(attribute | st.just("") if figure == "count" else attribute)
    same = draw(st.just("") | st.sampled_from(ATTRIBUTES[entity]))
    earlier = figure == "count" and draw(st.booleans())
    return Measure("drawn", entity, figure, draw(st.integers(1, 15)), over, same, earlier)


def value_of(row: Row, entity: str, attribute: str) -> int:
    field, divisor = KEPT[entity][attribute]
    return row[field] // divisor


def figure_of(measure: Measure, i: int, rows: Sequence[Row]) -> float:
    """What the declaration says in words."""
    me = rows[i]

    def of(row: Row, attribute: str) -> int:
        return value_of(row, measure.entity, attribute)

    window = [
        (j, row)
        for j, row in enumerate(rows[: i + 1])
        if row["group"] == me["group"]
        and row["at"] > me["at"] - measure.window_ms
        and (not measure.same or of(row, measure.same) == of(me, measure.same))
        and row["live"]
        and (not measure.attribute or of(row, measure.attribute))
    ]
    if measure.figure == "count":
        return len([j for j, _ in window if j < i or not measure.earlier])
    found = [of(row, measure.attribute) for _, row in window]
    match measure.figure:
        case "distinct":
            return len(set(found))
        case "sum":
            return sum(found)
        case "max":
            return max(found, default=NOTHING)
        case "min":
            return min(found, default=NOTHING)
        case "span":
            return max(found) - min(found) if found else NOTHING
    before = [row for j, row in window if j < i]
    if measure.figure == "previous":
        return of(me, measure.attribute) - of(before[-1], measure.attribute) if before else NOTHING
    return float(distance_km(np.array([before[-1]["place"]]), np.array([me["place"]]))[0]) if before else np.nan


def packed(rows: Sequence[Row]) -> NDArray[np.void]:
    out = np.zeros(len(rows), dtype=OBSERVED)
    for name in ("at", "a", "b", "place", "live"):
        out[name] = [row[name] for row in rows]
    return out


@given(measures(), observed_rows)
def test_figures_mean_what_is_declared(measure: Measure, rows: list[Row]) -> None:
    group = np.array([row["group"] for row in rows])
    found = Observed(measure.entity, packed(rows), group).figures(measure)
    np.testing.assert_array_equal(found, [figure_of(measure, i, rows) for i in range(len(rows))])


def test_every_kept_attribute_may_be_declared() -> None:
    assert {entity: set(kept) for entity, kept in KEPT.items()} == {e: set(kept) for e, kept in ATTRIBUTES.items()}


def test_each_history_is_kept_as_long_as_its_longest_window() -> None:
    for kind, span in zip(KINDS, SPAN_MS.tolist(), strict=True):
        assert span == max(each.window_ms for each in MEASURES if each.entity == kind)


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"entity": "sender", "figure": "distinct", "attribute": "clone"}, "history of sender does not keep clone"),
        ({"entity": "parcel", "figure": "sum", "attribute": "at"}, "history of parcel does not keep at"),
        ({"entity": "phone", "figure": "count", "same": "outlet"}, "history of phone does not keep outlet"),
        ({"entity": "sender", "figure": "distinct"}, "distinct of what"),
        ({"entity": "sender", "figure": "distance", "attribute": "at"}, "a distance is between places"),
        ({"entity": "sender", "figure": "max", "attribute": "at", "earlier": True}, "earlier is for counts"),
        ({"entity": "sender", "figure": "count", "window_ms": 0}, "longer than 0"),
    ],
)
def test_what_cannot_be_answered_cannot_be_declared(about: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Measure(**{"name": "drawn", "window_ms": 1, **about})  # type: ignore[arg-type]
