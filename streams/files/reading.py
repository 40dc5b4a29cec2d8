"""Events in files: DIR/shipments, scans, inspections and reference, as NDJSON, also compressed, or Parquet.

They are read in bounded pieces.

A line is a message value as a producer would send it, its number (from 0) the offset. An empty line is an empty
message; the newline at the end of a file starts none. CRLF is taken off, and byte order marks at the start of any
line. Joined files have them amid: between two objects, where the first file has no newline at its end, a mark starts
a line. A Parquet row becomes the line that NDJSON would have, without columns of bytes that are no field of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from schemas import records, topics
from schemas.inputs import INPUTS
from schemas.reference import KINDS
from streams.files import parquet
from streams.files.opening import FORMS, PARQUET, READ, FilesError, form_of, opened, packed, stem_of
from streams.flow.spellings import has_marks, unmarked

EVENTS = {each.topic: each.stem for each in INPUTS}
NAMES = {topics.REFERENCE: "reference", **EVENTS}  # what is known beforehand is read first
RECORDS: Mapping[str, tuple[type[records.Record], ...]] = {
    **{each.topic: (each.record,) for each in INPUTS},
    topics.REFERENCE: tuple(KINDS.values()),
}
_NAMED_MAX = 5
BLOCK_BYTES = 4 * 1024 * 1024
_MARK = b"\xef\xbb\xbf"
_MARKS_MAX = 4  # before a line that is as long as it may be
_JOINT = b"}" + _MARK + b"{"
_PARTED = b"}\r\r\n{"  # as long, so that the places of lines stay


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive lines of a file. A very long one is cut off somewhere behind the length allowed, see `cut`."""

    first: int  # number of the first line
    values: list[bytes]
    read_bytes: int  # of the file so far, for progress
    cut: Mapping[int, int] = field(default_factory=dict)  # true lengths of cut lines, by position in `values`


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines as they lie in a file, without the last one's newline; cut lines as in `Piece`.

    On its way to another process it leaves its text behind if a file has it, and reads it there once more.
    """

    start: int  # byte offset of the first line; nothing where it was a row of Parquet
    text: bytes
    cut: Mapping[int, int]
    unclean: bool  # there may be carriage returns at their ends, or marks at their starts
    read_bytes: int  # of the file so far
    path: Path | None = None  # of a file that has the text at `start`

    def __reduce__(self) -> tuple[Callable[..., Block], tuple[Any, ...]]:
        if self.path is None:
            return Block, (self.start, self.text, self.cut, self.unclean, self.read_bytes)
        return _once_more, (self.path, self.start, len(self.text), self.unclean, self.read_bytes)

    @property
    def lines(self) -> list[bytes]:
        """As they lie there."""
        return self.text.split(b"\n")

    def clean(self) -> list[bytes]:
        """The lines without carriage returns at their ends and marks at their starts."""
        return [clean(line) for line in self.lines] if self.unclean else self.lines


def _once_more(path: Path, start: int, size: int, unclean: bool, read_bytes: int) -> Block:
    with _telling(path), path.open("rb", buffering=0) as file:
        file.seek(start)
        text = _parted(file.read(size))
    if len(text) < size:
        raise FilesError(f"{path}: it became shorter while it was read")
    return Block(start, text, {}, unclean, read_bytes, path)


def find(folder: Path) -> dict[str, Path]:
    """The files of reference records and events in `folder`, by topic, at least one.

    Raises FilesError if there is none, one in two forms, or something of such a name that is no file.
    """
    if not folder.is_dir():
        raise FilesError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if not os.access(folder, os.X_OK):
        raise FilesError(f"{folder}: Permission denied: its files cannot be opened")
    found: dict[str, Path] = {}
    for topic, name in NAMES.items():
        paths = [path for form in FORMS if os.path.lexists(path := folder / f"{name}.{form}")]
        if len(paths) > 1:
            raise FilesError(f"{folder}: both {paths[0].name} and {paths[1].name}: which of them? Move one away")
        for path in paths:
            if not path.is_file():
                raise FilesError(f"{path}: {'not a regular file' if path.exists() else 'a link to nothing'}")
            found[topic] = path
    if not found:
        names = ", ".join([*EVENTS.values(), NAMES[topics.REFERENCE]])
        others = unread(folder, found.values())
        raise FilesError(f"{folder}: no {names} here ({READ}){f', but {others}' if others else ''}")
    return found


def unread(folder: Path, known: Iterable[Path]) -> str:
    """Names of what else lies in `folder` than `known` and what is hidden, a few of them; empty: nothing."""
    ours = {os.path.abspath(path) for path in known}
    others = (path for path in folder.iterdir() if os.path.abspath(path) not in ours)
    names = sorted(path.name for path in others if not path.name.startswith("."))
    return ", ".join([*names[:_NAMED_MAX], *([f"{len(names) - _NAMED_MAX} more"] if len(names) > _NAMED_MAX else [])])


def given(path: Path) -> dict[str, Path]:
    """The files of events that `path` names, by topic: a folder's, or one file, of shipments unless its name differs.

    Raises FilesError as `find` does, and for a file in another format.
    """
    if not path.is_file():
        return find(path)
    if form_of(path) is None:
        raise FilesError(f"{path}: cannot be read; what can be is {READ}")
    return {_topic(path): path}


def _topic(path: Path) -> str:
    return next((topic for topic, name in NAMES.items() if name == stem_of(path)), topics.SHIPMENTS)


def read(path: Path, *, rows_max: int, line_bytes_max: int) -> Iterator[Piece]:
    """The lines of a file, at most `rows_max` at a time. Raises FilesError for one that cannot be read."""
    if form_of(path) == PARQUET:
        yield from _rows(path, rows_max)
    else:
        yield from _lines(path, rows_max, line_bytes_max)


def blocks(path: Path, line_bytes_max: int) -> Iterator[Block]:
    """The lines of a file that is not Parquet, some megabytes at a time, whatever the length of a line.

    Raises FilesError where it cannot be read.
    """
    with _telling(path), opened(path) as (file, read_bytes):
        for block in _blocks(file, read_bytes, line_bytes_max):
            yield block if packed(path) or block.cut else replace(block, path=path)


def row_spans(path: Path, rows_max: int) -> list[parquet.Span]:
    """The rows of a Parquet file in spans of about `rows_max`. Raises FilesError where it cannot be read."""
    with _telling(path):
        return parquet.spans(path, rows_max)


def row_batches(path: Path, rows_max: int, span: parquet.Span | None = None) -> Iterator[tuple[Any, float]]:
    """The rows of a Parquet file as Arrow record batches of at most `rows_max`, with the share of all up to there.

    span: None: all. Raises FilesError where it cannot be read.
    """
    with _telling(path):
        yield from parquet.batches(path, rows_max, RECORDS[_topic(path)], span)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilesError(f"{path}: {error.strerror or error}") from error


def _blocks(file: BinaryIO, read_bytes: Callable[[], int], line_bytes_max: int) -> Iterator[Block]:
    # Room for a carriage return and marks on top, which do not count.
    kept = line_bytes_max + 1 + _MARKS_MAX * len(_MARK) + 1
    start, rest, dropped = 0, b"", 0
    while block := file.read(BLOCK_BYTES):
        text = _parted(rest + block)
        whole, newline, rest = text.rpartition(b"\n")
        if newline:
            cut = {0: dropped + len(whole.partition(b"\n")[0])} if dropped else {}
            yield Block(start, whole, cut, b"\r" in whole or has_marks(whole), read_bytes())
            start += len(whole) + 1 + dropped
            dropped = 0
        if len(rest) > kept:
            dropped += len(rest) - kept
            rest = rest[:kept]
    if rest:
        yield Block(start, rest, {0: dropped + len(rest)} if dropped else {}, True, read_bytes())


def _parted(text: bytes) -> bytes:
    """Lines that a joint of files has between them, parted."""
    # A single byte is found ten times as fast as five.
    return text.replace(_JOINT, _PARTED) if _MARK[:1] in text else text


def clean(line: bytes) -> bytes:
    """A line without its carriage return and byte order marks, nor what a joint of files leaves at its end."""
    while line.startswith(_MARK):
        line = line.removeprefix(_MARK)
    return unmarked(line.removesuffix(b"\r").removesuffix(b"\r").removesuffix(_MARK[:2]))


def _lines(path: Path, rows_max: int, line_bytes_max: int) -> Iterator[Piece]:
    number = 0
    for block in blocks(path, line_bytes_max):
        lines = block.clean()
        for at in range(0, len(lines), rows_max):
            cut = {i - at: length for i, length in block.cut.items() if at <= i < at + rows_max}
            values = lines[at : at + rows_max]
            yield Piece(number, values, block.read_bytes, cut)
            number += len(values)


def _rows(path: Path, rows_max: int) -> Iterator[Piece]:
    number, size = 0, path.stat().st_size
    for batch, share in row_batches(path, rows_max):
        yield Piece(number, parquet.text(batch, path).split(b"\n"), int(size * share))
        number += batch.num_rows
