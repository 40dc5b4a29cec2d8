"""What went wrong where a case is played, by whatever functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rules import Catalogue
from rules.engine.cases import HOME_ADCODES, Timeline
from streams.files.driver import Answers, settled
from streams.flow.fold.journey import END
from streams.settings import Settings

Judge = Callable[[Timeline, Catalogue], Mapping[str, Mapping[str, bool | None]]]
"""Final answers of every rule, by parcel (CARRIER:NUMBER), once all events are known."""

_WORDS = {True: "yes", False: "no", None: "unknown"}


def failures(timeline: Timeline, judge: Judge, catalogue: Catalogue) -> list[str]:
    """One line per parcel whose answer is not the one expected, none if all is well."""
    answers = judge(timeline, catalogue)
    missing = [parcel for parcel in timeline.expected if timeline.rule not in answers.get(parcel, {})]
    wrong = [f"{parcel}: not judged" for parcel in missing]
    for parcel, expected in timeline.expected.items():
        if parcel not in missing and (given := answers[parcel][timeline.rule]) is not expected:
            wrong.append(f"{parcel}: {_WORDS[given]}, expected {_WORDS[expected]}")
    return wrong


def answers(timeline: Timeline, catalogue: Catalogue) -> Answers:
    """What each rule of the catalogue says in the end about each parcel of a case."""
    until = END if timeline.until is None else timeline.until
    return settled(timeline.events, catalogue, Settings(home_adcodes=HOME_ADCODES), until).answers
