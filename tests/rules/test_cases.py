"""Every case of every rule, played through the real functions."""

from __future__ import annotations

import pytest

from rules import load_catalogue
from rules.cases import Timeline, failures, timelines
from streams.offline import answers

CATALOGUE = load_catalogue()
CASES = [timeline for rule in CATALOGUE.rules for timeline in timelines(rule)]


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_case(timeline: Timeline) -> None:
    assert failures(timeline, answers, CATALOGUE) == []


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_the_order_of_arrival_does_not_matter(timeline: Timeline) -> None:
    backwards = Timeline(timeline.rule, timeline.name, timeline.events[::-1], timeline.expected)
    assert failures(backwards, answers, CATALOGUE) == []


def test_the_default_parcel_is_quiet() -> None:
    """What a case does not say must not make a rule speak, but for a sender seen for the first time."""
    rule = CATALOGUE.by_id["sender.first_seen"]
    first = timelines(rule)[0].events[0]
    said = answers([first], CATALOGUE)[first.parcel]
    assert {rule_id for rule_id, answer in said.items() if answer is not False} == {"sender.first_seen"}
