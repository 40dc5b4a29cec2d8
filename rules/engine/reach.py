"""Which answers a rule can give: its `when`, tried on values around its limits.

For each column that a rule reads, a few values represent all: those named in `when`, their neighbours, some smaller and
larger ones, and null if the column can be null. The rule is evaluated over every combination that can occur, also
without a shipment record. For a rule that compares columns with constants, as most do, these combinations find every
answer. For a rule that compares or adds columns, they may miss a few.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl

from rules.engine.sql import DTYPES, INTEGER_MAX, tokens
from schemas.columns import COLUMNS, HISTORY, JOURNEY, NO_RECORD, Column
from schemas.records import Shipment
from schemas.rulefile import Limit, Rule

ROWS_MAX: Final = 2**19
"""If there are more combinations, a sample of this size is tried (always the same one)."""
PENDING: Final = COLUMNS["courier_ids_60s"].null
"""Null until the histories answer. They always do, so no verdict stays unknown for this reason."""

Value = str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """Which answers were seen, over how many combinations. `certain` is False if there may be others: a text or a
    number could not be made up, or not all combinations were tried."""

    yes: bool
    no: bool
    unknown: bool
    tried: int
    certain: bool


def reach(rule: Rule, expression: pl.Expr) -> Reach:
    """The answers that `expression`, the compiled `when` of the rule, can give."""
    return _tried(_Asked(rule.when, msgspec.json.encode(rule.limits), rule, expression))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What decides the answers, and what has it."""

    when: str
    limits: bytes
    rule: Rule = field(compare=False)
    expression: pl.Expr = field(compare=False)


@lru_cache(512)  # a push, a comparison and lint ask the same again and again
def _tried(asked: _Asked) -> Reach:
    expression = asked.expression
    texts, numbers, certain = _constants(asked.rule)
    names = sorted(set(expression.meta.root_names()))
    values = {name: _values(COLUMNS[name], texts, numbers) for name in names}
    certain = certain and math.prod(map(len, values.values())) <= ROWS_MAX
    frame = _combinations(values)
    frame = _states(frame.filter(*_occurs(names)))
    answers = frame.select(expression.alias("answer"))["answer"]
    yes = bool(answers.any(ignore_nulls=True))
    no = bool((~answers).any(ignore_nulls=True))
    return Reach(yes, no, answers.null_count() > 0, frame.height, certain)


def misfits(expression: pl.Expr) -> list[tuple[str, str]]:
    """(column, text) for each text that a column is compared with and never holds."""
    return sorted({pair for pair in _compared(expression) if not fits(*pair)})


def fits(column: str, text: str) -> bool:
    """Whether the column can hold this text, if its values are known."""
    form = _forms().get(column)
    if form is None:
        return True
    return text in form.values if form.values else bool(re.fullmatch(form.pattern, text))


def known_values(column: str) -> tuple[str, ...]:
    """All texts that the column can hold if they are few; else an empty tuple."""
    form = _forms().get(column)
    return form.values if form else ()


# --- what columns hold ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Form:
    """Values of a text column: a list of them, or a pattern with their length."""

    values: tuple[str, ...] = ()
    pattern: str = ".*"
    length: int | None = None


_SAME_VALUES: Final = {"goods_class": "goods_form"}  # column: the field it takes its words from


_COUNTED: Final = {"scans", "inspections", "doubtful_departures", "weight_change_g"}


@cache
def _forms() -> dict[str, _Form]:
    """By text column, what is known from the record that it comes from."""
    found = {}
    for name in COLUMNS:
        about, pattern = _field(_SAME_VALUES.get(name, name))
        if isinstance(about, msgspec.inspect.LiteralType):
            found[name] = _Form(values=tuple(str(value) for value in about.values))
        elif isinstance(about, msgspec.inspect.StrType) and pattern and about.min_length == about.max_length:
            found[name] = _Form(pattern=pattern, length=about.max_length)
    return found


def _bounds(column: Column) -> tuple[int, int]:
    about, _ = _field(column.name)
    if isinstance(about, msgspec.inspect.IntType):
        high = about.le if about.le is not None else about.lt - 1 if about.lt is not None else INTEGER_MAX
        return about.ge if about.ge is not None else -INTEGER_MAX, high
    never_less = column in HISTORY or column.name in _COUNTED  # history counts, and measures gaps
    return (0 if never_less else -INTEGER_MAX), INTEGER_MAX


