"""A worker's part of OpenTelemetry: the parcels' flow with the times of its parts. Without sampling none of it is used.

The flow itself knows nothing of it, so it costs nothing where it is off.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

from numpy.typing import NDArray

from schemas.inputs import INPUT_TOPICS
from streams.flow.batches import Batch, Movements, SampledBatch, Uploads
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.judged import Judged
from streams.flow.pipeline import Parcels
from streams.flow.sampling import Sampler, Send, Told


class TimedParcels(Parcels):
    """Parcels that note when each part of a step with sampled events ends."""

    def __init__(self, sampler: Sampler, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sampler = sampler
        self._parts: list[tuple[str, int]] | None = None  # of the step that runs, if it has sampled events

    def read_ahead(self, batch: Batch) -> Batch:
        if batch.topic not in INPUT_TOPICS:
            return super().read_ahead(batch)
        fetched = time.time_ns()
        batch = super().read_ahead(batch)
        sampled = tuple(self._sampler.of(batch, fetched, time.time_ns()))
        given: dict[str, Any] = {each.name: getattr(batch, each.name) for each in fields(batch)}
        return SampledBatch(**given, sampled=sampled)

    def step(self, batches: Sequence[Batch], now_ms: int) -> Judged:
        events = [each for batch in batches if isinstance(batch, SampledBatch) for each in batch.sampled]
        if not events:
            return super().step(batches, now_ms)
        begun = time.time_ns()
        parts: list[tuple[str, int]] = []
        self._parts = parts
        try:
            out = super().step(batches, now_ms)
            self._ended("save")
        finally:
            self._parts = None
        became = {
            each.key: {"waybill.alert.status": each.record.status, "waybill.alert.tier": each.record.tier}
            for each in out.alerts
        }
        out.told = Told(events, begun, parts, became, {(r.topic, r.partition, r.offset): r.reason for r in out.rejects})
        return out

    def _ended(self, part: str) -> None:
        if self._parts is not None:
            self._parts.append((part, time.time_ns()))

    def _read_times(self, uploads: Uploads, movements: Movements, now_ms: int) -> set[bytes]:
        late = super()._read_times(uploads, movements, now_ms)
        self._ended("read")
        return late

    def _ask(self, touched: Dossiers, out: Judged) -> None:
        self._ended("fold")
        super()._ask(touched, out)
        self._ended("histories")

    def judge(self, touched: Dossiers, event_time: NDArray[Any]) -> Verdicts:
        verdicts = super().judge(touched, event_time)
        self._ended("judge")
        return verdicts

    def conclude(self, touched: Dossiers, out: Judged, now_ms: int, event_time: NDArray[Any]) -> Verdicts:
        verdicts = super().conclude(touched, out, now_ms, event_time)
        self._ended("emit")
        return verdicts


def tell(told: Collection[Told], commit_s: float, send: Send) -> None:
    """Send the spans of the events of an epoch whose commit has just ended, and took so long."""
    if not told:
        return
    committed = time.time_ns()
    committing = committed - int(commit_s * 1e9)
    for step in told:
        for event in step.events:
            send(step.count(event), step.spans(event, committing, committed))
