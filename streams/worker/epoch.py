"""An epoch: everything to commit together, when it is closed, and the part of one step in it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import encode
from streams.flow.batches import Batch
from streams.flow.fold.tallies import Published
from streams.flow.judged import Judged
from streams.flow.sampling import Told
from streams.kafka.producer import Record
from streams.metrics import Metrics


@dataclass(slots=True)
class Epoch:
    """Everything to commit together."""

    offsets: dict[tuple[str, int], int] = field(default_factory=dict)  # next to read
    messages: defaultdict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    dated: defaultdict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    alerted_since: list[int] = field(default_factory=list)  # broker's times of the records behind alerts
    rows: int = 0
    opened_at: float = 0.0
    timed: bool = False  # something came from timers or a sweep, and not from records
    told: list[Told] = field(default_factory=list)  # for OpenTelemetry, once it is committed

    @property
    def filled(self) -> bool:
        """Whether there is anything to commit."""
        return self.timed or bool(self.offsets)

    def read(self, batches: Sequence[Batch]) -> None:
        """Note that these batches have been processed."""
        self.opened_at = self.opened_at or time.monotonic()
        for batch in batches:
            self.offsets[batch.topic, batch.partition] = batch.offsets[-1] + 1
            self.rows += len(batch.values)

    def stand_at(self, offsets: Mapping[tuple[str, int], int]) -> None:
        """Note offsets of partitions without reading anything."""
        self.opened_at = self.opened_at or time.monotonic()
        self.offsets.update(offsets)

    def passed(self, rows: int) -> None:
        """Note that `rows` parcels were judged without a batch: by timers, or by a sweep."""
        self.opened_at = self.opened_at or time.monotonic()
        self.rows += rows
        self.timed = True

    def judged(self, judged: Judged, since: int = 0) -> None:
        """Add the result of a step of the parcels. since: the broker's time of the newest record it read, epoch ms."""
        self.send(topics.OBSERVATIONS, judged.observations)
        self.send(topics.FACTS, judged.facts)
        self.alerted_since += [since] * len(judged.alerts)
        for alert in judged.alerts:
            self.messages[topics.ALERTS, alert.partition].append({"key": alert.key, "value": alert.value})
        for each in judged.shadows:
            self.messages[topics.SHADOW, each.partition].append({"key": each.key, "value": each.value})
        for order in judged.orders:
            self.messages[topics.ORDERS, order.partition].append({"key": order.key, "value": order.value})
        for notice in judged.notices:
            self.messages[topics.NOTICES, 0].append({"key": notice.key.encode(), "value": encode(notice)})
        for reject in judged.rejects:
            self.messages[topics.REJECTS, reject.partition].append({"value": encode(reject)})

    def committed(self, metrics: Metrics, took_s: float) -> None:
        """Measure it: its commit has just ended, and took so long."""
        metrics.commit_seconds.observe(took_s)
        metrics.epoch_seconds.observe(time.monotonic() - self.opened_at)
        for since in self.alerted_since:
            if since > 0:  # the broker gave the record a time
                metrics.alert_latency.observe(max(time.time() - since / 1000, 0.0))

    def send(self, topic: str, messages: Iterable[tuple[int, bytes]]) -> None:
        """Add messages for partitions of an internal topic."""
        for partition, value in messages:
            self.messages[topic, partition].append({"value": value})


async def grown(epoch: Callable[[], Epoch], stepped: asyncio.Event, busy: Callable[[], bool], longest_s: float) -> None:
    """Return when the open epoch is to be closed: once a step leaves nothing to do, or when it has been open so long.

    So an alert waits for other events only while these come faster than they are judged.

    epoch: the open one, another after a rebalance. stepped: set after each step. busy: a step runs, or input waits.
    """
    while busy() and (left_s := epoch().opened_at + longest_s - time.monotonic()) > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stepped.wait(), left_s)
        stepped.clear()


class EpochStep:
    """Takes the results of one step. `fresh`: the batches that the step must process."""

    def __init__(self, epoch: Epoch, metrics: Metrics, fresh: Sequence[Batch]) -> None:
        self.fresh = fresh
        self._epoch = epoch
        self._metrics = metrics

    @property
    def sources(self) -> set[int]:
        """Partitions that brought events; messages between agents do not count."""
        return {batch.partition for batch in self.fresh if batch.topic in INPUT_TOPICS}

    def judged(self, judged: Judged) -> None:
        """Add the result of a step of the parcels."""
        self._epoch.judged(judged, since=max((batch.timestamps[-1] for batch in self.fresh), default=0))
        if judged.due:
            self._epoch.passed(judged.due)
            self._metrics.overdue.inc(judged.due)
        if judged.told is not None:
            self._epoch.told.append(judged.told)
        _count(self._metrics, judged)

    def passed(self, judged: Judged, rows: int) -> None:
        """Add the result of judging `rows` parcels without a batch."""
        self._epoch.judged(judged)
        self._epoch.passed(rows)
        _count(self._metrics, judged)

    def expired(self, store: str, keys: int) -> None:
        """Count keys of a store that were looked at because they may expire."""
        if keys:
            self._epoch.passed(keys)
            self._metrics.due.labels(store).inc(keys)

    def upgraded(self, store: str, rows: int, values: int) -> None:
        """Count values of a store that were looked at because of their format, and those that were written anew."""
        if rows:
            self._epoch.passed(rows)
            self._metrics.upgraded.labels(store).inc(values)

    def tallied(self, tallies: Sequence[Published]) -> None:
        """Add tallies to publish."""
        for each in tallies:
            self._epoch.messages[topics.TALLIES, each.partition].append({"key": each.key, "value": each.value})
        if tallies:
            self._epoch.passed(len(tallies))
            self._metrics.tallies.inc(len(tallies))

    def send(self, topic: str, messages: list[tuple[int, bytes]]) -> None:
        """Add messages for an internal topic."""
        self._epoch.send(topic, messages)


def _count(metrics: Metrics, judged: Judged) -> None:
    metrics.strange.inc(judged.strange)
    for (topic, reason), n in Counter((reject.topic, reject.reason) for reject in judged.rejects).items():
        metrics.rejects.labels(topic, reason).inc(n)
    for (tier, status), n in Counter((each.said.tier, each.said.status) for each in judged.alerts).items():
        metrics.verdicts.labels(tier, status).inc(n)
    for status, n in Counter(each.said.status for each in judged.shadows).items():
        metrics.shadows.labels(status).inc(n)
    for notice in judged.notices:
        metrics.rule_held.labels(notice.rule).set(notice.held)
    for key, n in judged.answers.items():
        metrics.rule_answers.labels(*key).inc(n)
