"""Parquet as record batches and as the lines that NDJSON would have, each column as its field is on the wire.

What can be converted without a guess is: bytes that are text, decimals that are whole, timestamps with a zone, 0 and 1
for no and yes. A column of a field of ours with any other type is refused as a whole, for all its rows would be.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl

from schemas import records
from schemas.terms import TIME_MS_MIN
from streams.files.opening import FilesError

Want = Literal["text", "whole", "moment", "number", "yes or no", "other"]
_MARK = "\ufeff"
_PARTS_MAX = 8  # of a row group
_CODE_BYTES = 3  # a code has two at most, and what it stands for is stored beside
_WANTED = {
    "text": "text",
    "whole": "a whole number",
    "moment": "epoch milliseconds or a timestamp with a zone",
    "number": "a number",
    "yes or no": "a boolean, nor 0 and 1 alone",
}


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of a file that are read by themselves: those of some row groups, or a part of one."""

    groups: tuple[int, ...]
    start: int  # among the rows of these groups
    stop: int


def spans(path: Path, rows_max: int) -> list[Span]:
    """All rows of a file in spans of about `rows_max` rows, in order; one at least. Raises FilesError.

    Whoever reads a part of a row group reads all before it, too. So a large group has few parts, and larger ones.
    """
    import pyarrow.parquet

    with _readable(path):
        metadata = pyarrow.parquet.read_metadata(path)
    found: list[Span] = []
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        last = found[-1] if found else None
        if last is not None and last.start == 0 and last.stop + rows <= rows_max:
            found[-1] = Span((*last.groups, number), 0, last.stop + rows)
            continue
        parts = min(-(-rows // rows_max), _PARTS_MAX)
        ends = [rows * part // parts for part in range(parts + 1)]
        found += [Span((number,), *part) for part in pairwise(ends)]
    return found or [Span((), 0, 0)]


def batches(
    path: Path, rows_max: int, kinds: Sequence[type[records.Record]], span: Span | None = None
) -> Iterator[tuple[Any, float]]:
    """Arrow record batches of at most `rows_max` rows, with the share of all up to there.

    kinds: what the rows may be. span: None: all rows of the file.

    Columns of bytes that are no field are left out. Raises FilesError, and names the column and its type where a column
    cannot be what its field is.
    """
    import pyarrow.parquet

    wants = _wants(kinds)
    with _readable(path), pyarrow.parquet.ParquetFile(path) as plain:
        metadata = plain.metadata
        groups, start, stop = (
            (range(metadata.num_row_groups), 0, metadata.num_rows)
            if span is None
            else (span.groups, span.start, span.stop)
        )
        coded = _coded(plain, groups, wants)
        with pyarrow.parquet.ParquetFile(path, metadata=metadata, read_dictionary=coded) as file:
            schema = _legible(file.schema_arrow, wants, path)
            at = 0
            for whole in file.iter_batches(batch_size=rows_max, row_groups=list(groups), columns=schema.names):
                batch = whole.slice(max(start - at, 0), max(stop - max(start, at), 0))
                at += whole.num_rows
                if batch.num_rows == 0:
                    continue
                if batch.schema != schema:
                    # Unsafe: text that is not UTF-8 is left to decoding, which refuses that row alone.
                    batch = batch.cast(schema, safe=False)
                yield _fit(batch, wants, path), (min(at, stop) - start) / (stop - start)
                if at >= stop:
                    break


def text(batch: Any, path: Path) -> bytes:
    """An Arrow record batch of the file at `path` as lines of JSON. The last line has no newline."""
    with _readable(path):
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)
        out = io.BytesIO()
        frame.write_ndjson(out)
        return out.getvalue()[:-1]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, pl.exceptions.PolarsError) as error:
        raise FilesError(f"{path}: not readable as Parquet: {str(error).splitlines()[0]}") from error


def _coded(file: Any, groups: Sequence[int], wants: Mapping[str, Want]) -> list[str]:
    """Columns of text of which so few bytes are stored for each value that the file has them as codes of few texts.

    They stay codes: to read each text once is several times as fast. groups: the first of them stands for all.
    """
    if not groups:
        return []
    group = file.metadata.row_group(groups[0])
    chunks = [group.column(number) for number in range(group.num_columns)]
    least = _CODE_BYTES * group.num_rows
    few = {chunk.path_in_schema for chunk in chunks if chunk.total_uncompressed_size < least}
    texts = [field.name for field in file.schema_arrow if str(field.type) in ("string", "large_string")]
    return [name for name in texts if wants.get(name) == "text" and name in few]


def _wants(kinds: Sequence[type[records.Record]]) -> dict[str, Want]:
    """What each field is; "other" where it is more than one thing."""
    found: dict[str, set[Want]] = {}
    for kind in kinds:
        shape = msgspec.inspect.type_info(kind)
        assert isinstance(shape, msgspec.inspect.StructType)
        if shape.tag_field is not None:
            found.setdefault(shape.tag_field, set()).add("text")
        for field in shape.fields:
            found.setdefault(field.encode_name, set()).add(_want(field.type))
    return {name: next(iter(each)) if len(each) == 1 else "other" for name, each in found.items()}


def _want(kind: msgspec.inspect.Type) -> Want:
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return _want(inner)
        case msgspec.inspect.UnionType(types=types):
            each = {_want(one) for one in types if not isinstance(one, msgspec.inspect.NoneType)}
            return each.pop() if len(each) == 1 else "other"
        case msgspec.inspect.IntType(ge=least):
            return "moment" if least == TIME_MS_MIN else "whole"
        case msgspec.inspect.FloatType():
            return "number"
        case msgspec.inspect.BoolType():
            return "yes or no"
        case msgspec.inspect.StrType():
            return "text"
        case msgspec.inspect.LiteralType(values=values):
            return "text" if all(isinstance(value, str) for value in values) else "whole"
    return "other"


def _legible(schema: Any, wants: Mapping[str, Want], path: Path) -> Any:
    """The columns of a Parquet file as JSON can hold them.

    Bytes are the text of a field of ours, for some writers do not mark text as such; any others are left out, and so
    are timestamps of a zone that nobody knows. Raises FilesError for a field of ours that cannot be read.
    """
    import pyarrow

    kept = []
    for column in schema:
        want = wants.get(column.name.lstrip(_MARK))
        if not _foreign(column.type) or (want in _NUMBERS and _converted(_plain(column.type))):
            kept.append(column)
        elif want is not None:
            kept.append(column.with_type(_text(column.type)))
            if _foreign(kept[-1].type):
                raise FilesError(f"{path}: column {column.name}: {column.type} is not text")
    names = [name.lstrip(_MARK) for name in schema.names]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise FilesError(f"{path}: two columns are named {twice}: which of them? Leave one out")
    if len(schema) and not kept:
        raise FilesError(f"{path}: no column is a field of ours: {', '.join(schema.names)}")
    return pyarrow.schema(kept)


def _converted(kind: Any) -> bool:
    """Whether `_fitted` makes numbers of it, or refuses it, before polars sees it."""
    from pyarrow import types

    return bool(types.is_decimal(kind) or types.is_timestamp(kind))


_NUMBERS: tuple[Want, ...] = ("whole", "moment", "number", "yes or no")


def _fit(batch: Any, wants: Mapping[str, Want], path: Path) -> Any:
    """The batch with each column of a field as the field is, by its name without a byte order mark."""
    import pyarrow

    names = [name.lstrip(_MARK) for name in batch.schema.names]
    columns = []
    for name, column in zip(names, batch.columns, strict=True):
        want = wants.get(name, "other")
        try:
            fitted = column if want == "other" or column.null_count == len(column) else _fitted(column, want)
        except pyarrow.ArrowException:  # whose text may quote values
            fitted = None
        if fitted is None:
            raise FilesError(f"{path}: column {name}: {column.type} is not {_WANTED[want]}; convert the column")
        columns.append(fitted)
    return pyarrow.RecordBatch.from_arrays(columns, names=names)


def _fitted(column: Any, want: Want) -> Any:
    """A column as what is wanted; None where its type cannot be that. ArrowException where a value cannot."""
    import pyarrow
    from pyarrow import compute, types

    kind = _plain(column.type)
    if want == "text":
        return column if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) else None
    if types.is_dictionary(column.type):
        column = column.cast(kind)
    if want == "moment" and types.is_timestamp(kind):
        return column.cast(pyarrow.timestamp("ms", kind.tz), safe=False).cast(pyarrow.int64()) if kind.tz else None
    if want == "yes or no" and types.is_boolean(kind):
        return column
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        return None
    if want == "yes or no":
        numbers = column.cast(pyarrow.float64(), safe=False)
        return numbers.cast(pyarrow.bool_()) if set(compute.unique(numbers).to_pylist()) <= {None, 0.0, 1.0} else None
    if types.is_decimal(kind):
        return column.cast(pyarrow.float64() if want == "number" else pyarrow.int64())
    return column


