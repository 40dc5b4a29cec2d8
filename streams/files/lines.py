"""The lines and rows of files in parts, for those who read them in several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.files import columns, parquet, reading
from streams.files.driver import raw
from streams.files.opening import PARQUET, form_of
from streams.flow.batches import Batch
from streams.flow.front.reader import Front

PARTITION = 0  # of all records: there is one
PIECE_ROWS = 20_000  # decoded together
ROW_BYTES = 160  # of a row in Arrow's columns, about
SHARE_BYTES = 16 * 1024 * 1024  # of lines, read by one call


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file on their way to whoever reads them: as one object, since a list of them takes long to send."""

    topic: str
    first: int  # number of the first line
    block: reading.Block

    def batches(self, front: Front) -> Iterator[Batch]:
        """As values."""
        values = self.block.clean() if self.block.unclean else front.lines(self.block.text)
        yield raw(self.topic, PARTITION, values, self.first)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a Parquet file, which whoever reads them takes from the file."""

    topic: str
    first: int  # number of the first row
    path: Path
    span: parquet.Span

    def batches(self, front: Front) -> Iterator[Batch]:
        """As values."""
        first = self.first
        for rows, _ in reading.row_batches(self.path, PIECE_ROWS, self.span):
            yield raw(self.topic, PARTITION, columns.values(rows, front, self.path), first)
            first += rows.num_rows


Part = Lines | Rows


def lines(
    paths: dict[str, Path], bytes_max: int, shares: deque[float], lengths: dict[tuple[str, int], int]
) -> Iterator[tuple[list[Part]]]:
    """All lines, `SHARE_BYTES` at a time. `shares` gets the share read up to there, `lengths` those of lines cut."""
    total = max(sum(path.stat().st_size for path in paths.values()), 1)
    before = gathered = 0
    parts: list[Part] = []
    for topic, path in paths.items():
        for part, size, read_bytes in _parts(topic, path, bytes_max):
            if isinstance(part, Lines):
                lengths |= {(topic, part.first + at): length for at, length in part.block.cut.items()}
            parts.append(part)
            gathered += size
            if gathered >= SHARE_BYTES:
                shares.append((before + read_bytes) / total)
                yield (parts,)
                parts, gathered = [], 0
        before += path.stat().st_size
    if parts:
        shares.append(1.0)
        yield (parts,)


Sized = tuple[Part, int, int]  # with its own bytes, and those of the file read so far


def _parts(topic: str, path: Path, bytes_max: int) -> Iterator[Sized]:
    return _rows(topic, path) if form_of(path) == PARQUET else _lines(topic, path, bytes_max)


def _lines(topic: str, path: Path, bytes_max: int) -> Iterator[Sized]:
    number = 0
    for block in reading.blocks(path, bytes_max):
        yield Lines(topic, number, block), len(block.text), block.read_bytes
        number += block.text.count(b"\n") + 1


def _rows(topic: str, path: Path) -> Iterator[Sized]:
    spans = reading.row_spans(path, SHARE_BYTES // ROW_BYTES)
    size, rows, number = path.stat().st_size, sum(span.stop - span.start for span in spans), 0
    for span in spans:
        first, number = number, number + span.stop - span.start
        yield Rows(topic, first, path, span), (number - first) * ROW_BYTES, size * number // max(rows, 1)
