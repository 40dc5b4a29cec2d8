"""Judging without a broker: the worker's own two steps, with lists in place of topics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xxhash

from rules import Catalogue
from schemas import topics
from schemas.apart import Shadow
from schemas.inputs import INPUTS
from schemas.records import Alert, ParcelEvent, Reject, encode
from schemas.reference import Courier, Enterprise, Machine, Outlet
from streams.flow.batches import Batch
from streams.flow.describe.describer import Describer
from streams.flow.fold.journey import END
from streams.flow.fold.tallies import Published
from streams.flow.judge import Verdicts
from streams.flow.judged import Judged
from streams.flow.orders import Orders
from streams.flow.pipeline import Histories, Parcels, refused
from streams.flow.rejudge import Sweeper
from streams.flow.time.expiry import Retention
from streams.flow.time.timers import ReadProgress
from streams.settings import Settings
from streams.state.store import MemoryStore

Record = ParcelEvent | Enterprise | Outlet | Courier | Machine
Answers = dict[str, dict[str, bool | None]]
TOPIC_OF: dict[type, str] = {
    **{each.record: each.topic for each in INPUTS},
    **dict.fromkeys((Enterprise, Outlet, Courier, Machine), topics.REFERENCE),
}


class Offline:
    """Both agents on stores in memory. `feed` returns when all that its batches set off has been answered."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        *,
        partitions: int = 1,
        co_located: Iterable[int] = (),
        now_ms: int = 0,
        retention: Retention | None = None,
        tally_ms: int = 0,
        orders: Orders | None = None,
    ) -> None:
        """co_located: partitions whose histories answer within the step of the parcels, see `Parcels.co_located`.
        now_ms: the clock, which a caller that plays a stream moves on between two calls; 0: nothing falls due by it.
        retention: how long state is kept, see `expire`; None: for ever. tally_ms: 0: parcels are not counted.
        orders: None: none are drawn.
        """
        self.alerts: dict[bytes, Alert] = {}
        self.shadows: dict[bytes, Shadow] = {}
        self.orders: dict[bytes, bytes | None] = {}
        self.rejects: list[Reject] = []
        self.events: Counter[str] = Counter()
        self.answers: Answers = {}
        self._judged_in: dict[str, tuple[Verdicts, int]] = {}  # by parcel: where its last verdict is
        self.keep_answers = False
        self.now_ms = now_ms
        self._partitions = partitions
        self._stores = (MemoryStore(), MemoryStore())
        rows_max = settings.observations_per_bucket_max
        self._histories = Histories(self._stores[1], bucket_rows_max=rows_max, native=settings.native)
        self._parcels = Parcels(
            self._stores[0],
            catalogue,
            Describer.of(settings, catalogue.columns),
            self._histories,
            partitions=partitions,
            emit_from=settings.emit_from,
            event_bytes_max=settings.event_bytes_max,
            retention=retention,
            tally_ms=tally_ms,
            orders=orders,
        )
        self._parcels.co_located = frozenset(co_located)
        self._reference = self._parcels.reference_reader()
        self._references = 0  # reference records made into batches
        self._sweeper = Sweeper(self._parcels)

    def feed(self, batches: Sequence[Batch]) -> None:
        """Judge what these batches hold, and whatever history then answers, by the reference data known by then."""
        if references := [batch for batch in batches if batch.topic == topics.REFERENCE]:
            self._refer(references)
            batches = [batch for batch in batches if batch.topic != topics.REFERENCE]
        while batches:
            judged = self._parcels.step(batches, self.now_ms)
            self._keep(judged)
            facts = judged.facts
            if judged.observations:
                facts += self._histories.step(_batches(topics.OBSERVATIONS, judged.observations))
            batches = _batches(topics.FACTS, facts)
        self._settle(ReadProgress(), self.now_ms)

    def _refer(self, batches: Sequence[Batch]) -> None:
        """Take reference records, and judge again what they touch."""
        for batch in batches:
            self.events[topics.REFERENCE] += len(batch.values)
            bad = self._reference.add(batch.values, batch.offsets, batch.keys)
            self._sweeper.rejects = [*self._sweeper.rejects, *(refused(batch, each) for each in bad)]
        self._parcels.reference = self._reference.build()
        self._sweeper.begin(range(self._partitions))
        while (swept := self._sweeper.step(self.now_ms)) is not None:
            self._keep(swept.judged)

    def close(self, event_time: int = END) -> None:
        """Let every deadline before `event_time` (epoch ms) pass, by default all: no more events come before it."""
        self._settle(ReadProgress(idle=True), event_time)

    def _settle(self, progress: ReadProgress, until: int) -> None:
        """Everything is read that is there: decide what is missing up to the watermark, at most up to `until`."""
        timers, behind = self._parcels.timers, True
        timers.settle(dict.fromkeys(timers.partitions, progress), 0, until)
        while behind:
            judged = self._parcels.settle({}, 0, self.now_ms)
            self._keep(judged)
            behind = judged.behind

    def evidence(self, parcel: str) -> dict[str, Any]:
        """The columns that the catalogue reads or shows, as last judged where answers are kept; else nothing."""
        verdicts, at = self._judged_in.get(parcel, (None, 0))
        return {} if verdicts is None else verdicts.evidence(np.array([at]), verdicts.catalogue.columns).to_dicts()[0]

    def expire(self) -> int:
        """Delete what is due, as a worker does now and then that has read all there is; how many keys it looked at."""
        expiry, partitions, looked = self._parcels.expiry, range(self._partitions), 0
        if expiry is not None:
            until = expiry.watermarks.low(())
            for step in (expiry.expire_parcels, expiry.expire_observations):
                while rows := step(partitions, until):
                    looked += rows
        return looked

    def tallies(self) -> list[Published]:
        """Every tally that has changed since the last call."""
        return [] if self._parcels.tallies is None else self._parcels.tallies.flush()

    @property
    def stores(self) -> tuple[MemoryStore, MemoryStore]:
        """What is kept of parcels, and of observations."""
        return self._stores

    def open_alerts(self) -> list[Alert]:
        """The last alert of each parcel whose alert is open, sorted by parcel."""
        return [self.alerts[key] for key in sorted(self.alerts) if self.alerts[key].status == "open"]

    def _keep(self, judged: Judged) -> None:
        for emitted in judged.alerts:
            self.alerts[emitted.key] = emitted.record
        for shadowed in judged.shadows:
            self.shadows[shadowed.key] = shadowed.record
        self.orders |= {order.key: order.value for order in judged.orders}
        self.rejects += judged.rejects
        self.events += judged.events
        if self.keep_answers and judged.verdicts is not None:
            found = judged.named_answers()
            self.answers.update(found)
            self._judged_in.update({parcel: (judged.verdicts, at) for at, parcel in enumerate(found)})

    def batches(self, records: Iterable[Record]) -> list[Batch]:
        """Records as raw batches, each parcel on a partition of its own choice. Reference records are numbered on."""
        values: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        for record in records:
            topic = TOPIC_OF[type(record)]
            single = topic == topics.REFERENCE
            partition = 0 if single else xxhash.xxh3_64_intdigest(record.key.encode()) % self._partitions
            values[topic, partition].append(encode(record))
        first, self._references = self._references, self._references + len(values.get((topics.REFERENCE, 0), ()))
        return [
            raw(topic, partition, found, first if topic == topics.REFERENCE else 0)
            for (topic, partition), found in values.items()
        ]


def settled(records: Sequence[Record], catalogue: Catalogue, settings: Settings, until: int = END) -> Offline:
    """A run in which these records came, and event time then came to `until`, epoch ms; it has the answers."""
    run = Offline(settings, catalogue)
    run.keep_answers = True
    run.feed(run.batches(records))
    run.close(until)
    return run


def raw(topic: str, partition: int, values: Sequence[bytes | None], first: int = 0) -> Batch:
    """Values that came from elsewhere than a broker, numbered from `first`."""
    return Batch(topic, partition, range(first, first + len(values)), values, [-1] * len(values))


def _batches(topic: str, messages: Sequence[tuple[int, bytes]]) -> list[Batch]:
    return [raw(topic, partition, [value]) for partition, value in messages]
