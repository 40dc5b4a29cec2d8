"""The flood cap: holds back a rule that opens far more alerts than its budget, so that a mistake floods nobody.

It decides only what is sent. Answers, score and tier of the verdict do not change. While a rule is held back, its
points raise nothing that goes out:

- An alert that would open only because of the rule goes to the shadow topic and waits there.
- An alert that other rules open has the score and tier that it has without the rule.
- An alert that is open is still updated; the held rule counts only up to the score that was sent last.

Each worker counts the verdicts that it judges itself, in windows, and starts anew when it restarts.

A rule is to blame for an alert that would not open without it. If several rules fire together, none of them is to blame
alone; then a rule is also held back if it takes part in alerts five times its budget, the worst rule first, until the
rest is within bounds. A rule is released when it has stayed below half its budget for several windows in a row and for
a minute. A new catalogue releases it only if the rule or its budget has changed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rules import SCORE_MAX, THRESHOLDS, TIERS, YES, Catalogue, Rule
from schemas import topics
from schemas.apart import Notice
from schemas.rulesets import Held
from streams.flow.fold.dossiers import Dossiers
from streams.flow.judge import Verdicts
from streams.flow.layout import HELD, OPEN
from streams.settings import Settings

log = logging.getLogger(__name__)

_PART = 5  # budgets of alerts in which a rule may take part without being to blame alone
_CALM = 0.5  # share of its budget below which a rule counts as calm in a window
_CALM_WINDOWS = 2  # calm windows in a row before a release
_CALM_MS = 60_000  # and how long it must have been calm
_AGAIN_MS = 60_000  # between two notices about a rule that is still held back

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gate:
    """What goes out about some verdicts, row by row with them."""

    deferred: Mask  # would open an alert that must wait
    score: NDArray[np.int32]
    tier: NDArray[np.uint8]
    held: frozenset[str] = frozenset()
    """Rules that are held back. In `score` they count only up to the score that an open alert had already."""
    without: NDArray[np.int32] | None = None
    """The score without these rules; None: no rule is held back."""

    @classmethod
    def open(cls, verdicts: Verdicts) -> Self:
        """A gate that lets everything go out as judged."""
        return cls(np.zeros(len(verdicts.rows), dtype=np.bool_), verdicts.score, verdicts.tier)

    def points(self, at: Ints, yes: Mask, full: Mask, catalogue: Catalogue) -> Ints:
        """What each rule counts for in these rows: its points; one that is held, what it adds to the score of the row.

        yes: the live rules that say yes. full: where the score has all points. Both are row by row with `at`.
        """
        points = np.tile(catalogue.points.astype(np.int64), (len(at), 1))
        if self.without is None:
            return points
        left = (self.score[at] - self.without[at]).astype(np.int64)
        for number, rule in enumerate(catalogue.rules):
            if rule.id in self.held:
                some = yes[:, number] & ~full
                points[some, number] = np.minimum(rule.points, left[some])
                left[some] -= points[some, number]
        return points


@dataclass(slots=True)
class _Hold:
    """A rule that is held back, by its position in the catalogue."""

    since: int
    told: int
    share: float
    loud: int  # when it was last above half its budget
    calm: int = 0  # windows in a row since then


class Flood:
    """Counts the alerts that a worker opens, and says which of them must wait. One thread at a time.

    share_max: budget of a rule without a budget of its own. window: verdicts. emit_from: index into TIERS, at least 1.
    calm_ms: how long a rule must have been calm before it is released, ms.
    """

    def __init__(
        self, *, share_max: float, window: int, emit_from: int, instance: str, calm_ms: int = _CALM_MS
    ) -> None:
        self._calm_ms = calm_ms
        self._share_max = share_max
        self._window = window
        self._emit_from = emit_from
        self._threshold = THRESHOLDS[emit_from - 1]
        self._instance = instance
        self._catalogue: Catalogue | None = None
        self._holds: dict[int, _Hold] = {}
        self._notices: list[Notice] = []
        self._judged = 0
        self._weighed: set[tuple[int, bytes]] = set()  # in this window: parcels by partition
        self._openings: Mask = np.zeros((0, 0), dtype=np.bool_)  # in this window: which rules said yes
        self._news: Mask = np.zeros(0, dtype=np.bool_)  # which of them have not waited before

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """As the settings say; None: no rule is ever held back."""
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

    def holds(self) -> tuple[Held, ...]:
        """The rules that are held back, with figures, sorted by rule."""
        found = [
            Held(
                rule=self._catalogue.rules[number].id,
                since=hold.since,
                share=round(hold.share, 4),
                budget=float(self._budgets[number]),
            )
            for number, hold in self._holds.items()
            if self._catalogue
        ]
        return tuple(sorted(found, key=lambda held: held.rule))

    def gate(self, dossiers: Dossiers, verdicts: Verdicts, catalogue: Catalogue, now_ms: int) -> Gate:
        """Count these verdicts, and say what goes out about them."""
        if catalogue is not self._catalogue:
            self._take(catalogue, now_ms)
        self._judged += len(verdicts.rows)
        heads = dossiers.heads
        opening = (verdicts.tier >= self._emit_from) & (heads["emitted"][verdicts.rows] != OPEN)
        rows = self._once(dossiers, verdicts, np.flatnonzero(opening))
        if len(rows):
            yes = verdicts.said[rows] == YES
            waited = heads["shadowed"][verdicts.rows[rows]] == HELD
            # An alert that waits already is not counted again; it opens when its rule is released.
            self._openings = np.concatenate([self._openings, yes])
            self._news = np.concatenate([self._news, ~(waited & self._waits(yes))])
            if self._news[-len(rows) :].any():
                self._weigh(now_ms)
        gate = self._gate(dossiers, verdicts, opening) if self._holds else Gate.open(verdicts)
        if self._judged >= self._window:
            self._turn(now_ms)
        return gate

    def _once(self, dossiers: Dossiers, verdicts: Verdicts, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first of these rows for each parcel in this window, since a parcel opens only one alert."""
        fresh = []
        for row in rows.tolist():
            place = int(verdicts.rows[row])
            parcel = dossiers.partitions[place], dossiers.parcels[place]
            if parcel not in self._weighed:
                self._weighed.add(parcel)
                fresh.append(row)
        return np.array(fresh, dtype=np.int64)

    def _gate(self, dossiers: Dossiers, verdicts: Verdicts, opening: Mask) -> Gate:
        """The gate while rules are held back."""
        score, without = verdicts.score.copy(), verdicts.score.copy()
        held = self.held
        yes = verdicts.said == YES
        rows = np.flatnonzero(yes[:, list(self._holds)].any(axis=1))
        heads = dossiers.heads.take(verdicts.rows[rows])
        without[rows] = np.minimum(yes[rows] @ self._counting(), SCORE_MAX)
        sent = np.where(heads["emitted"] == OPEN, heads["sent"], 0)
        score[rows] = np.maximum(without[rows], np.minimum(score[rows], sent))
        tier = np.searchsorted(THRESHOLDS, score, side="right").astype(np.uint8)
        return Gate(opening & (tier < self._emit_from), score, tier, held, without)

    def notices(self) -> list[Notice]:
        """Notices since the last call."""
        said, self._notices = self._notices, []
        return said

    def _take(self, catalogue: Catalogue, now_ms: int) -> None:
        """Continue with another catalogue. A held rule stays held if rule and budget are the same in it."""
        before, holds = self._catalogue, {}
        budgets = [self._share_max if rule.budget is None else rule.budget for rule in catalogue.rules]
        places = {rule.id: number for number, rule in enumerate(catalogue.rules)}
        for number, hold in [*self._holds.items()]:
            assert before is not None
            place = places.get(before.rules[number].id)
            if place is None or not _same(before.rules[number], catalogue.rules[place]):
                self._release(number, now_ms, "another version of it, or another budget, is in force")
            else:
                holds[place] = hold
        self._catalogue, self._holds = catalogue, holds
        self._points = catalogue.points.astype(np.int64)
        self._budgets = np.array(budgets, dtype=np.float64)
        self._begin()
        for number, hold in holds.items():
            self._tell(number, hold, now_ms, held=True)

    def _begin(self) -> None:
        self._judged = 0
        self._weighed.clear()
        self._openings = np.zeros((0, len(self._points)), dtype=np.bool_)
        self._news = np.zeros(0, dtype=np.bool_)

    def _counting(self) -> NDArray[np.int64]:
        """Points by rule; 0 for held rules."""
        points = self._points.copy()
        points[list(self._holds)] = 0
        return points

    def _waits(self, yes: Mask) -> Mask:
        if not self._holds:
            return np.zeros(len(yes), dtype=np.bool_)
        return np.asarray(yes @ self._counting() < self._threshold)

    def _weigh(self, now_ms: int) -> None:
        """Hold back the worst rule, as long as one exceeds its budget."""
        verdicts = max(self._judged, self._window)
        while True:
            points = self._counting()
            openings = self._openings[self._news]
            total = openings @ points
            open_still = total >= self._threshold
            part = openings[open_still] & (points > 0)
            alone = part & (total[open_still, None] - points < self._threshold)
            above = np.maximum(alone.sum(0), part.sum(0) / _PART) / (self._budgets * verdicts)
            worst = int(above.argmax())
            if above[worst] <= 1:
                return
            self._hold(worst, now_ms)

    def _share(self, number: int) -> float:
        """Share of the verdicts of this window for which a held rule opened an alert, or would have."""
        points = self._counting()
        total = self._openings @ points
        points[number] = self._points[number]
        without = total < self._threshold
        return float((self._openings[:, number] & without).sum()) / max(self._judged, self._window)

    def _turn(self, now_ms: int) -> None:
        """End a full window: release the rules that have calmed down, and begin the next one."""
        for number, hold in [*self._holds.items()]:
            hold.share = self._share(number)
            if hold.share > _CALM * self._budgets[number]:
                hold.loud, hold.calm = now_ms, 0
            else:
                hold.calm += 1
            if hold.calm >= _CALM_WINDOWS and now_ms - hold.loud >= self._calm_ms:
                self._release(number, now_ms, "it has calmed down")
            elif now_ms - hold.told >= _AGAIN_MS:
                hold.told = now_ms
                self._tell(number, hold, now_ms, held=True)
        self._begin()

    def _hold(self, number: int, now_ms: int) -> None:
        self._holds[number] = hold = _Hold(since=now_ms, told=now_ms, share=0.0, loud=now_ms)
        hold.share = self._share(number)
        assert self._catalogue is not None
        log.error(
            "rule %s is held back: it opens alerts with %.1f %% of verdicts, and its budget is %.1f %%. Alerts that "
            "need it to open wait on %s, and it lifts no other. It is released when it has calmed down; if it is right "
            "as it is, push it with a larger budget",
            self._catalogue.rules[number].id,
            100 * hold.share,
            100 * self._budgets[number],
            topics.SHADOW,
        )
        self._tell(number, hold, now_ms, held=True)

    def _release(self, number: int, now_ms: int, why: str) -> None:
        hold = self._holds.pop(number)
        assert self._catalogue is not None
        log.warning("rule %s is released: %s", self._catalogue.rules[number].id, why)
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


def _same(before: Rule, after: Rule) -> bool:
    """Whether a rule says yes for the same parcels, with the same points and budget."""
    names = ("version", "when", "limits", "points", "mode", "budget")
    return all(getattr(before, name) == getattr(after, name) for name in names)
