"""Reference data of a file: read whole before the events are, as a worker reads the topic."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from schemas import topics
from schemas.records import Reject
from streams.files import reading
from streams.files.driver import raw
from streams.flow.decode import Limits
from streams.flow.describe.describer import Describer
from streams.flow.front.reader import Front
from streams.flow.pipeline import refused
from streams.flow.reference import EMPTY, Reference
from streams.flow.reference.reading import Reader
from streams.settings import Settings

_ROWS = 20_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What a file says, how many lines it had, and what could not be read."""

    reference: Reference = EMPTY
    lines: int = 0
    rejects: tuple[Reject, ...] = ()


def known(path: Path | None, settings: Settings) -> Known:
    """The records in `path`, in their order; None: there are none. It logs each kind of which all are refused.

    Raises FilesError for a file that cannot be read.
    """
    if path is None:
        return Known()
    bytes_max = settings.event_bytes_max
    reader = Reader(Front(Describer.of(settings, ()), Limits(bytes_max=bytes_max)))
    rejects: list[Reject] = []
    lines = 0
    for piece in reading.read(path, rows_max=_ROWS, line_bytes_max=bytes_max):
        batch = raw(topics.REFERENCE, 0, piece.values, piece.first)
        for bad in reader.add(batch.values, batch.offsets):
            reject, length = refused(batch, bad), piece.cut.get(bad.index)
            rejects.append(replace(reject, detail=f"{length} bytes, at most {bytes_max}") if length else reject)
        lines += len(piece.values)
    reference = reader.build()
    for fault in reference.faults():
        _log.error("%s: %s", path, fault)
    return Known(reference, lines, tuple(rejects))
