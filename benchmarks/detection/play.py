"""A stream played to the worker's own steps, in order of arrival, slice by slice; what it said, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import polars as pl
import xxhash
from numpy.typing import NDArray

from rules import Catalogue
from schemas import topics
from schemas.inputs import INPUTS
from schemas.records import Alert
from schemas.terms import Tier
from streams.files.driver import Offline, raw
from streams.flow.batches import Batch
from streams.generate import Chunk, Traffic
from streams.settings import Settings

Progress = Callable[[str, float, int], None]
TIERS: Final[tuple[Tier, ...]] = ("low", "medium", "high", "extreme")
KEPT_FROM: Final = TIERS.index("medium")
_ENTITIES: Final = {
    "person": (("shipment", ("sender_phone", "sender_id_no", "agent_id_no", "recipient_phone")),),
    "outlet": (("shipment", ("outlet_id",)), ("scan", ("facility_id",)), ("inspection", ("facility_id",))),
    "device": (("shipment", ("device_id",)), ("scan", ("device_id",)), ("inspection", ("machine_id",))),
    "staff": (("shipment", ("courier_id",)), ("scan", ("operator_id",)), ("inspection", ("inspector_id",))),
}
Hashes = NDArray[np.uint64]


@dataclass(slots=True)
class Verdict:
    """What stands of one parcel at the end: score (0: no alert), and the rules behind it."""

    score: int
    rules: tuple[str, ...]


@dataclass(slots=True)
class Played:
    """What came of one stream. Times are epoch ms, those of alerts the end of the slice that brought them.

    standing    by parcel, the verdict that stands at the end; parcels without an open alert are not in it
    alerts      of those, the alerts from medium on
    named_at    by planted parcel and rule, when an open alert first named it; of a rule in shadow, the shadow record
    raised_at   by planted parcel and tier, when an alert first stood at that tier or above
    left_at     by planted parcel, when it first departed
    entities    by kind, hashes of all ids that occur
    """

    parcels: int
    events: int = 0
    standing: dict[str, Verdict] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    named_at: dict[tuple[str, str], int] = field(default_factory=dict)
    raised_at: dict[tuple[str, Tier], int] = field(default_factory=dict)
    left_at: dict[str, int] = field(default_factory=dict)
    entities: dict[str, Hashes] = field(default_factory=dict)


def play(
    traffic: Traffic, catalogue: Catalogue, settings: Settings, name: str, progress: Progress = lambda *_: None
) -> Played:
    """Everything that the worker would say of a stream. The end of the stream closes every wait."""
    played = Played(traffic.plan.parcels)
    planted = traffic.truth["parcel"]
    watched, known = set(planted.to_list()), _Entities()
    run = Offline(settings, catalogue)
    run.feed([raw(topics.REFERENCE, 0, [msgspec.json.encode(record) for record in traffic.reference])])
    start, span = traffic.plan.start_at, traffic.plan.days * 86_400_000
    for chunk in traffic:
        run.now_ms = chunk.until
        run.feed(_batches(chunk))
        _departures(played, chunk, planted)
        known.add(chunk)
        played.events += len(chunk)
        _note(played, run, chunk.until, watched)
        progress(name, min((chunk.until - start) / (1.6 * span), 1.0), played.events)
    run.close()
    _note(played, run, run.now_ms, watched)
    played.entities = known.hashes()
    progress(name, 1.0, played.events)
    return played


def _batches(chunk: Chunk) -> list[Batch]:
    return [_batch(each.topic, chunk.frame(each.kind)) for each in INPUTS if len(chunk.frame(each.kind))]


def _batch(topic: str, frame: pl.DataFrame) -> Batch:
    return raw(topic, 0, frame.write_ndjson().encode().splitlines())


def _note(played: Played, run: Offline, at: int, watched: set[str]) -> None:
    """Take over the alerts of a slice, and let the run forget them."""
    for key, alert in run.alerts.items():
        parcel = key.decode()
        if alert.status != "open":
            played.standing.pop(parcel, None)
            played.alerts.pop(parcel, None)
            continue
        rank = TIERS.index(alert.tier)
        rules = tuple(reason.rule for reason in alert.reasons)
        played.standing[parcel] = Verdict(alert.score, rules)
        if rank >= KEPT_FROM:
            played.alerts[parcel] = alert
        else:
            played.alerts.pop(parcel, None)
        if parcel in watched:
            for rule in rules:
                played.named_at.setdefault((parcel, rule), at)
            for tier in TIERS[: rank + 1]:
                played.raised_at.setdefault((parcel, tier), at)
    for key, shadow in run.shadows.items():
        if (parcel := key.decode()) in watched and shadow.status == "open":
            for reason in shadow.reasons:
                played.named_at.setdefault((parcel, reason.rule), at)
    run.alerts.clear()
    run.shadows.clear()


def _departures(played: Played, chunk: Chunk, planted: pl.Series) -> None:
    parcel = pl.col("carrier_code") + ":" + pl.col("waybill_no")
    left = chunk.frame("scan").filter(pl.col("scan_type") == "departed").select(parcel=parcel, at="scanned_at")
    for name, at in left.filter(pl.col("parcel").is_in(planted.implode())).iter_rows():
        played.left_at[name] = min(at, played.left_at.get(name, at))


class _Entities:
    """All ids that occur in a stream, as hashes. What is masked names nobody."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Hashes]] = {kind: [] for kind in _ENTITIES}

    def add(self, chunk: Chunk) -> None:
        for kind, places in _ENTITIES.items():
            for event, columns in places:
                for column in columns:
                    values = chunk.frame(event)[column].unique().drop_nulls()
                    values = values.filter((values != "") & ~values.str.contains("*", literal=True))
                    self._parts[kind].append(values.hash(seed=1).to_numpy())

    def hashes(self) -> dict[str, Hashes]:
        return {kind: np.unique(np.concatenate(parts)) for kind, parts in self._parts.items()}


def shared(one: Played, other: Played) -> dict[str, int]:
    """By kind, how many ids occur in both streams."""
    return {kind: len(np.intersect1d(ids, other.entities[kind])) for kind, ids in one.entities.items()}


def ranked(played: Played, parcels: Iterable[str]) -> list[str]:
    """Parcels by score, the highest first, ties by hash."""
    return sorted(parcels, key=lambda parcel: (-played.standing[parcel].score, _hash(parcel)))


def _hash(parcel: str) -> int:
    return int(xxhash.xxh64_intdigest(parcel.encode()))