def _plain(kind: Any) -> Any:
    """The type of the values, whether they stand for themselves or in a dictionary."""
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    return kind.value_type if types.is_dictionary(kind) else kind


def _foreign(kind: Any) -> bool:
    """Whether an Arrow type holds what polars cannot write as JSON: it would panic rather than raise."""
    from pyarrow import types

    kind = getattr(kind, "storage_type", kind)
    if types.is_dictionary(kind):
        return _foreign(kind.value_type)
    if types.is_nested(kind):
        return any(_foreign(kind.field(at).type) for at in range(kind.num_fields))
    return _bytes(kind) or types.is_decimal256(kind) or _of_no_zone(kind)


def _of_no_zone(kind: Any) -> bool:
    """Whether it is a timestamp of a zone that polars does not know; a moment it is all the same."""
    import pyarrow

    if not pyarrow.types.is_timestamp(kind) or kind.tz is None:
        return False
    try:
        pl.from_arrow(pyarrow.array([], kind))
    except pl.exceptions.PolarsError:
        return True
    return False


def _text(kind: Any) -> Any:
    """The Arrow type of bytes, or of a list of them, read as text; any other as it is."""
    import pyarrow
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pyarrow.list_(_text(kind.value_type))
    return pyarrow.large_string() if _bytes(_plain(kind)) else kind


def _bytes(kind: Any) -> bool:
    from pyarrow import types

    each = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(holds(kind) for holds in each)
