"""Every case of every rule, played through the real functions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules import load_catalogue
from rules.cases import FIRST_MS, Timeline, failures, timelines
from streams.cases import answers

CATALOGUE = load_catalogue()
CASES = [timeline for rule in CATALOGUE.rules for timeline in timelines(rule)]


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_case(timeline: Timeline) -> None:
    assert failures(timeline, answers, CATALOGUE) == []


@pytest.mark.parametrize("timeline", CASES, ids=lambda timeline: f"{timeline.rule}: {timeline.name}")
def test_the_order_of_arrival_does_not_matter(timeline: Timeline) -> None:
    backwards = replace(timeline, events=timeline.events[::-1])
    assert failures(backwards, answers, CATALOGUE) == []


def test_the_default_parcel_is_quiet() -> None:
    """What a case does not say must not make a rule speak, but for a sender seen for the first time."""
    first = timelines(CATALOGUE.by_id["sender.first_seen"])[0]
    quiet = replace(first, events=first.events[:1], until=FIRST_MS)
    said = answers(quiet, CATALOGUE)[quiet.events[0].parcel]
    assert {rule_id for rule_id, answer in said.items() if answer} == {"sender.first_seen"}
    # Of what was not scanned, weighed or opened these cannot say.
    waiting = {"journey.ghost", "journey.weight_changed", "journey.open_box_formality"}
    assert {rule_id for rule_id, answer in said.items() if answer is None} == waiting
    assert answers(replace(quiet, until=None), CATALOGUE)[quiet.events[0].parcel]["journey.ghost"]
