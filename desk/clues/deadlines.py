"""Deadlines: how long a station has for each step, and whether a clue meets them at a given time.

The minutes are our choice; no source gives any. Traces of two carriers show 1.6 to 3 hours from pickup to the first
departure, so the most urgent tier has minutes. Only the times in `dispatched` are stored; all else follows from the log
and the given time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from desk.clues.clue import Clue
from schemas.terms import Step, Tier

MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS
WARN, OVERDUE, PREFECTURE, PROVINCE = 0.75, 1.0, 1.5, 2.0  # shares of the time for a step that have passed
PAGED_MS_MAX: Final = 30 * DAY_MS  # a step that is overdue for longer is listed, but not escalated again
_CHINA: Final = timedelta(hours=8)


class Minutes(NamedTuple):
    """Time for each step from dispatch. working: only working hours count."""

    accept: int
    check: int
    answer: int
    working: bool


MINUTES: Final[Mapping[Tier, Minutes]] = {
    "extreme": Minutes(10, 120, 1_440, working=False),
    "high": Minutes(30, 480, 2_880, working=False),
    "medium": Minutes(480, 4_320, 10_080, working=True),
    "low": Minutes(480, 4_320, 10_080, working=True),
}


class Dues(NamedTuple):
    """By when each step is due, epoch ms UTC."""

    accept: int
    check: int
    answer: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Working hours in China. days: exceptions to the weekday, by day YYYY-MM-DD; True: a working day."""

    days: Mapping[str, bool]
    from_minute: int = 9 * 60
    to_minute: int = 17 * 60

    def works(self, day: date) -> bool:
        """Whether this is a working day."""
        return self.days.get(day.isoformat(), day.weekday() < 5)

    def works_at(self, at_ms: int) -> bool:
        """Whether the day of a time is a working day."""
        return self.works(day_of(at_ms))

    def after(self, at_ms: int, minutes: int) -> int:
        """The time, epoch ms, at which `minutes` working minutes have passed since `at_ms`."""
        day, left = day_of(at_ms), minutes * MINUTE_MS
        begin = at_ms - _midnight(day)
        for _ in range(minutes + 366):  # a calendar without a working day in a year is an error
            if self.works(day):
                start = max(begin, self.from_minute * MINUTE_MS)
                free = max(self.to_minute * MINUTE_MS - start, 0)
                if left <= free:
                    return _midnight(day) + start + left
                left -= free
            day, begin = day + timedelta(days=1), 0
        raise ValueError("the calendar has no working days")


def day_of(at_ms: int) -> date:
    """The day in China at a time."""
    return (datetime.fromtimestamp(at_ms / 1_000, UTC) + _CHINA).date()


def _midnight(day: date) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) - _CHINA).timestamp()) * 1_000


def dues(tier: Tier, at_ms: int, calendar: Calendar) -> Dues:
    """By when a clue of this tier, dispatched at a time, must be accepted, checked and answered."""
    limits = MINUTES[tier]
    times = limits.accept, limits.check, limits.answer
    if limits.working:
        return Dues(*(calendar.after(at_ms, minutes) for minutes in times))
    return Dues(*(at_ms + minutes * MINUTE_MS for minutes in times))


class Due(NamedTuple):
    """The next step of a clue. share: the share of its time that has passed; from 1 on it is overdue.

    warn: from when on the clue is shown as urgent, epoch ms.
    """

    step: Step
    by: int
    share: float
    warn: int

    @property
    def overdue(self) -> bool:
        """Whether its time is over."""
        return self.share >= OVERDUE


def next_due(clue: Clue, now_ms: int) -> Due | None:
    """The next step of a clue's station; None: there is none."""
    if clue.dispatched_at is None:
        return None
    first = clue.first_dispatched_at or clue.dispatched_at
    steps: list[tuple[Step, int, int | None]] = []
    if clue.state == "dispatched":
        steps.append(("accept", clue.dispatched_at, clue.accept_by))
    if clue.state == "accepted" and clue.checked_at is None:
        steps.append(("check", clue.dispatched_at, clue.check_by))
    if clue.state in ("dispatched", "accepted", "checked"):
        steps.append(("answer", first, clue.answer_by))
    due = [
        Due(step, by, _share(since, by, now_ms), since + int(WARN * (by - since)))
        for step, since, by in steps
        if by is not None
    ]
    return min(due, key=lambda each: each.by, default=None)


def level_due(clue: Clue, now_ms: int) -> int:
    """To which level an overdue step should be escalated: 0 the station, 1 the prefecture, 2 the province.

    A step that is overdue for more than 30 days is not escalated.
    """
    due = next_due(clue, now_ms)
    if due is None or now_ms - due.by > PAGED_MS_MAX:
        return 0
    return (due.share >= PREFECTURE) + (due.share >= PROVINCE)


def in_time(clue: Clue) -> bool | None:
    """Whether the first answer came in time; None: there is none yet."""
    if clue.first_answered_at is None or clue.answer_by is None:
        return None
    return clue.first_answered_at <= clue.answer_by


def _share(since: int, by: int, now_ms: int) -> float:
    return (now_ms - since) / (by - since) if by > since else float(now_ms >= by)
