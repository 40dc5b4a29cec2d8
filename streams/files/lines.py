"""The lines of files in parts, for those who read them in several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streams.files import reading
from streams.files.driver import raw
from streams.files.opening import PARQUET, form_of
from streams.flow.batches import Batch
from streams.flow.front.reader import Front

PARTITION = 0  # of all records: there is one
PIECE_ROWS = 20_000  # decoded together
SHARE_BYTES = 16 * 1024 * 1024  # of lines, read by one call


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file on their way to whoever reads them: as one object, since a list of them takes long to send."""

    topic: str
    first: int  # number of the first line
    block: reading.Block

    def batch(self, front: Front) -> Batch:
        """As values."""
        values = self.block.clean() if self.block.unclean else front.lines(self.block.text)
        return raw(self.topic, PARTITION, values, self.first)


def lines(
    paths: dict[str, Path], bytes_max: int, shares: deque[float], lengths: dict[tuple[str, int], int]
) -> Iterator[tuple[list[Lines]]]:
    """All lines, `SHARE_BYTES` at a time. `shares` gets the share read up to there, `lengths` those of lines cut."""
    total = max(sum(path.stat().st_size for path in paths.values()), 1)
    before = gathered = 0
    parts: list[Lines] = []
    for topic, path in paths.items():
        for part in _parts(topic, path, bytes_max):
            lengths |= {(topic, part.first + at): length for at, length in part.block.cut.items()}
            parts.append(part)
            gathered += len(part.block.text)
            if gathered >= SHARE_BYTES:
                shares.append((before + part.block.read_bytes) / total)
                yield (parts,)
                parts, gathered = [], 0
        before += path.stat().st_size
    if parts:
        shares.append(1.0)
        yield (parts,)


def _parts(topic: str, path: Path, bytes_max: int) -> Iterator[Lines]:
    """A file in parts."""
    number = 0
    if form_of(path) == PARQUET:
        for block, rows in reading.row_blocks(path, PIECE_ROWS):
            yield Lines(topic, number, block)
            number += rows
        return
    for block in reading.blocks(path, bytes_max):
        yield Lines(topic, number, block)
        number += block.text.count(b"\n") + 1
