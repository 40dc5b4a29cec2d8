"""Deadlines by tier and step, on the clock and in working hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.clues.clue import Clue
from desk.clues.deadlines import DAY_MS, MINUTE_MS, MINUTES, Calendar, dues, in_time, level_due, next_due
from schemas import clues as log
from tests.desk.logs import T0, applied, clue_at, event

CHINA = timezone(timedelta(hours=8))
WEEKDAYS = Calendar({})


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp() * 1_000)


@pytest.mark.parametrize(("tier", "minutes"), [("extreme", (10, 120, 1_440)), ("high", (30, 480, 2_880))])
def test_the_most_urgent_run_on_the_clock_through_night_and_holiday(tier: str, minutes: tuple[int, int, int]) -> None:
    at = ms("2026-10-01T23:50")
    found = dues("extreme" if tier == "extreme" else "high", at, Calendar({"2026-10-01": False}))
    assert found == tuple(at + each * MINUTE_MS for each in minutes)


@pytest.mark.parametrize(
    ("at", "accept"),
    [
        ("2026-11-30T09:00", "2026-11-30T17:00"),  # Monday
        ("2026-11-30T08:00", "2026-11-30T17:00"),
        ("2026-11-30T12:00", "2026-12-01T12:00"),
        ("2026-11-30T17:00", "2026-12-01T17:00"),
        ("2026-11-27T16:59", "2026-11-30T16:59"),  # Friday
        ("2026-11-28T12:00", "2026-11-30T17:00"),  # Saturday
    ],
)
def test_others_run_in_working_hours(at: str, accept: str) -> None:
    assert dues("medium", ms(at), WEEKDAYS).accept == ms(accept)


def test_holidays_and_worked_weekends_count_as_the_calendar_says() -> None:
    calendar = Calendar({"2026-10-01": False, "2026-10-02": False, "2026-10-10": True})
    assert calendar.after(ms("2026-09-30T17:00"), 60) == ms("2026-10-05T10:00")
    assert calendar.after(ms("2026-10-09T17:00"), 60) == ms("2026-10-10T10:00")
    with pytest.raises(ValueError, match="no working days"):
        Calendar({}, from_minute=600, to_minute=600).after(T0, 1)


@given(at=st.integers(T0, T0 + 400 * DAY_MS), minutes=st.integers(0, 12_000), more=st.integers(0, 600))
def test_working_time_adds_up_and_ends_in_working_hours(at: int, minutes: int, more: int) -> None:
    first = WEEKDAYS.after(at, minutes)
    assert first >= at
    assert WEEKDAYS.after(first, more) == WEEKDAYS.after(at, minutes + more)
    if minutes:
        local = datetime.fromtimestamp(first / 1_000, UTC).astimezone(CHINA)
        assert local.weekday() < 5
        assert timedelta(hours=9) < timedelta(hours=local.hour, minutes=local.minute, seconds=local.second + 1)
        assert (local.hour, local.minute) <= (17, 0)


def test_every_tier_has_all_steps_in_their_order() -> None:
    for limits in MINUTES.values():
        assert 0 < limits.accept < limits.check < limits.answer


def test_what_is_owed_next_follows_the_steps() -> None:
    clue = clue_at()
    assert next_due(clue, T0) is None
    clue = clue_at(log.Dispatched)
    due = next_due(clue, T0 + MINUTE_MS)
    assert due is not None
    assert (due.step, due.by, due.share) == ("accept", clue.accept_by, 0.0)
    clue = applied(clue, event(log.Accepted, 2, clue))
    assert step_of(clue) == "check"
    clue = applied(clue, event(log.Checked, 3, clue))
    assert step_of(clue) == "answer"
    clue = applied(clue, event(log.Answered, 4, clue, outcome="seizure"))
    assert next_due(clue, T0) is None  # the station owes nothing, a second person does
    assert in_time(clue)


def step_of(clue: Clue) -> str:
    due = next_due(clue, T0)
    assert due is not None
    return due.step


@pytest.mark.parametrize(
    ("share", "level"), [(0.5, 0), (1.0, 0), (1.49, 0), (1.5, 1), (1.99, 1), (2.0, 2), (50.0, 2), (10**6, 0)]
)
def test_what_is_overdue_goes_up_to_prefecture_and_province_and_is_old_after_a_month(share: float, level: int) -> None:
    clue = clue_at(log.Dispatched)
    assert clue.dispatched_at is not None
    assert clue.accept_by is not None
    now = clue.dispatched_at + round(share * (clue.accept_by - clue.dispatched_at))
    assert level_due(clue, now) == level
    due = next_due(clue, now)
    assert due is not None
    assert due.overdue == (share >= 1)


def test_an_answer_after_its_time_is_late_also_when_another_follows() -> None:
    clue = clue_at(log.Dispatched, log.Accepted)
    assert in_time(clue) is None
    assert clue.answer_by is not None
    late = applied(clue, event(log.Answered, 5, clue, at=clue.answer_by + 1, outcome="seizure"))
    assert in_time(late) is False
    disputed = applied(late, event(log.Disputed, 6, late, by="u2"))
    again = applied(disputed, event(log.Answered, 7, disputed))
    assert in_time(again) is False
