"""Measures that pages show while newer ones are made."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from desk.clues.deadlines import Calendar
from desk.measures.report import Measures, measure
from desk.scope import Scope
from desk.web.figures import FRESH_S, Figures
from tests.waiting import PATIENCE_S

EVERYONE = Scope("u1")


class Maker:
    """Makes measures one by one, each when it is let."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.let, self.wrong = Event(), False

    def __call__(self, days: int, scope: Scope) -> Measures:
        self.asked.append((days, scope.user))
        assert self.let.wait(PATIENCE_S)
        if self.wrong:
            raise ValueError("no broker")
        return measure([], {}, {}, Calendar({}), len(self.asked))


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def figures(maker: Maker, now: list[float]) -> Iterator[Figures]:
    made = Figures(maker, lambda: now[0])
    yield made
    maker.let.set()
    made.close()


def test_who_asks_first_is_told_that_they_are_made(figures: Figures, maker: Maker) -> None:
    assert figures.of(7, EVERYONE, 0) == (None, True)
    assert figures.of(7, EVERYONE, 0) == (None, True)
    maker.let.set()
    found, coming = figures.of(7, EVERYONE, PATIENCE_S)
    assert found is not None
    assert (found.until, coming, maker.asked) == (1, False, [(7, "u1")])


def test_old_ones_are_shown_until_new_ones_are_there(figures: Figures, maker: Maker, now: list[float]) -> None:
    maker.let.set()
    first, _ = figures.of(7, EVERYONE, PATIENCE_S)
    now[0] = FRESH_S
    assert figures.of(7, EVERYONE, PATIENCE_S) == (first, False)
    maker.let.clear()
    now[0] += 1
    assert figures.of(7, EVERYONE, PATIENCE_S) == (first, True)
    maker.let.set()
    figures.of(30, EVERYONE, PATIENCE_S)  # made after it
    second, coming = figures.of(7, EVERYONE, 0)
    assert second is not None
    assert (second.until, coming) == (2, False)


def test_each_period_and_reader_has_its_own(figures: Figures, maker: Maker) -> None:
    maker.let.set()
    for days, scope in ((7, EVERYONE), (30, EVERYONE), (7, Scope("u2", ("44",)))) * 2:
        figures.of(days, scope, PATIENCE_S)
    assert maker.asked == [(7, "u1"), (30, "u1"), (7, "u2")]


def test_after_an_error_it_is_tried_again(figures: Figures, maker: Maker) -> None:
    maker.wrong = True
    maker.let.set()
    with pytest.raises(ValueError, match="no broker"):
        figures.of(7, EVERYONE, PATIENCE_S)
    maker.wrong = False
    found, _ = figures.of(7, EVERYONE, PATIENCE_S)
    assert found is not None