@cache
def _field(name: str) -> tuple[Any, str]:
    """Type and pattern of a field of the shipment, without its null; (None, "") if there is no such field."""
    info = msgspec.inspect.type_info(Shipment)
    assert isinstance(info, msgspec.inspect.StructType)
    about: Any = next((field.type for field in info.fields if field.encode_name == name), None)
    pattern = ""
    while True:
        if isinstance(about, msgspec.inspect.Metadata):
            pattern = (about.extra_json_schema or {}).get("pattern", pattern)
            about = about.type
        elif isinstance(about, msgspec.inspect.UnionType):
            about = next(part for part in about.types if not isinstance(part, msgspec.inspect.NoneType))
        else:
            return about, pattern


def _occurs(names: list[str]) -> Iterator[pl.Expr]:
    """Conditions that always hold between columns."""
    given = set(names)
    yield from (holds for one, other, holds in _BETWEEN if {one, other} <= given)
    retail = pl.col("customer_type") == "retail" if "customer_type" in given else None
    if "retail" in given:
        if retail is not None:
            yield pl.col("retail") == retail
        retail = pl.col("retail")
    if {"priority_lane", "direction"} <= given:
        yield ~pl.col("priority_lane") | (pl.col("direction") == "export")
    for name in names:
        if retail is not None and PENDING in COLUMNS[name].null:
            yield retail | pl.col(name).is_null()
            if COLUMNS[name].null == PENDING:
                yield ~retail | pl.col(name).is_not_null()


def _given(one: str, other: str) -> tuple[str, str, pl.Expr]:
    """`other` has a value exactly where `one` is true."""
    return one, other, pl.col(one).fill_null(False) == pl.col(other).is_not_null()


_BETWEEN: Final = (
    ("goods_controlled", "goods_hinted", ~(pl.col("goods_controlled") & pl.col("goods_hinted"))),
    ("sender_id_given", "sender_id_masked", pl.col("sender_id_given") | ~pl.col("sender_id_masked")),
    ("sender_id_given", "sender_id_valid", pl.col("sender_id_given") | pl.col("sender_id_valid").is_null()),
    ("sender_id_masked", "sender_id_valid", ~pl.col("sender_id_masked") | pl.col("sender_id_valid").is_null()),
    (
        "sender_id_valid",
        "sender_id_fault",
        (~pl.col("sender_id_valid")).fill_null(False) == pl.col("sender_id_fault").is_not_null(),
    ),
    _given("sender_name_given", "sender_name_masked"),
    _given("sender_name_given", "sender_name_placeholder"),
    ("couriers_loaded", "courier_registered", pl.col("couriers_loaded") | ~pl.col("courier_registered")),
    _given("outlet_known", "licence_in_force"),
    _given("licence_in_force", "licence_covers_place"),
    _given("licence_in_force", "licence_covers_service"),
    ("outlet_known", "licence_covers_place", pl.col("outlet_known") | pl.col("licence_covers_place").is_null()),
    ("outlet_known", "licence_covers_service", pl.col("outlet_known") | pl.col("licence_covers_service").is_null()),
    _given("delivered_elsewhere", "delivered_elsewhere_h"),
    (
        "departed_at",
        "departed_uninspected",
        pl.col("departed_at").is_not_null() | ~pl.col("departed_uninspected").fill_null(False),
    ),
)
"""What holds between two columns: (one, other, never null)."""


def needs_record(name: str) -> bool:
    """Whether a column has no value while the parcel has no shipment record."""
    return COLUMNS[name] not in JOURNEY or NO_RECORD in COLUMNS[name].null


def _states(frame: pl.DataFrame) -> pl.DataFrame:
    """The combinations of a parcel with its shipment record, and those of one that was scanned and never registered."""
    empty = [name for name in frame.columns if needs_record(name)]
    if not empty:
        return frame
    without = frame.with_columns(pl.lit(None, frame.schema[name]).alias(name) for name in empty).unique()
    if "unregistered_24h" in frame.columns:
        frame = frame.filter(~pl.col("unregistered_24h").fill_null(False))
    return pl.concat([frame, without])


# --- values to try --------------------------------------------------------------------------------------------------

_STEPS: Final = (0, 1, 2, 10, 1_000, 1_000_000, 2**31 - 1, 2**40)
_UNTOLD: Final = {"~", "~*", "!~", "!~*", "REGEXP_LIKE", "RLIKE", "REGEXP", "%", "MOD"}
"""If `when` uses one of these, values that make it true cannot be derived from its constants."""
_SCALES: Final = {"*", "/", "//", "DIV"}
_SCALED_MAX: Final = 6


