"""The table of input topics. A further one is a row here, its record, its topic and its schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from schemas import topics
from schemas.records import Inspection, Record, Scan, Shipment
from streams.flow.batches import Movements
from streams.flow.describe import describer

EventKind = Literal["shipment", "scan", "inspection"]
Describe = Callable[[Sequence[Any], list[int], Sequence[int]], Movements]
"""Records with the partition and the offset of each, to rows."""


@dataclass(frozen=True, slots=True)
class Source:
    """One input topic, all of whose records are of one kind.

    at: the field with the time of the event, epoch ms. sent_at: the field with the time from which it can be known.
    stem: the name of its files, without suffix. movements: how it is described; None: as uploads, by the deployment's
    `Describer`.
    """

    topic: str
    kind: EventKind
    record: type[Record]
    at: str
    sent_at: str
    stem: str
    movements: Describe | None


SOURCES: Final = (
    Source(topics.SHIPMENTS, "shipment", Shipment, "picked_up_at", "picked_up_at", "shipments", None),
    Source(topics.SCANS, "scan", Scan, "scanned_at", "scanned_at", "scans", describer.scans),
    Source(
        topics.INSPECTIONS, "inspection", Inspection, "started_at", "ended_at", "inspections", describer.inspections
    ),
)
TOPICS: Final = tuple(source.topic for source in SOURCES)
