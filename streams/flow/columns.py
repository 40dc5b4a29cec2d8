"""Columns of numbers with nulls among them."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def nullable(values: NDArray[np.generic], known: Mask | None = None) -> pl.Series:
    """These values; null where they are not known."""
    series = pl.Series(np.ascontiguousarray(values))
    return series if known is None or known.all() else where(series, pl.Series(known))


def where(series: pl.Series, known: pl.Series) -> pl.Series:
    """The series; null where it is not known."""
    # `Series.set` takes twice as long for a few hundred rows: it makes a series of its one value each time.
    return series.zip_with(known, _null(series.dtype))


@cache
def _null(kind: pl.DataType) -> pl.Series:
    return pl.Series([None], dtype=kind)
