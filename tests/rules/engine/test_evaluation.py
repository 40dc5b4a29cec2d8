"""Evaluating a catalogue over frames of every make."""

from __future__ import annotations

import math

import polars as pl
import pytest

from rules import Catalogue, evaluate, load_catalogue
from rules.engine.sql import DTYPES
from schemas.columns import COLUMNS
from tests.rules.rulefile import Load

SHIPPED = load_catalogue()
SCHEMA = {name: DTYPES[column.type] for name, column in COLUMNS.items()}


def frame_of(height: int, **columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame({**{name: [None] * height for name in SCHEMA}, **columns}, schema=SCHEMA)


def test_one_boolean_column_per_rule_aligned_with_the_frame() -> None:
    frame = frame_of(3, priority_origin=[True, None, False])
    answers = evaluate(frame, SHIPPED)
    assert answers.columns == [rule.id for rule in SHIPPED.rules]
    assert set(answers.dtypes) == {pl.Boolean()}
    assert answers["route.priority_origin"].to_list() == [True, None, False]


def test_no_rows() -> None:
    answers = evaluate(frame_of(0), SHIPPED)
    assert answers.shape == (0, len(SHIPPED.rules))
    assert set(answers.dtypes) == {pl.Boolean()}


def test_where_nothing_is_known_every_rule_says_unknown() -> None:
    """The net under every `when`: a rule that says no of a parcel of which nothing is known hides its ignorance.

    But for one that asks whether there is anything of a kind: of nothing it says no.
    """
    answers = evaluate(frame_of(1), SHIPPED).row(0)
    for rule, answer in zip(SHIPPED.rules, answers, strict=True):
        assert answer is None or (answer is False and "IS NOT NULL" in rule.when), rule.id


def test_answers_do_not_depend_on_the_batch() -> None:
    frame = frame_of(
        4,
        retail=[True, True, None, False],
        sender_names_90d=[3, None, 3, 3],
        goods_class=["powder", "solid", None, "liquid"],
        priority_lane=[True, None, True, False],
    )
    whole = evaluate(frame, SHIPPED)
    single = pl.concat([evaluate(frame.slice(i, 1), SHIPPED) for i in range(4)])
    assert whole.equals(single)


def test_a_missing_column_is_the_callers_fault() -> None:
    with pytest.raises(ValueError, match=r"lacks the column\(s\) goods_class, retail"):
        evaluate(frame_of(1).drop("retail", "goods_class"), SHIPPED)


@pytest.fixture
def wide(load: Load) -> Catalogue:
    return load(
        when="retail AND dest_adcode LIKE '44%' AND dest_adcode > '440' AND weight_g * 2.0 > 5"
        " AND sender_previous_km > 1",
        limits={},
    )


@pytest.mark.parametrize(
    ("name", "values", "dtype"),
    [
        ("weight_g", [3], pl.Int32),
        ("weight_g", [3], pl.UInt8),
        ("weight_g", [3], pl.UInt64),
        ("sender_previous_km", [2.0], pl.Float32),
        ("sender_previous_km", [2], pl.Int64),
        ("dest_adcode", ["440111"], pl.Enum(["530102", "440111"])),
        ("dest_adcode", ["440111"], pl.Categorical),
    ],
)
def test_other_types_that_mean_the_same(wide: Catalogue, name: str, values: list[object], dtype: pl.DataType) -> None:
    row = frame_of(1, retail=[True], dest_adcode=["440111"], weight_g=[3], sender_previous_km=[2.0])
    assert evaluate(row, wide).item() is True
    assert evaluate(row.with_columns(pl.Series(name, values, dtype=dtype)), wide).item() is True


@pytest.mark.parametrize("name", ["retail", "dest_adcode", "weight_g", "sender_previous_km"])
def test_a_column_of_nothing_but_nulls_has_no_type(wide: Catalogue, name: str) -> None:
    row = frame_of(1, retail=[True], dest_adcode=["440111"], weight_g=[3], sender_previous_km=[2.0])
    assert evaluate(row.with_columns(pl.Series(name, [None], dtype=pl.Null)), wide).item() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("retail", 1), ("retail", "true"), ("weight_g", 3.0), ("weight_g", "3"), ("dest_adcode", 440111)],
)
def test_a_column_of_another_type_is_refused(wide: Catalogue, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"column {name} is .*, documented as"):
        evaluate(frame_of(1).with_columns(pl.lit(value).alias(name)), wide)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_unknown(wide: Catalogue, value: float) -> None:
    row = frame_of(1, retail=[True], dest_adcode=["440111"], weight_g=[3], sender_previous_km=[value])
    assert evaluate(row, wide).item() is None
