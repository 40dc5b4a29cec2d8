"""Polars schemas of the records on the wire, taken from their one definition in `schemas`."""

from __future__ import annotations

import polars as pl
from msgspec import inspect

from schemas.inputs import INPUTS
from schemas.records import ParcelEvent


def _schema(record: type[ParcelEvent]) -> dict[str, type[pl.DataType]]:
    """Field names in the wire's order, with the polars type of each."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name: _column(field.type) for field in info.fields}


def _column(kind: inspect.Type) -> type[pl.DataType]:
    if isinstance(kind, inspect.Metadata):
        return _column(kind.type)
    if isinstance(kind, inspect.UnionType):  # T | None
        return _column(next(member for member in kind.types if not isinstance(member, inspect.NoneType)))
    if isinstance(kind, inspect.LiteralType):
        return pl.String if isinstance(kind.values[0], str) else pl.Int64
    if isinstance(kind, inspect.BoolType):
        return pl.Boolean
    return pl.Int64 if isinstance(kind, inspect.IntType) else pl.String


COLUMNS = {each.kind: _schema(each.record) for each in INPUTS}
