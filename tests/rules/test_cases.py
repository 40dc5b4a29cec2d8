"""Every case of every rule, played through the real functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rules import Catalogue, Rule, load_catalogue
from rules.engine.cases import FIRST_MS, HOME_ADCODES, Timeline, timelines
from schemas.reference import ReferenceRecord
from streams.files.driver import Answers, Offline
from streams.flow.fold.journey import END
from streams.settings import Settings
from tests import reference
from tests.rules.playing import Judge, answers, failures

CATALOGUE = load_catalogue()
EVERY_RULE = pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)


def wrong(
    rule: Rule, catalogue: Catalogue, judge: Judge, change: Callable[[Timeline], Timeline]
) -> dict[str, list[str]]:
    """What went wrong, by case of this rule; a case is changed before it is played."""
    told = {case.name: failures(change(case), judge, catalogue) for case in timelines(rule)}
    assert told
    return {name: lines for name, lines in told.items() if lines}


@EVERY_RULE
def test_cases(rule: Rule) -> None:
    """Beside all other rules, as a worker judges."""
    assert wrong(rule, CATALOGUE, answers, lambda case: case) == {}


@EVERY_RULE
def test_the_order_of_arrival_does_not_matter(rule: Rule) -> None:
    """But for reference records among themselves, of which the newest holds."""

    def backwards(case: Timeline) -> Timeline:
        known = iter([event for event in case.events if isinstance(event, ReferenceRecord)])
        order = case.events[::-1]
        return replace(
            case, events=tuple(next(known) if isinstance(event, ReferenceRecord) else event for event in order)
        )

    assert wrong(rule, CATALOGUE.alone(rule.id), answers, backwards) == {}


@EVERY_RULE
def test_one_by_one_it_comes_to_the_same(rule: Rule) -> None:
    """The first events of a long case come at once."""

    def one_by_one(timeline: Timeline, catalogue: Catalogue) -> Answers:
        run = Offline(Settings(home_adcodes=HOME_ADCODES), catalogue)
        run.keep_answers = True
        first, rest = timeline.events[:-12], timeline.events[-12:]
        for records in (first, *([record] for record in rest)):
            run.feed(run.batches(records))
        run.close(END if timeline.until is None else timeline.until)
        return run.answers

    assert wrong(rule, CATALOGUE.alone(rule.id), one_by_one, lambda case: case) == {}


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
