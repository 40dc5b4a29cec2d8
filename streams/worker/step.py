"""One step's part in the epoch that is open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from streams.flow.batches import Batch
from streams.flow.pipeline import Judged
from streams.flow.sources import SOURCES
from streams.metrics import Metrics
from streams.worker.commit import Epoch


class Turn:
    """Takes what a step gives; `fresh` are the batches that are its to read."""

    def __init__(self, epoch: Epoch, metrics: Metrics, fresh: Sequence[Batch]) -> None:
        self.fresh = fresh
        self._epoch = epoch
        self._metrics = metrics

    @property
    def sources(self) -> set[int]:
        """Partitions that brought events; what agents send each other comes from elsewhere."""
        return {batch.partition for batch in self.fresh if batch.topic in SOURCES.values()}

    def judged(self, judged: Judged) -> None:
        """Add what a step of the parcels gave."""
        self._epoch.judged(judged, since=max((batch.timestamps[-1] for batch in self.fresh), default=0))
        if judged.due:
            self._epoch.passed(judged.due)
            self._metrics.overdue.inc(judged.due)
        _count(self._metrics, judged)

    def passed(self, judged: Judged, rows: int) -> None:
        """Add what was judged without a batch, out of so many parcels."""
        self._epoch.judged(judged)
        self._epoch.passed(rows)
        _count(self._metrics, judged)

    def forgot(self, store: str, keys: int) -> None:
        """Add that so many keys of a store were looked at, to be forgotten."""
        if keys:
            self._epoch.passed(keys)
            self._metrics.due.labels(store).inc(keys)

    def send(self, topic: str, messages: list[tuple[int, bytes]]) -> None:
        """Add messages for an internal topic."""
        self._epoch.send(topic, messages)


def _count(metrics: Metrics, judged: Judged) -> None:
    for (topic, reason), n in Counter((reject.topic, reject.reason) for reject in judged.rejects).items():
        metrics.rejects.labels(topic, reason).inc(n)
    for (tier, status), n in Counter((each.alert.tier, each.alert.status) for each in judged.alerts).items():
        metrics.verdicts.labels(tier, status).inc(n)
        metrics.alerts.labels(status).inc(n)
    for status, n in Counter(each.shadow.status for each in judged.shadows).items():
        metrics.shadows.labels(status).inc(n)
    for notice in judged.notices:
        metrics.rule_held.labels(notice.rule).set(notice.held)
    for key, n in judged.answers.items():
        metrics.rule_answers.labels(*key).inc(n)
