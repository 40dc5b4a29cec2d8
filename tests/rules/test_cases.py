"""Every case of every rule, played through the real functions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules import Catalogue, load_catalogue
from rules.engine.cases import FIRST_MS, HOME_ADCODES, Timeline, timelines
from schemas.reference import ReferenceRecord
from streams.files.driver import Answers, Offline
from streams.flow.fold.journey import END
from streams.settings import Settings
from tests import reference
from tests.rules.playing import answers, failures

CATALOGUE = load_catalogue()
CASES = [timeline for rule in CATALOGUE.rules for timeline in timelines(rule)]


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_case(timeline: Timeline) -> None:
    assert failures(timeline, answers, CATALOGUE) == []


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_the_order_of_arrival_does_not_matter(timeline: Timeline) -> None:
    """But for reference records among themselves, of which the newest holds."""
    known = iter([event for event in timeline.events if isinstance(event, ReferenceRecord)])
    order = timeline.events[::-1]
    events = tuple(next(known) if isinstance(event, ReferenceRecord) else event for event in order)
    backwards = replace(timeline, events=events)
    assert failures(backwards, answers, CATALOGUE) == []


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_one_by_one_it_comes_to_the_same(timeline: Timeline) -> None:
    def one_by_one(timeline: Timeline, catalogue: Catalogue) -> Answers:
        run = Offline(Settings(home_adcodes=HOME_ADCODES), catalogue)
        run.keep_answers = True
        for record in timeline.events:
            run.feed(run.batches([record]))
        run.close(END if timeline.until is None else timeline.until)
        return run.answers

    if len(timeline.events) <= 12:
        assert failures(timeline, one_by_one, CATALOGUE) == []


def test_the_default_parcel_is_quiet() -> None:
    """What a case does not say makes no rule of the specification speak, but for a sender seen for the first time."""
    known = reference.known(CATALOGUE)
    first = timelines(CATALOGUE.by_id["sender.first_seen"])[0]
    quiet = replace(first, events=first.events[:1], until=FIRST_MS)

    def saying(answer: bool | None, timeline: Timeline) -> set[str]:
        said = answers(timeline, CATALOGUE)[quiet.events[0].key]
        return {rule for rule in known if said[rule] is answer}

    assert saying(True, quiet) == {"sender.first_seen"} & known
    # Whether it will ever move cannot be said yet, nor anything of the licence of an outlet that nobody knows.
    waiting = {"journey.ghost"} & known
    assert saying(None, quiet) == waiting | {"licence.invalid", "licence.out_of_area"} & known
    register = timelines(CATALOGUE.by_id["licence.invalid"])[1].events[:2]
    assert saying(None, replace(quiet, events=(*register, *quiet.events))) == waiting
    assert waiting <= saying(True, replace(quiet, until=None))
