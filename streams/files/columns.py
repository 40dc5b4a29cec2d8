"""Rows of Parquet as values to read: natively as they lie in Arrow's columns, else as the lines that they would be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streams.files import parquet
from streams.flow.front.reader import Front

_MARK = "\ufeff"
_FORMS = {
    **{"string": "t4", "large_string": "t8", "double": "f8", "bool": "flag"},
    **{f"{sign}int{8 * size}": f"{sign or 'i'}{size}" for sign in ("", "u") for size in (1, 2, 4, 8)},
}
"""Arrow's types by name, and what the library calls them: a letter, and the size of a number or of where a text ends.
"""
_LINES = 256  # made at once, since strange rows come together, and a call costs as much as some rows

Array = tuple[str, int, list[Any]]  # form, place of the first value, and buffers


def values(batch: Any, front: Front, path: Path) -> Sequence[bytes | None]:
    """An Arrow record batch of the file at `path` as values."""
    columns = None if front.library is None else _columns(batch)
    if columns is None:
        return front.lines(parquet.text(batch, path))
    assert front.library is not None
    found: Sequence[bytes] = front.library.Columns(columns, batch.num_rows, _Lines(batch, path).line)
    return found


class _Lines:
    """Lines of single rows."""

    def __init__(self, batch: Any, path: Path) -> None:
        self._batch = batch
        self._path = path
        self._start = -1
        self._lines: list[bytes] = []

    def line(self, row: int) -> bytes:
        """That of a row."""
        start = row - row % _LINES
        if start != self._start:
            self._start, self._lines = start, parquet.text(self._batch.slice(start, _LINES), self._path).split(b"\n")
        return self._lines[row - start]


def _columns(batch: Any) -> list[tuple[str, Array, Array | None]] | None:
    """Columns as the library takes them: values, and what they are codes of; None where a column is none of those."""
    found = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        texts = None
        if column.null_count == len(column):
            array: Array | None = ("null", 0, [None])
        elif hasattr(column, "dictionary"):
            array, texts = _array(column.indices), _array(column.dictionary)
            if texts is None or not texts[0].startswith("t") or column.dictionary.null_count:
                return None
        else:
            array = _array(column)
        if array is None or _MARK in name:  # amid a name it is for Python to judge
            return None
        found.append((name, array, texts))
    return found


def _array(array: Any) -> Array | None:
    form = _FORMS.get(str(array.type))
    return None if form is None else (form, array.offset, array.buffers())
