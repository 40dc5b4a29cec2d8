"""The input topics that bring events."""

from __future__ import annotations

from typing import Final

from schemas import topics
from streams.flow.decode import Kind

SOURCES: Final[dict[Kind, str]] = {
    "shipment": topics.SHIPMENTS,
    "scan": topics.SCANS,
    "inspection": topics.INSPECTIONS,
}
