"""Plays the cases of rules through the real functions, and keeps what was seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rules import Catalogue, Rule
from rules.engine.cases import HOME_ADCODES, Timeline, timelines
from streams.files.driver import settled
from streams.flow.fold.journey import END
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Answered:
    """One parcel of a case. `judged` is False if the pipeline gave no answer at all."""

    parcel: str
    expected: bool | None
    got: bool | None
    judged: bool
    evidence: dict[str, Any]
    """The columns that the rule shows or reads, its evidence first."""

    @property
    def passed(self) -> bool:
        """The answer is the one expected."""
        return self.judged and self.got is self.expected


@dataclass(frozen=True, slots=True)
class Played:
    """One case, with its parcels in order of appearance."""

    rule: str
    case: str
    parcels: tuple[Answered, ...]

    @property
    def passed(self) -> bool:
        """All answers are those expected."""
        return all(parcel.passed for parcel in self.parcels)


def play(catalogue: Catalogue, settings: Settings | None = None) -> Iterator[Played]:
    """Every case of every rule of the catalogue, one after the other; `count` says how many.

    settings: None = the defaults with the home of the cases, whatever the environment says, since that is what cases
    are written for.
    """
    chosen = _settings() if settings is None else settings
    for rule, expression in zip(catalogue.rules, catalogue.expressions, strict=True):
        columns = list(dict.fromkeys([*rule.evidence, *sorted(expression.meta.root_names())]))
        alone = catalogue.alone(rule.id)  # the others would only cost time
        for timeline in timelines(rule):
            yield _play(rule, timeline, columns, alone, chosen)


def count(catalogue: Catalogue) -> int:
    """How many cases there are."""
    return sum(len(rule.cases) for rule in catalogue.rules)


def _settings() -> Settings:
    return Settings.model_construct(home_adcodes=HOME_ADCODES)


def _play(rule: Rule, timeline: Timeline, columns: list[str], catalogue: Catalogue, settings: Settings) -> Played:
    run = settled(timeline.events, catalogue, settings, END if timeline.until is None else timeline.until)
    parcels = []
    for parcel, wanted in timeline.expected.items():
        answers, seen = run.answers.get(parcel, {}), run.evidence(parcel)
        evidence = {name: seen[name] for name in columns if name in seen}
        parcels.append(Answered(parcel, wanted, answers.get(rule.id), rule.id in answers, evidence))
    return Played(rule.id, timeline.name, tuple(parcels))
