"""The table of input topics: the events that producers send about parcels.

A further topic is a row here, its record in `schemas.records` and its name in `schemas.topics`. CONTRIBUTING lists what
else it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas import topics
from schemas.records import Inspection, ParcelEvent, Scan, Shipment


@dataclass(frozen=True, slots=True)
class Input:
    """One input topic, all of whose records are of one kind.

    kind: the name of the record, as schemas and rule files have it. at: the field with the time of the event, epoch ms.
    sent_at: the field with the time from which it can be known. stem: the name of its files, without suffix.
    """

    topic: str
    kind: str
    record: type[ParcelEvent]
    at: str
    sent_at: str
    stem: str


SHIPMENTS: Final = Input(topics.SHIPMENTS, "shipment", Shipment, "picked_up_at", "picked_up_at", "shipments")
MOVEMENTS: Final = (
    Input(topics.SCANS, "scan", Scan, "scanned_at", "scanned_at", "scans"),
    Input(topics.INSPECTIONS, "inspection", Inspection, "started_at", "ended_at", "inspections"),
)
"""What happens to a parcel on its way. State numbers these rows: add at the end only."""
INPUTS: Final = (SHIPMENTS, *MOVEMENTS)
INPUT_TOPICS: Final = tuple(each.topic for each in INPUTS)
CONSUMED_TOPICS: Final = (*INPUT_TOPICS, topics.FACTS, topics.OBSERVATIONS)
"""What the group of workers consumes, and commits offsets of."""
