"""Runs every rule over a frame, in one pass."""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from rules.engine.catalogue import Catalogue
from rules.engine.sql import DTYPES
from schemas.columns import COLUMNS


def evaluate(frame: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """The answers: one nullable Boolean column per rule id, row by row with `frame`; null means unknown.

    `frame` must have every column of `catalogue.reads`, in the documented type or one that converts to it without
    loss: narrower integers and floats, Enum and Categorical for strings, Null for any type. Other columns are ignored.
    Raises ValueError for a column that is missing or has another type: that is an error of the caller, not an unknown.
    """
    missing = sorted(catalogue.reads - set(frame.columns))
    if missing:
        raise ValueError(f"the frame lacks the column(s) {', '.join(missing)}")
    schema = frame.schema
    converted = [c for name in catalogue.reads if (c := _as_documented(name, schema[name])) is not None]
    if frame.is_empty():
        return pl.DataFrame(schema={rule.id: pl.Boolean for rule in catalogue.rules})
    return frame.with_columns(converted).select(catalogue.expressions)


@lru_cache(1_024)  # a step asks the same each time, and few of them have many rows
def _as_documented(name: str, dtype: pl.DataType) -> pl.Expr | None:
    """The column converted to its documented type, so that a rule means the same over any frame; None: it has it.

    Without that, an Enum has no LIKE and sorts by position, and a narrow integer overflows sooner. A number that is not
    finite becomes unknown, because polars treats NaN as greater than every number.
    """
    wanted = COLUMNS[name].type
    column = pl.col(name)
    if wanted == "number" and (dtype.is_float() or dtype.is_integer()):
        column = column.cast(pl.Float64)
        return pl.when(column.is_finite()).then(column).alias(name)
    if dtype == DTYPES[wanted]:
        return None
    narrower = (
        dtype == pl.Null
        or (wanted == "integer" and dtype.is_integer())
        or (wanted == "string" and isinstance(dtype, pl.Enum | pl.Categorical))
    )
    if not narrower:
        raise ValueError(f"column {name} is {dtype}, documented as {wanted}")
    return column.cast(DTYPES[wanted])
