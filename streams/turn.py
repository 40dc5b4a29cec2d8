"""One step's part in the epoch that is open, and what the metrics say of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from streams.frames import Batch
from streams.metrics import Metrics
from streams.pipeline import Judged

if TYPE_CHECKING:
    from streams.work import Work


class Turn:
    """One step's part in the open epoch."""

    def __init__(self, work: Work, fresh: list[Batch]) -> None:
        self.fresh = fresh
        self._work = work

    def judged(self, judged: Judged) -> None:
        """Add what a step of the parcels gave."""
        self._work._epoch.judged(judged, since=max((batch.timestamps[-1] for batch in self.fresh), default=0))
        if judged.due:
            self._work._epoch.passed(judged.due)
            self._work.metrics.overdue.inc(judged.due)
        self._work.metrics.waiting.set(len(self._work.parcels.deadlines))
        _count(self._work.metrics, judged)

    def send(self, topic: str, messages: list[tuple[int, bytes]]) -> None:
        """Add messages for an internal topic."""
        self._work._epoch.send(topic, messages)


def _count(metrics: Metrics, judged: Judged) -> None:
    for (topic, reason), n in Counter((reject.topic, reject.reason) for reject in judged.rejects).items():
        metrics.rejects.labels(topic, reason).inc(n)
    for (tier, status), n in Counter((each.alert.tier, each.alert.status) for each in judged.alerts).items():
        metrics.verdicts.labels(tier, status).inc(n)
        metrics.alerts.labels(status).inc(n)
    rules: Counter[tuple[str, str]] = Counter()
    for each in judged.alerts:
        rules.update((reason.rule, "yes") for reason in each.alert.reasons)
        rules.update((rule, "unknown") for rule in each.alert.unknown)
    for (rule, answer), n in rules.items():
        metrics.rule_answers.labels(rule, answer).inc(n)
