"""One run: both streams played, and everything measured."""

from __future__ import annotations

from typing import Final

import msgspec
import polars as pl

from benchmarks.detection.groups import GROUPS
from benchmarks.detection.measure import (
    Hits,
    Ordinary,
    Precision,
    Recall,
    group_recalls,
    hits,
    ordinary,
    precisions,
    recalls,
)
from benchmarks.detection.play import Played, Progress, play, shared
from benchmarks.detection.stations import Answers, answer
from benchmarks.detection.world import SETTINGS, planted, world
from rules import Catalogue, load_catalogue
from schemas.terms import Category

_RING: Final = "ants"  # a documented group among the patterns of the generator
CATEGORIES: Final[tuple[Category, ...]] = ("suspicion", "compliance")


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """What one stream held. guilty: parcels of cases by category."""

    parcels: int
    events: int
    since: int
    cases: int
    guilty: dict[str, int]


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run gave. All but `tune` and the limits is of the later stream."""

    seed: int
    catalogue: str
    tune: Stream
    test: Stream
    shared: dict[str, int]
    rules: list[Recall]
    groups: list[Recall]
    precision: list[Precision]
    evasions: list[Hits]
    lookalikes: list[Hits]
    ordinary: Ordinary
    answers: Answers

    @property
    def short(self) -> list[str]:
        """Rules and groups whose recall is below the goal, or that have no case."""
        return [each.name for each in (*self.rules, *self.groups) if (each.recall.share or 0.0) < GOAL]


GOAL: Final = 0.95


def detect(
    parcels: int,
    seed: int,
    cases: int | None = None,
    progress: Progress = lambda *_: None,
    catalogue: Catalogue | None = None,
) -> Detection:
    """Play a world and measure what rules find, by default those shipped. Raises ValueError for an impossible world."""
    catalogue = catalogue or load_catalogue()
    made = world(parcels, seed, cases)
    tune = play(made.tune, catalogue, SETTINGS, "tune", progress)
    test = play(made.test, catalogue, SETTINGS, "test", progress)
    truth = planted(made.test, catalogue)
    guilty = dict(truth.filter(pl.col("guilty").is_not_null()).select("parcel", "guilty").iter_rows())
    return Detection(
        seed=seed,
        catalogue=catalogue.fingerprint,
        tune=_stream(tune, planted(made.tune, catalogue), made.tune.plan.start_at),
        test=_stream(test, truth, made.test.plan.start_at),
        shared=shared(tune, test),
        rules=recalls(truth, test, catalogue),
        groups=group_recalls(truth, test, (_RING, *GROUPS), catalogue),
        precision=[each for category in CATEGORIES for each in precisions(test, tune, guilty, catalogue, category)],
        evasions=hits(truth, test, "evasion"),
        lookalikes=hits(truth, test, "lookalike"),
        ordinary=ordinary(truth, test),
        answers=answer(test, _right(truth, catalogue), guilty, seed),
    )


def _stream(played: Played, truth: pl.DataFrame, since: int) -> Stream:
    guilty = truth["guilty"].drop_nulls()
    return Stream(
        parcels=played.parcels, events=played.events, since=since, cases=truth["case"].n_unique(),
        guilty={category: int((guilty == category).sum()) for category in CATEGORIES},
    )  # fmt: skip


def _right(truth: pl.DataFrame, catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """By guilty parcel, the rules that are right about it; about a case that evades, all of its category are."""
    of = {kind: frozenset(rule.id for rule in catalogue.rules if rule.category == kind) for kind in CATEGORIES}
    return {
        row["parcel"]: of[row["guilty"]] if row["kind"] == "evasion" else frozenset(row["rules"])
        for row in truth.filter(pl.col("guilty").is_not_null()).iter_rows(named=True)
    }
