"""Tallies as operators and grades read them: by outlet and day, added up over partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from desk.log import Client
from schemas import topics
from schemas.desk import DutyCount, Tally
from schemas.refusals import UNREADABLE
from schemas.terms import CustomerType, Duty, Tier
from streams.kafka.log_reader import LogReader

_tally = msgspec.json.Decoder(Tally).decode


class OutletDay(msgspec.Struct, frozen=True, kw_only=True):
    """What all parcels of one outlet and day count for; see `schemas.desk.Tally` for the counts."""

    outlet_id: str
    day: str
    parcels: dict[CustomerType, int]
    duties: dict[Duty, DutyCount]
    formal_open_box: int
    powder_liquid: int
    priority_lane: int
    ghost: int
    too_fast: int
    late_upload: int
    alerts: dict[Tier, int]

    @property
    def total(self) -> int:
        """All parcels."""
        return sum(self.parcels.values())


def read(servers: str, client: Client, since: str = "", outlet: str | None = None) -> list[OutletDay]:
    """Tallies of days from `since` (YYYY-MM-DD) on, by day and outlet. outlet: of this one.

    Raises ClientError.
    """
    newest: dict[bytes, Tally] = {}
    with LogReader(servers, [topics.TALLIES], client=client) as reader:
        for entry in reader.to_end():
            try:
                tally = _tally(entry.value or b"")
            except UNREADABLE:
                newest.pop(entry.key, None)  # of another version, or deleted
                continue
            if tally.day >= since and outlet in (None, tally.outlet_id):
                newest[entry.key] = tally
    return added(newest.values())


def added(tallies: Iterable[Tally]) -> list[OutletDay]:
    """Tallies of single partitions, added up, by day and outlet; days without any parcel are left out."""
    places: dict[tuple[str, str], list[Tally]] = {}
    for tally in tallies:
        places.setdefault((tally.day, tally.outlet_id), []).append(tally)
    days = [_add(day, outlet, parts) for (day, outlet), parts in sorted(places.items())]
    return [day for day in days if day.total]


def _add(day: str, outlet: str, parts: list[Tally]) -> OutletDay:
    parcels: Counter[CustomerType] = Counter()
    alerts: Counter[Tier] = Counter()
    due: Counter[Duty] = Counter()
    done: Counter[Duty] = Counter()
    for part in parts:
        parcels.update(part.parcels)
        alerts.update(part.alerts)
        due.update({duty: count.due for duty, count in part.duties.items()})
        done.update({duty: count.done for duty, count in part.duties.items()})
    return OutletDay(
        outlet_id=outlet,
        day=day,
        parcels=dict(parcels),
        duties={duty: DutyCount(due=due[duty], done=done[duty]) for duty in due},
        formal_open_box=sum(part.formal_open_box for part in parts),
        powder_liquid=sum(part.powder_liquid for part in parts),
        priority_lane=sum(part.priority_lane for part in parts),
        ghost=sum(part.ghost for part in parts),
        too_fast=sum(part.too_fast for part in parts),
        late_upload=sum(part.late_upload for part in parts),
        alerts=dict(alerts),
    )
