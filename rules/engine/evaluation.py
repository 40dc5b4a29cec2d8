"""Runs every rule over a frame, in one pass."""

from __future__ import annotations

import polars as pl

from rules.engine.catalogue import Catalogue
from rules.engine.sql import DTYPES
from schemas.columns import COLUMNS


def evaluate(frame: pl.DataFrame, catalogue: Catalogue) -> pl.DataFrame:
    """The answers: one nullable Boolean column per rule id, row by row with `frame`; null means unknown.

    `frame` must have every column of `catalogue.reads`, of the documented type or one that converts to it without
    loss: narrower integers and floats, Enum and Categorical for strings, Null for any. Others are ignored.
    Raises ValueError for a column that is missing or of another type: that is a fault of the caller, not an unknown.
    """
    missing = sorted(catalogue.reads - set(frame.columns))
    if missing:
        raise ValueError(f"the frame lacks the column(s) {', '.join(missing)}")
    schema = frame.schema
    converted = [c for name in catalogue.reads if (c := _as_documented(name, schema[name])) is not None]
    return frame.with_columns(converted).select(catalogue.expressions)


def _as_documented(name: str, dtype: pl.DataType) -> pl.Expr | None:
    """The column in its documented type, or None if it is: so a rule means the same over any frame.

    Unchanged, an Enum knows no LIKE and sorts by position, and a narrow integer overflows sooner. A number that is not
    finite counts as unknown, for polars holds NaN to be greater than every number.
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
