"""The measured figures that `waybill size` reckons with, each with its place in benchmarks/RESULTS.md.

A test holds them against that file. They are of one machine of two cores, which ran worker and broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from schemas import topics


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was measured. entry: the heading in RESULTS.md; says: the words there that hold it."""

    value: float
    entry: str
    says: str


_DISK: Final = "2026-11-30, what a parcel leaves on the broker's disk"
_PACE: Final = "2026-11-30, natively and by Python alone, once more"
_BOUNDS: Final = "2026-11-23, bounds: restore, one hot sender, a year of event time"
_JUDGE: Final = "2026-11-23, `waybill judge` over generated directories"
_MEMORY: Final = "2026-11-23, histories asked in the step, the whole catalogue"
_CLUES: Final = "2026-11-30, orders follow their parcels: the bars of the clue log once more"

_MILLION: Final = "| 1,000,000 (`--home-adcodes 430421,440111`) | 7,888,979 | 17,148 |"
EVENTS_OF_A_MILLION: Final = Figure(7_888_979, _JUDGE, _MILLION)
ALERTED_OF_A_MILLION: Final = Figure(17_148, _JUDGE, _MILLION)

EVENTS_S: Final = Figure(58_561, _PACE, "| waybill worker, all topics | 591,244 | 18.1 | 26.8 | 0.68 | 58,561 |")
RSS_MB: Final = Figure(
    1_102, _MEMORY, "| waybill worker, shipments | 505,015 | 484 | 19.0 | 26,810 | 15.08 | 0.18 | 36.5 | 1,102 |"
)

_RESTORE: Final = "| the same, on a quiet machine | 1.4 | 22.5 | 222,677 | 32.3 | 6.5 | 13.3 s | 585 | 1,140 |"
RESTORED_S: Final = Figure(222_677, _BOUNDS, _RESTORE)  # records of a changelog a second
TIMERS_SECONDS: Final = Figure(13.3, _BOUNDS, _RESTORE)
TIMERS_MILLIONS: Final = Figure(2.5, _BOUNDS, "deadlines of 2.5 M parcels")

# A year at so many events in so many days; by day 320 what expires is as much as what comes.
_YEAR: Final = "| 320 | 1,009,222 | 3,268 | 345 | 22 | 4,597 | 76,846 | 50 |"
YEAR_DAYS: Final = Figure(320, _BOUNDS, _YEAR)
YEAR_EVENTS: Final = Figure(1_009_222, _BOUNDS, _YEAR)
YEAR_STATE_MB: Final = Figure(22, _BOUNDS, _YEAR)
YEAR_PARCEL_KEYS: Final = Figure(4_597, _BOUNDS, _YEAR)
YEAR_HISTORY_KEYS: Final = Figure(76_846, _BOUNDS, _YEAR)

_CLUE_LOG: Final = "1,000,000 events (286 MB, 125,000 clues) in 8.0 s of CPU"
CLUE_LOG_MB: Final = Figure(286, _CLUES, _CLUE_LOG)
CLUE_LOG_CLUES: Final = Figure(125_000, _CLUES, _CLUE_LOG)

PARCEL_B: Final[dict[str, Figure]] = {
    topics.SHIPMENTS: Figure(195.3, _DISK, "| waybill.shipments | 1.0070 | 195.3 | 194 |"),
    topics.SCANS: Figure(568.8, _DISK, "| waybill.scans | 5.8607 | 568.8 | 97 |"),
    topics.INSPECTIONS: Figure(105.0, _DISK, "| waybill.inspections | 1.0083 | 105.0 | 104 |"),
    topics.ALERTS: Figure(12.8, _DISK, "| waybill.alerts | 0.0383 | 12.8 | 333 |"),
    topics.SHADOW: Figure(0.1, _DISK, "| waybill.shadow | 0.0003 | 0.1 | 513 |"),
    topics.TRACES: Figure(14.7, _DISK, "| waybill.traces | 0.0285 | 14.7 | 515 |"),
    topics.TALLIES: Figure(3.6, _DISK, "| waybill.tallies | 0.0556 | 3.6 | 64 |"),
    topics.OBSERVATIONS: Figure(34.7, _DISK, "| waybill.internal.observations | 0.0002 | 34.7 | 144,772 |"),
    topics.FACTS: Figure(27.2, _DISK, "| waybill.internal.facts | 0.0004 | 27.2 | 64,834 |"),
}
"""Bytes on the broker's disk that one parcel leaves on a topic, before compaction. The clue log has its own figures."""


def figures() -> dict[str, Figure]:
    """All of them, by name."""
    named = {name: value for name, value in globals().items() if isinstance(value, Figure)}
    return named | PARCEL_B
