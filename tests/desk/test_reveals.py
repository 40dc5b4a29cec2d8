"""Reveals: two persons, ten minutes, one field; and every step is on record before it has an effect."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from desk.reveals import ALL_MAX, ASKED_MS, ASKS_MAX, SHOWN_MS, Ask, Reveal, RevealError, Reveals, Shown
from schemas.records import Shipment
from streams.kafka.transactions import WriteError
from tests.persons import PERSONS, SENDER_PHONE
from tests.schemas.samples import SHIPMENT

RECORD = msgspec.convert({**SHIPMENT, **PERSONS}, Shipment)
ASK = Ask(clue="c1", parcel="SF:1", field="sender_phone", user="a1", why="whose parcel it is")


class Guard:
    """Reveals with a clock to turn, a record that may be gone, and a log that may fail."""

    def __init__(self) -> None:
        self.now, self.broken = 1_000_000, False
        self.record: Shipment | None = RECORD
        self.noted: list[tuple[str, str, bool]] = []
        self.reveals = Reveals(self, self, lambda: self.now)  # type: ignore[arg-type]

    def note(
        self, user: str, clue: str, fields: tuple[str, ...], at_ms: int, why: str = "clue", *, ok: bool = True
    ) -> None:
        if self.broken:
            raise WriteError("not written")
        assert (clue, fields[1], at_ms, why) == (ASK.clue, ASK.field, self.now, ASK.why)
        self.noted.append((user, fields[0].removeprefix("reveal_"), ok))

    def of(self, parcel: str) -> Shipment | None:
        return self.record

    def asked(self, **changed: Any) -> Reveal:
        return self.reveals.ask(msgspec.structs.replace(ASK, **changed))

    def granted(self) -> str:
        made = self.asked()
        self.reveals.decide(made.reveal_id, "s1", agree=True)
        return made.reveal_id

    def refuses(self, status: int, do: Any, *given: Any, **named: Any) -> None:
        with pytest.raises(RevealError) as told:
            do(*given, **named)
        assert told.value.status == status
        assert SENDER_PHONE not in str(told.value)


@pytest.fixture
def guard() -> Guard:
    return Guard()


def test_a_field_is_shown_after_a_second_person_has_agreed(guard: Guard) -> None:
    made = guard.asked()
    guard.refuses(403, guard.reveals.show, made.reveal_id, "a1")
    guard.reveals.decide(made.reveal_id, "s1", agree=True)
    assert guard.reveals.show(made.reveal_id, "a1") == Shown(value=SENDER_PHONE, left_ms=SHOWN_MS)
    assert guard.noted == [
        ("a1", "asked", True),
        ("a1", "shown", False),
        ("s1", "granted", True),
        ("a1", "shown", True),
    ]
    assert SENDER_PHONE not in repr(guard.reveals.all())


def test_nobody_agrees_with_himself_and_nobody_else_is_shown_it(guard: Guard) -> None:
    made = guard.asked()
    guard.refuses(403, guard.reveals.decide, made.reveal_id, "a1", agree=True)
    guard.refuses(403, guard.reveals.show, made.reveal_id, "a1")
    guard.reveals.decide(made.reveal_id, "s1", agree=True)
    guard.refuses(409, guard.reveals.decide, made.reveal_id, "s2", agree=True)
    guard.refuses(403, guard.reveals.show, made.reveal_id, "s1")
    assert [each for each in guard.noted if not each[2]] == [
        ("a1", "granted", False),
        ("a1", "shown", False),
        ("s1", "shown", False),
    ]


def test_it_is_over_after_ten_minutes(guard: Guard) -> None:
    made = guard.granted()
    guard.now += SHOWN_MS - 1
    assert guard.reveals.show(made, "a1") == Shown(value=SENDER_PHONE, left_ms=1)
    guard.now += 1
    guard.refuses(410, guard.reveals.show, made, "a1")
    assert guard.reveals.all() == []


def test_a_record_that_is_fetched_too_late_is_not_shown(guard: Guard) -> None:
    made = guard.granted()

    def slow(parcel: str) -> Shipment | None:
        guard.now += SHOWN_MS
        return RECORD

    guard.of = slow  # type: ignore[method-assign]
    guard.refuses(410, guard.reveals.show, made, "a1")


def test_an_ask_that_nobody_answers_lapses_and_a_grant_that_nobody_uses_is_on_record(guard: Guard) -> None:
    first = guard.asked()
    guard.granted()
    guard.now += SHOWN_MS
    assert [each.reveal_id for each in guard.reveals.all()] == [first.reveal_id]
    guard.now += ASKED_MS - SHOWN_MS
    guard.refuses(410, guard.reveals.decide, first.reveal_id, "s1", agree=True)
    assert guard.noted[-2:] == [("a1", "unused", False)] * 2


def test_a_refusal_ends_it(guard: Guard) -> None:
    made = guard.asked()
    guard.reveals.decide(made.reveal_id, "s1", agree=False)
    guard.refuses(410, guard.reveals.decide, made.reveal_id, "s2", agree=True)
    assert guard.noted[-1] == ("s1", "refused", False)


def test_what_is_past_retention_is_said(guard: Guard) -> None:
    made = guard.granted()
    guard.record = None
    guard.refuses(410, guard.reveals.show, made, "a1")
    guard.refuses(410, guard.asked)
    assert guard.noted[-2:] == [("a1", "shown", False), ("a1", "asked", False)]


def test_nobody_asks_more_than_ten_times_an_hour_or_names_a_person(guard: Guard) -> None:
    guard.refuses(422, guard.asked, why=f"of {SENDER_PHONE}")
    guard.refuses(422, guard.asked, why=" ")
    for _ in range(ASKS_MAX):
        guard.asked()
    guard.refuses(429, guard.asked)
    assert guard.asked(user="a2").ask.user == "a2"
    for number in range(ASKS_MAX + 1, ALL_MAX):
        guard.asked(user=f"b{number}")
    guard.refuses(429, guard.asked, user="a2")
    guard.now += 3_600_000
    assert guard.asked().ask == ASK


def test_what_cannot_be_put_on_record_has_no_effect(guard: Guard) -> None:
    made = guard.asked()
    guard.broken = True
    for do in (
        guard.asked,
        lambda: guard.reveals.decide(made.reveal_id, "s1", agree=True),
        lambda: guard.reveals.decide(made.reveal_id, "s1", agree=False),
    ):
        with pytest.raises(WriteError):
            do()
    guard.broken = False
    guard.refuses(403, guard.reveals.show, made.reveal_id, "a1")
    guard.reveals.decide(made.reveal_id, "s1", agree=True)
    guard.broken = True
    with pytest.raises(WriteError):
        guard.reveals.show(made.reveal_id, "a1")
    assert guard.reveals.all()[0].shown is False
