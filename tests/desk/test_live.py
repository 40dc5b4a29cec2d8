"""What an open queue is told: a station that must not know why a clue is there, not even that something has changed."""

from __future__ import annotations

from desk.clues.clue import Clue
from desk.queue import Filter
from desk.scope import Scope
from desk.store.reading import Page
from desk.web.live import News, Watch
from schemas import clues as log
from tests.desk.logs import applied, clue_at, event


def told(station: str | None, page: Clue, *changes: Clue, missed: int = 0) -> list[bool]:
    """Whether a page with one clue is told of each of its changes. missed: how many came before its stream began."""
    watch = Watch(Filter("u1"), Scope("u1", acts_for=station), None, lambda clue: clue.state, ())
    news = [News("g", seq, [(seq, clue)]) for seq, clue in enumerate(changes, 1)]
    watch.begin(
        Page([watch.scope.shown(page)], 1, None, "g-0"), News("g", missed, [each.changes[0] for each in news[:missed]])
    )
    return [watch.told(each) is not None for each in news]


def test_a_station_is_not_told_that_what_it_does_not_see_has_changed() -> None:
    clue = clue_at(log.Dispatched)
    higher = applied(clue, event(log.Standing, 3, clue, adcode=clue.adcode))
    graded = applied(higher, event(log.Graded, 4, higher))
    drawn = applied(graded, event(log.Joined, 5, graded))
    accepted = applied(drawn, event(log.Accepted, 6, drawn))
    changes = higher, graded, drawn, accepted
    assert told("ST-1", clue, *changes) == [False, False, False, True]
    assert told(None, clue, *changes) == [True, True, True, True]
    assert told("ST-1", higher, *changes, missed=1) == [True, False, False, True], "it may have an older row"
    moved = applied(clue, event(log.Standing, 3, clue))
    assert told("ST-1", clue, moved, moved) == [True, False], "its place is seen"
