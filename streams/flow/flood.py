"""The flood cap: a rule that opens far more alerts than its budget is held back, so that a slip drowns nobody.

It gates what is emitted, and no verdict: answers, score and tier stay what they are. While a rule is held back, an
alert that would newly open only because of it goes to the shadow topic; alerts that are open go on being updated. Each
worker weighs what it judges itself, over windows of so many verdicts, and forgets it when it ends.

A rule is blamed for an alert that would not open without it. Where several fire together, so that none is to blame
alone, one is also held back that has part in five times its budget, the worst first, until the rest is within bounds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rules import THRESHOLDS, TIERS, Catalogue
from schemas import topics
from schemas.apart import Notice
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import HELD, OPEN
from streams.settings import Settings

log = logging.getLogger(__name__)

_PART = 5  # budgets that a rule may have part in without being to blame alone
_CALM = 0.5  # of its budget, over a whole window: the rule is released
_AGAIN_MS = 60_000  # between two notices that a rule is held back still

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class _Hold:
    """A rule that is held back, by its position in the catalogue."""

    since: int
    told: int
    share: float


class Flood:
    """Weighs the alerts that a worker opens, and says which are to wait. One thread at a time.

    share_max: budget of a rule that has none of its own. window: verdicts. emit_from: index into TIERS, 1 or more.
    """

    def __init__(self, *, share_max: float, window: int, emit_from: int, instance: str) -> None:
        self._share_max = share_max
        self._window = window
        self._emit_from = emit_from
        self._threshold = THRESHOLDS[emit_from - 1]
        self._instance = instance
        self._catalogue: Catalogue | None = None
        self._holds: dict[int, _Hold] = {}
        self._notices: list[Notice] = []
        self._judged = 0
        self._openings: Mask = np.zeros((0, 0), dtype=np.bool_)  # of this window: which rules said yes

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As set; None: no rule is ever held back."""
        if not settings.flood_share_max:
            return None
        return cls(
            share_max=settings.flood_share_max,
            window=settings.flood_window_rows,
            emit_from=TIERS.index(settings.emit_from),
            instance=settings.instance,
        )

    @property
    def held(self) -> frozenset[str]:
        """The rules that are held back."""
        return frozenset(self._catalogue.rules[number].id for number in self._holds) if self._catalogue else frozenset()

    def defer(self, dossiers: Dossiers, verdicts: Verdicts, catalogue: Catalogue, now_ms: int) -> Mask:
        """Which of the verdicts would open an alert that is to wait; a new catalogue begins without any."""
        if catalogue is not self._catalogue:
            self._take(catalogue, now_ms)
        deferred = np.zeros(len(verdicts.rows), dtype=np.bool_)
        self._judged += len(verdicts.rows)
        opening = (verdicts.tier >= self._emit_from) & (dossiers.heads["emitted"][verdicts.rows] != OPEN)
        rows = np.flatnonzero(opening)
        if len(rows):
            yes = verdicts.answers[rows].fill_null(False).to_numpy().astype(np.bool_)
            waiting = dossiers.heads["shadowed"][verdicts.rows[rows]] == HELD
            news = yes[~(waiting & self._waits(yes))]  # what waits already is not counted again
            if len(news):
                self._openings = np.concatenate([self._openings, news])
                self._weigh(now_ms)
            deferred[rows] = self._waits(yes)
        if self._judged >= self._window:
            self._turn(now_ms)
        return deferred

    def notices(self) -> list[Notice]:
        """What is to be said since the last call."""
        said, self._notices = self._notices, []
        return said

    def _take(self, catalogue: Catalogue, now_ms: int) -> None:
        for number in [*self._holds]:
            self._release(number, now_ms, "a new catalogue is in force")
        self._catalogue = catalogue
        self._points = catalogue.points.astype(np.int64)
        budgets = [self._share_max if rule.budget is None else rule.budget for rule in catalogue.rules]
        self._budgets = np.array(budgets, dtype=np.float64)
        self._begin()

    def _begin(self) -> None:
        self._judged = 0
        self._openings = np.zeros((0, len(self._points)), dtype=np.bool_)

    def _counting(self) -> NDArray[np.int64]:
        """Points per rule, nothing for those held back."""
        points = self._points.copy()
        points[list(self._holds)] = 0
        return points

    def _waits(self, yes: Mask) -> Mask:
        if not self._holds:
            return np.zeros(len(yes), dtype=np.bool_)
        return np.asarray(yes @ self._counting() < self._threshold)

    def _weigh(self, now_ms: int) -> None:
        """Hold back the worst rule, as long as there is one above its budget."""
        verdicts = max(self._judged, self._window)
        while True:
            points = self._counting()
            total = self._openings @ points
            open_still = total >= self._threshold
            part = self._openings[open_still] & (points > 0)
            alone = part & (total[open_still, None] - points < self._threshold)
            above = np.maximum(alone.sum(0), part.sum(0) / _PART) / (self._budgets * verdicts)
            worst = int(above.argmax())
            if above[worst] <= 1:
                return
            self._hold(worst, now_ms)

    def _share(self, number: int) -> float:
        """Alerts of this window that a held rule opened, or would have, among all verdicts."""
        points = self._counting()
        total = self._openings @ points
        points[number] = self._points[number]
        without = total < self._threshold
        return float((self._openings[:, number] & without).sum()) / max(self._judged, self._window)

    def _turn(self, now_ms: int) -> None:
        """A window is full: release the rules that have calmed down, and begin another."""
        for number, hold in [*self._holds.items()]:
            hold.share = self._share(number)
            if hold.share <= _CALM * self._budgets[number]:
                self._release(number, now_ms, "it has calmed down")
            elif now_ms - hold.told >= _AGAIN_MS:
                hold.told = now_ms
                self._tell(number, hold, now_ms, held=True)
        self._begin()

    def _hold(self, number: int, now_ms: int) -> None:
        self._holds[number] = hold = _Hold(since=now_ms, told=now_ms, share=0.0)
        hold.share = self._share(number)
        assert self._catalogue is not None
        log.error(
            "rule %s is held back: it opens alerts with %.1f %% of verdicts, its budget is %.1f %%. Alerts that do not "
            "open without it wait in %s until it calms down, or a catalogue with another rule or budget comes",
            self._catalogue.rules[number].id,
            100 * hold.share,
            100 * self._budgets[number],
            topics.SHADOW,
        )
        self._tell(number, hold, now_ms, held=True)

    def _release(self, number: int, now_ms: int, why: str) -> None:
        hold = self._holds.pop(number)
        assert self._catalogue is not None
        log.warning("rule %s is held back no more: %s", self._catalogue.rules[number].id, why)
        self._tell(number, hold, now_ms, held=False)

    def _tell(self, number: int, hold: _Hold, now_ms: int, *, held: bool) -> None:
        assert self._catalogue is not None
        rule = self._catalogue.rules[number]
        self._notices.append(
            Notice(
                kind="rule_flood",
                rule=rule.id,
                version=rule.version,
                held=held,
                share=round(hold.share, 4),
                budget=float(self._budgets[number]),
                judged=self._judged,
                since=hold.since,
                at=now_ms,
                instance=self._instance,
                catalogue=self._catalogue.fingerprint,
            )
        )
