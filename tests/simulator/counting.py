"""Agents that count, in the place of those that judge: where an event is read twice or not at all, the count is wrong.

What judges folds sets, so that it would hide much of what a protocol can do wrong, and takes milliseconds a step. These
do all that is not to be done: they add one on arrival. They use the worker's own stores, topics and messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import xxhash

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import Alert, Reject
from streams.flow.batches import Batch
from streams.flow.judged import Judged
from streams.flow.pipeline import Histories, Parcels
from streams.flow.time.expiry import Expiry
from streams.flow.time.timers import PartitionTimers
from streams.flow.upsert import Upsert
from streams.state.format import FORMAT
from streams.worker.worker import Worker

_HEAD = bytes([FORMAT])
_COUNTS = struct.Struct("<IIQ")  # events, answers, and a hash over the events in their order


class Said(msgspec.Struct):
    """What is said of a key: the count of its events and answers, and the order of the events of each topic."""

    key: str
    revision: int
    events: int
    answers: int
    order: int


def count(worker: Worker) -> Worker:
    """Let a worker count instead of judge."""
    parcels, histories = CountingParcels(worker.parcels), CountingHistories(worker.histories)
    worker.parcels, worker.histories = cast(Parcels, parcels), cast(Histories, histories)
    worker.inputs = cast(Any, _NoReference())
    return worker


class CountingParcels:
    """Counts events by topic and key; tells the histories of each, and counts what they answer."""

    def __init__(self, parcels: Parcels) -> None:
        self.store = parcels.store
        self.catalogue = parcels.catalogue
        self.timers = parcels.timers
        self.co_located: frozenset[int] = frozenset()
        self.expiry: Expiry | None = None  # counts are kept for ever
        self.tallies = None
        self._partitions = parcels._partitions

    def read_ahead(self, batch: Batch) -> Batch:
        """There is nothing to read before its turn."""
        return batch

    def close(self) -> None:
        """Partitions are gone."""
        self.co_located = frozenset()
        self.timers.close()

    def step(self, batches: Sequence[Batch], now_ms: int) -> Judged:
        """Count what these batches hold."""
        out = Judged()
        changed: dict[tuple[int, bytes], list[int]] = {}
        for batch in batches:
            for offset, value in zip(batch.offsets, batch.values, strict=True):
                if batch.topic == topics.FACTS:
                    self._row(changed, batch.partition, value or b"")[1] += 1
                elif not value:
                    out.rejects.append(_refused(batch, offset))
                else:
                    key = b"%d:%s" % (INPUT_TOPICS.index(batch.topic) + 1, value.partition(b"#")[0])
                    row = self._row(changed, batch.partition, key)
                    row[0], row[2] = row[0] + 1, chained(row[2], value)
                    told = xxhash.xxh3_64_intdigest(key) % self._partitions
                    out.observations.append((told, b"%d#%s" % (batch.partition, key)))
        for (partition, key), row in changed.items():
            said = Said(key.decode(), row[0] + row[1], *row)
            verdict = cast(Alert, SimpleNamespace(tier="high", status="open"))
            out.alerts.append(Upsert(partition, key, msgspec.json.encode(said), verdict))
        self.store.put(
            [partition for partition, _ in changed],
            [key for _, key in changed],
            [_HEAD + _COUNTS.pack(*row) for row in changed.values()],
        )
        return out

    def _row(self, changed: dict[tuple[int, bytes], list[int]], partition: int, key: bytes) -> list[int]:
        row = changed.get((partition, key))
        if row is None:
            (stored,) = self.store.get([partition], [key])
            row = changed[partition, key] = list(_COUNTS.unpack(stored[1:]) if stored else (0, 0, 0))
        return row

    def restore(self, number: int, kept: Iterable[object], cancelled: Callable[[], bool]) -> PartitionTimers:
        """Nothing is to be found, but all of it is read."""
        for _ in kept:
            pass
        return PartitionTimers()


class CountingHistories:
    """Counts what it is told by key, and answers each time."""

    def __init__(self, histories: Histories) -> None:
        self.store = histories.store

    def step(self, batches: Sequence[Batch]) -> list[tuple[int, bytes]]:
        """The answers, by partition."""
        out = []
        for batch in batches:
            for value in batch.values:
                partition, _, key = (value or b"").partition(b"#")
                (stored,) = self.store.get([batch.partition], [key])
                so_far = int.from_bytes(stored[1:], "little") if stored else 0
                self.store.put([batch.partition], [key], [_HEAD + (so_far + 1).to_bytes(8, "little")])
                out.append((int(partition), key))
        return out


class _NoReference:
    """No reference data, and rules that stay."""

    rules = SimpleNamespace()

    def __init__(self) -> None:
        async def none() -> None:
            return None

        self.rules = SimpleNamespace(take_over=none, tell_held=lambda: None)
        self.run = none

    def start(self) -> None:
        """Nothing to follow."""

    def catch_up(self, cancelled: object, timeout_s: float) -> None:
        """Nothing to wait for."""

    def begin(self, partitions: Iterable[int]) -> None:
        """Nothing to sweep."""


def chained(order: int, value: bytes) -> int:
    """A hash over one more event."""
    return xxhash.xxh3_64_intdigest(value, order)


def _refused(batch: Batch, offset: int) -> Reject:
    return Reject(
        topic=batch.topic, partition=batch.partition, offset=offset, reason="empty", detail="", received_at=-1
    )
