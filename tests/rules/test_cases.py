"""Every case of every rule, played through the real functions."""

from __future__ import annotations

import pytest

from rules import Catalogue, load_catalogue
from rules.cases import Fact, Timeline, failures, timelines
from schemas.records import ReferenceRecord
from streams.offline import Answers, Offline, answers
from streams.settings import Settings

CATALOGUE = load_catalogue()
CASES = [timeline for rule in CATALOGUE.rules for timeline in timelines(rule)]


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_case(timeline: Timeline) -> None:
    assert failures(timeline, answers, CATALOGUE) == []


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_the_order_of_arrival_does_not_matter(timeline: Timeline) -> None:
    """But for reference records among themselves, of which the newest holds."""
    order = list(timeline.events[::-1])
    known = iter([event for event in timeline.events if isinstance(event, ReferenceRecord)])
    events = tuple(next(known) if isinstance(event, ReferenceRecord) else event for event in order)
    backwards = Timeline(timeline.rule, timeline.name, events, timeline.expected)
    assert failures(backwards, answers, CATALOGUE) == []


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_one_by_one_it_comes_to_the_same(timeline: Timeline) -> None:
    def one_by_one(records: list[Fact], catalogue: Catalogue) -> Answers:
        run = Offline(Settings(), catalogue)
        run.keep_answers = True
        for record in records:
            run.feed(run.batches([record]))
        return run.answers

    if len(timeline.events) <= 12:
        assert failures(timeline, one_by_one, CATALOGUE) == []


def test_the_default_parcel_is_quiet() -> None:
    """What a case does not say must not make a rule speak, but for a sender seen for the first time."""
    rule = CATALOGUE.by_id["sender.first_seen"]
    first = timelines(rule)[0].events[0]
    said = answers([first], CATALOGUE)[first.key]
    assert {rule_id for rule_id, answer in said.items() if answer} == {"sender.first_seen"}
    # Of its outlet's licence nobody has said anything.
    assert {rule_id.partition(".")[0] for rule_id, answer in said.items() if answer is None} == {"licence"}
    known = timelines(CATALOGUE.by_id["licence.invalid"])[1].events[:2]
    assert [
        rule_id for rule_id, answer in answers([*known, first], CATALOGUE)[first.key].items() if answer is None
    ] == []