def _constants(rule: Rule) -> tuple[set[str], set[float], bool]:
    """Texts and numbers in `when` and the limits, and whether they are complete: without pattern and remainder."""
    texts: set[str] = set()
    numbers: set[float] = set()
    words = list(tokens(rule.when, rule.id))
    for kind, text, _ in words:
        if kind == "string":
            texts.add(text[1:-1].replace("''", "'"))
        elif kind == "number":
            numbers.add(float(text))
    for limit in rule.limits.values():
        _collect(limit, texts, numbers)
    used = {text.upper() for _, text, _ in words}
    if _SCALES & used:  # weight_g / 1000 BETWEEN 2 AND 3 is true of 2000
        if len(numbers) > _SCALED_MAX:
            return texts, numbers, False
        numbers |= {one * other for one in numbers for other in numbers}
        numbers |= {one / other for one in numbers for other in numbers if other}
    return texts, numbers, not _UNTOLD & used


def _collect(limit: Limit, texts: set[str], numbers: set[float]) -> None:
    for item in limit if isinstance(limit, list) else [limit]:
        if isinstance(item, str):
            texts.add(item)
        else:
            numbers.add(float(item))


def _values(column: Column, texts: set[str], numbers: set[float]) -> list[Value]:
    null: list[Value] = [None] if column.null else []
    if column.type == "boolean":
        return [True, False, *null]
    if column.type == "string":
        return [*sorted(_texts(column.name, texts)), *null]
    low, high = _bounds(column)
    if column.type == "integer":
        near = {math.floor(number) + step for number in numbers for step in (-1, 0, 1, 2)}
        around = {sign * step for step in _STEPS for sign in (1, -1)} | {low, high} | near
        return [*sorted(value for value in around if low <= value <= high), *null]
    near_by = {math.nextafter(number, to) for number in numbers for to in (-math.inf, number, math.inf)}
    fractions = {float(sign * step) for step in (*_STEPS, 0.5) for sign in (1, -1)} | near_by
    return [*sorted(value for value in fractions if low <= value <= high), *null]


def _texts(column: str, texts: set[str]) -> set[str]:
    """Texts that the column can hold: those compared with it, some that begin or end so, and one that does not."""
    if values := known_values(column):
        return set(values)
    plain = {text.replace("%", "").replace("_", "0") for text in texts}  # what a LIKE stands for
    candidates = texts | plain | {"", "x"} | {f"{text}x" for text in plain} | {f"x{text}" for text in plain}
    form = _forms().get(column)
    if form is None or form.length is None:
        return candidates
    size = form.length
    filled = {f"{text:{filler}{side}{size}}" for text in {*plain, ""} for filler in "019AZ" for side in "<>"}
    return {text for text in candidates | filled if re.fullmatch(form.pattern, text)}


def _combinations(values: dict[str, list[Value]]) -> pl.DataFrame:
    total = math.prod(len(choices) for choices in values.values())
    drawn = np.random.default_rng(0) if total > ROWS_MAX else None
    columns = []
    stride = 1
    for name, choices in values.items():
        if drawn is None:
            picks = np.arange(total) // stride % len(choices)
            stride *= len(choices)
        else:
            picks = drawn.integers(len(choices), size=ROWS_MAX)
        columns.append(pl.Series(name, choices, dtype=DTYPES[COLUMNS[name].type]).gather(picks))
    return pl.DataFrame(columns)


# --- comparisons ----------------------------------------------------------------------------------------------------


def _compared(expression: pl.Expr) -> Iterator[tuple[str, str]]:
    """(column, text) for each column that is compared with a text by =, <> or IN."""
    inputs = expression.meta.pop()
    for part in inputs:
        yield from _compared(part)
    columns = [part for part in inputs if part.meta.is_column()]
    literals = [part for part in inputs if part.meta.is_literal()]
    if len(columns) == len(literals) == 1 and _compares(expression):
        held = pl.select(literals[0].alias("held"))["held"]
        held = held.explode() if isinstance(held.dtype, pl.List) else held
        if held.dtype == pl.String:
            yield from ((columns[0].meta.output_name(), text) for text in held.to_list() if text is not None)


def _compares(expression: pl.Expr) -> bool:
    ((kind, body),) = json.loads(expression.meta.serialize(format="json")).items()
    if kind == "BinaryExpr":
        return body["op"] in {"Eq", "NotEq", "EqValidity", "NotEqValidity"}
    return kind == "Function" and "IsIn" in json.dumps(body["function"])
