"""`when` as SQL: what it means over nulls, and what is refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from rules.engine.contract import RuleError
from rules.engine.sql import DTYPES, compile_when
from schemas.columns import COLUMNS

SCHEMA = {name: DTYPES[column.type] for name, column in COLUMNS.items()}


def answer(when: str, row: dict[str, Any], **limits: Any) -> bool | None:
    """The answer on one row; columns not given are null."""
    frame = pl.DataFrame([{**dict.fromkeys(SCHEMA), **row}], schema=SCHEMA)
    result = frame.select(compile_when(when, limits, "rule.yaml").alias("answer"))["answer"]
    assert result.dtype == pl.Boolean
    return result.to_list()[0]  # type: ignore[no-any-return]


def test_every_documented_column_can_be_read_bare() -> None:
    for name in COLUMNS:
        assert compile_when(f"{name} IS NOT NULL", {}, "rule.yaml").meta.root_names() == [name]


THREE_VALUED = [
    # logic
    ("retail", {}, None),
    ("NOT retail", {}, None),
    ("retail AND agent_submitted", {"retail": False}, False),
    ("agent_submitted AND retail", {"retail": False}, False),
    ("retail AND agent_submitted", {"retail": True}, None),
    ("retail OR agent_submitted", {"retail": True}, True),
    ("retail OR agent_submitted", {"retail": False}, None),
    ("NOT (retail AND agent_submitted)", {"retail": False}, True),
    ("NOT (retail AND agent_submitted)", {"retail": True}, None),
    ("NOT (retail OR agent_submitted)", {"retail": True}, False),
    ("retail XOR agent_submitted", {"retail": True}, None),
    # IN
    ("goods_class IN ('powder', 'liquid')", {}, None),
    ("goods_class NOT IN ('powder', 'liquid')", {}, None),
    ("goods_class IN ('powder')", {"goods_class": "solid"}, False),
    ("goods_class NOT IN ('powder')", {"goods_class": "solid"}, True),
    ("goods_class IN ('powder', NULL)", {"goods_class": "powder"}, True),
    ("goods_class IN ('powder', NULL)", {"goods_class": "solid"}, None),
    ("goods_class NOT IN ('powder', NULL)", {"goods_class": "powder"}, False),
    ("goods_class NOT IN ('powder', NULL)", {"goods_class": "solid"}, None),
    ("weight_g IN (1, NULL)", {"weight_g": 2}, None),
    ("weight_g IN (-1, 2)", {"weight_g": 2}, True),
    ("weight_g IN (1.5, 2)", {"weight_g": 2}, True),
    ("dest_adcode IN (pickup_adcode, '1')", {"dest_adcode": "1"}, True),
    ("dest_adcode IN (pickup_adcode, '1')", {"dest_adcode": "2"}, None),
    ("dest_adcode NOT IN (pickup_adcode, '1')", {"dest_adcode": "1"}, False),
    ("retail IN (TRUE)", {"retail": False}, False),
    ("goods_class IN ('a') AND retail", {"retail": False}, False),
    # LIKE and its kin
    ("dest_adcode LIKE '44%'", {}, None),
    ("dest_adcode NOT LIKE '44%'", {}, None),
    ("dest_adcode NOT LIKE '44%' AND retail", {"retail": False}, False),
    ("dest_adcode LIKE '44%'", {"dest_adcode": "440111"}, True),
    ("dest_adcode LIKE '44__11'", {"dest_adcode": "440111"}, True),
    ("dest_adcode LIKE '44'", {"dest_adcode": "440111"}, False),
    ("dest_adcode LIKE '4.%'", {"dest_adcode": "440111"}, False),
    ("dest_adcode LIKE 'a%c'", {"dest_adcode": "a\nc"}, True),
    ("dest_adcode ILIKE 'A%'", {"dest_adcode": "abc"}, True),
    ("STARTS_WITH(dest_adcode, '44')", {}, None),
    ("dest_adcode ~ '^44'", {}, None),
    ("dest_adcode !~ '^44'", {}, None),
    ("dest_adcode !~ '^44'", {"dest_adcode": "11"}, True),
    ("LEFT(dest_adcode, 2) <> LEFT(pickup_adcode, 2)", {"dest_adcode": "440111"}, None),
    # comparisons
    ("weight_g BETWEEN 1 AND 3", {}, None),
    ("weight_g NOT BETWEEN 1 AND 3", {}, None),
    ("weight_g BETWEEN pieces AND 3", {"weight_g": 4}, False),
    ("weight_g BETWEEN pieces AND 3", {"weight_g": 2}, None),
    ("weight_g <> 3", {}, None),
    ("weight_g = pieces", {"weight_g": 1}, None),
    ("weight_g IS DISTINCT FROM pieces", {"weight_g": 1}, True),
    ("weight_g <=> pieces", {}, True),
    # what an author writes to decide what null means
    ("weight_g IS NULL", {}, True),
    ("weight_g IS NOT NULL", {}, False),
    ("COALESCE(retail, FALSE)", {}, False),
    ("CASE WHEN retail THEN weight_g > 1 ELSE FALSE END", {}, False),
    ("CASE WHEN retail THEN weight_g > 1 ELSE FALSE END", {"retail": True}, None),
]


@pytest.mark.parametrize(("when", "row", "expected"), THREE_VALUED)
def test_three_valued(when: str, row: dict[str, Any], expected: bool | None) -> None:
    assert answer(when, row) is expected


NUMBERS = [
    ("sender_previous_km > 1.5", {"sender_previous_km": 1.5}, False),
    ("sender_previous_km >= 0.1", {"sender_previous_km": 0.1}, True),
    ("sender_previous_km > 900 * sender_previous_h", {"sender_previous_km": 901.0, "sender_previous_h": 1.0}, True),
    ("sender_previous_km > 900 * sender_previous_h", {"sender_previous_km": 901.0}, None),
    ("weight_g * 1.05 > 100", {"weight_g": 96}, True),
    ("weight_g / 2 > 1", {"weight_g": 3}, True),
    ("picked_up_at % 86400000 < 1000", {"picked_up_at": 86_400_999}, True),
    ("-weight_g < -2", {"weight_g": 3}, True),
    ("ABS(weight_g - 100) > 50", {"weight_g": 40}, True),
    # the largest values of the largest columns, where a Decimal or an Int64 product would fail
    ("declared_value_fen * 1.000000001 * 1000.5 > 1", {"declared_value_fen": 2**53 - 1}, True),
    ("declared_value_fen + freight_fen > 1", {"declared_value_fen": 2**53 - 1, "freight_fen": 2**53 - 1}, True),
    ("declared_value_fen > 9007199254740990", {"declared_value_fen": 2**53 - 1}, True),
]


@pytest.mark.parametrize(("when", "row", "expected"), NUMBERS)
def test_numbers(when: str, row: dict[str, Any], expected: bool | None) -> None:
    assert answer(when, row) is expected


LIMITS = [
    ("weight_g > :a", {"a": 5}, {"weight_g": 6}, True),
    ("weight_g > :a-1", {"a": 5}, {"weight_g": 5}, True),
    ("weight_g -:a > 1", {"a": -5}, {"weight_g": 0}, True),
    ("sender_previous_km > :a", {"a": 0.1}, {"sender_previous_km": 0.2}, True),
    ("sender_previous_km > :a", {"a": 1e22}, {"sender_previous_km": 1.0}, False),
    ("goods_class IN :a", {"a": ["gas", "it's"]}, {"goods_class": "it's"}, True),
    ("goods_class IN (:a)", {"a": ["gas", "solid"]}, {"goods_class": "solid"}, True),
    ("weight_g IN ( :a )", {"a": [1, 2]}, {"weight_g": 3}, False),
    ("dest_adcode LIKE :a", {"a": "44%"}, {"dest_adcode": "440111"}, True),
    ("dest_adcode ~ :a", {"a": "^(44|53)"}, {"dest_adcode": "530102"}, True),
    # a limit is a value, whatever is in it; and what looks like a limit inside of a text is none
    ("goods_class = :a", {"a": "' OR TRUE OR '"}, {"goods_class": "solid"}, False),
    ("goods_class = :a", {"a": "IS TRUE"}, {"goods_class": "IS TRUE"}, True),
    ("goods_class = ':a' OR goods_class = :a", {"a": "x"}, {"goods_class": ":a"}, True),
    ("goods_class = 'it''s :b' OR goods_class = :a", {"a": "x"}, {"goods_class": "it's :b"}, True),
]


@pytest.mark.parametrize(("when", "limits", "row", "expected"), LIMITS)
def test_limits_are_values(when: str, limits: dict[str, Any], row: dict[str, Any], expected: bool) -> None:
    assert answer(when, row, **limits) is expected


REFUSED = [
    # not a predicate over columns
    ("retail AND", "parse"),
    ("nope > 1", "nope: not among the documented columns"),
    ("Retail", "Retail: not among"),
    ("sender_names_90d", "is Int64, not a predicate"),
    ("goods_class", "is String, not a predicate"),
    ("TRUE", "reads no column"),
    ("1 = 1", "reads no column"),
    ("retail, retail", "token"),
    ("dest_adcode ~ '('", "unclosed group"),
    # types
    ("retail AND weight_g", "joins boolean and integer"),
    ("NOT weight_g", "NOT of integer"),
    ("retail = 'true'", "compares boolean with string"),
    ("retail = 1", "compares boolean with integer"),
    ("weight_g > TRUE", "compares integer with boolean"),
    ("weight_g = 'x'", "compares integer with string"),
    ("goods_class IN (1)", "string IN a list of integer"),
    ("weight_g IN ('a')", "integer IN a list of string"),
    ("weight_g + dest_adcode > 1", "weight_g"),
    ("COALESCE(retail, 0)", "not a predicate"),
    ("weight_g = NULL", "write IS NULL"),
    # polars departs from SQL, or from one row
    ("retail IS TRUE", "not three-valued"),
    ("retail is not\nfalse", "not three-valued"),
    ("MAX(weight_g) > 1", "an aggregate"),
    ("retail AND COUNT(*) > 1", "an aggregate"),
    ("weight_g = FIRST(weight_g)", "an aggregate"),
    ("weight_g > ROW_NUMBER() OVER (ORDER BY weight_g)", "not allowed"),
    ("weight_g IN (SELECT 1)", "sub-query"),
    ("picked_up_at > CURRENT_TIMESTAMP", "Datetime"),
    ("GREATEST(weight_g, 1) > 1", "MaxHorizontal"),
    ("CONCAT(dest_adcode, 'x') = 'x'", "not allowed"),
    ("weight_g > 1_000", "cannot read '1_000'"),
    ("weight_g > 0x10", "cannot read '0x10'"),
    ("weight_g > 5 AS heavy", "a name"),
    ("CAST(weight_g AS INT) > 1", "a cast"),
    ("weight_g::int > 1", "cannot read '::int"),
    # arithmetic that wraps, overflows or turns into NaN
    ("weight_g * 2 > 1", "write the factor as a decimal"),
    ("weight_g * pieces > 1", "write the factor as a decimal"),
    ("weight_g / pieces > 1", "may be zero"),
    ("weight_g / 0 > 1", "may be zero"),
    ("weight_g % pieces = 0", "may be zero"),
    ("sender_previous_km % 2 > 1", "for integers"),
    ("weight_g + 9007199254740993 > 1", "beyond 2**53"),
    ("weight_g > 99999999999999999999999", "beyond 2**53"),
    ("sender_previous_km > 1e400", "not finite"),
    # what would hide from the reader of tokens
    ("retail -- AND FALSE", "cannot read '-- AND FALSE'"),
    ("retail /* */", "cannot read '/* */'"),
    ("retail; retail", "cannot read ';"),
    ('"retail"', "cannot read"),
    ("dest_adcode = $$a$$", "cannot read"),
    ("dest_adcode = 'a", "cannot read"),
    ("retail || retail", "cannot read"),
    ("weight_g" + " + 1" * 480 + " > 1", "nested too deeply"),
    # patterns that one parcel's value could break
    ("REGEXP_LIKE(dest_adcode, goods_class)", "a pattern written in the rule"),
    ("STARTS_WITH(dest_adcode, goods_class)", "a pattern written in the rule"),
]


@pytest.mark.parametrize(("when", "problem"), REFUSED)
def test_refused(when: str, problem: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_when(when, {}, "family/rule.yaml")
    assert problem in caught.value.problem
    assert str(caught.value).startswith("family/rule.yaml: when: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("when", "limits", "field", "problem"),
    [
        ("weight_g > :a", {}, "limits.a", "missing"),
        ("weight_g > 1", {"a": 1}, "limits.a", "unused"),
        ("goods_class = ':a'", {"a": "x"}, "limits.a", "unused"),
        ("weight_g > :a", {"a": "x"}, "when", "compares integer with string"),
        ("weight_g IN :a", {"a": ["x"]}, "when", "integer IN a list of string"),
        ("dest_country = :a", {"a": ["US", "MX"]}, "limits.a", "a list, which is looked into with IN"),
        ("weight_g > :a", {"a": 2**53 + 1}, "when", "beyond 2**53"),
    ],
)
def test_limits_refused(when: str, limits: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_when(when, limits, "rule.yaml")
    assert caught.value.field == field
    assert problem in caught.value.problem
