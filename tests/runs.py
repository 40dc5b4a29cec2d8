"""Runs without a broker, with every message that they would have published."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from rules import Catalogue, load_catalogue
from schemas.apart import Shadow
from schemas.records import Alert, encode
from streams.files.driver import Offline
from streams.flow.judged import Judged
from streams.settings import Settings
from tests.worlds import DAY, HOME, START, Record, shuffled

Alerts = dict[str, Alert]


@cache
def catalogue() -> Catalogue:
    """The catalogue as shipped."""
    return load_catalogue()


class Recorded(Offline):
    """Keeps every alert in the order of publishing, by parcel."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        partitions: int = 1,
        co_located: Iterable[int] = (),
        rules: Catalogue | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            settings or Settings(home_adcodes=HOME),
            rules or catalogue(),
            partitions=partitions,
            co_located=co_located,
            now_ms=START + 1_000 * DAY,
            **more,
        )
        self.keep_answers = True
        self.messages: defaultdict[str, list[Alert]] = defaultdict(list)
        self.shadow_messages: defaultdict[str, list[Shadow]] = defaultdict(list)

    def _keep(self, judged: Judged) -> None:
        super()._keep(judged)
        for emitted in judged.alerts:
            self.messages[emitted.record.alert_id].append(emitted.record)
            assert encode(emitted.record) == emitted.value  # though reasons are made as bytes
        for shadowed in judged.shadows:
            self.shadow_messages[shadowed.record.alert_id].append(shadowed.record)
            assert encode(shadowed.record) == shadowed.value


def run(
    records: Iterable[Record],
    *,
    size: int | None = None,
    partitions: int = 1,
    co_located: Iterable[int] = (),
    order: int | None = None,
    settings: Settings | None = None,
    close: bool = True,
    rules: Catalogue | None = None,
) -> Recorded:
    """Judge records `size` at a time (None: all at once), `shuffled` by the seed `order` (None: as they are).

    near: partitions whose histories are asked at once. close: no event comes after them, so that all deadlines pass.
    rules: None: as shipped.
    """
    given = [*records]
    if order is not None:
        given = shuffled(given, random.Random(order))
    recorded = Recorded(settings, partitions=partitions, co_located=co_located, rules=rules)
    for first in range(0, len(given), size or len(given) or 1):
        recorded.feed(recorded.batches(given[first : first + (size or len(given))]))
    if close:
        recorded.close()
    return recorded


def comparable(alerts: Iterable[Alert]) -> Alerts:
    """Alerts by id, without the two fields that depend on when and where a worker read."""
    return {alert.alert_id: msgspec.structs.replace(alert, detected_at=0, sources=()) for alert in alerts}


def open_alerts(recorded: Offline) -> Alerts:
    """The alerts that are open in the end."""
    return comparable(recorded.open_alerts())


def difference(found: Alerts, wanted: Alerts) -> str:
    """What differs, in a few lines; empty where nothing does."""
    if found == wanted:
        return ""
    lines = [
        f"{len(found)} open alerts, {len(wanted)} wanted; "
        f"{len(wanted.keys() - found.keys())} missing, {len(found.keys() - wanted.keys())} too many"
    ]
    for key in sorted(found.keys() & wanted.keys()):
        if found[key] != wanted[key] and len(lines) < 6:
            lines.append(f"{key}: {'; '.join(_fields(found[key], wanted[key]))}"[:800])
    return "\n".join(lines)


def _fields(found: Alert, wanted: Alert) -> Sequence[str]:
    pairs = (
        (name, msgspec.to_builtins(getattr(found, name)), msgspec.to_builtins(getattr(wanted, name)))
        for name in Alert.__struct_fields__
    )
    return [f"{name} is {a!r}, wanted {b!r}" for name, a, b in pairs if a != b]
