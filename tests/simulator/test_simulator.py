"""Some seeds, that a seed is one sequence of steps, and that what is wrong on purpose is found."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repetition import LONG
from tests.simulator.mutants import MUTANTS, Mutant, planted
from tests.simulator.run import play

SEEDS = range(2_000 if LONG else 40)  # counting
SEEDS_JUDGING = range(200 if LONG else 5)
SEEDS_PLANTED = 100  # at most, for one mutant


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Workers that are killed by the hundred have much to say."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def test_whatever_fails_nothing_is_lost_or_counted_twice() -> None:
    outcomes = [play(seed) for seed in SEEDS]
    assert [(outcome.seed, outcome.wrong) for outcome in outcomes if outcome.wrong] == []
    assert sum(outcome.faults.total() for outcome in outcomes) > 40, "seeds in which nothing goes wrong show nothing"


def test_alerts_are_those_of_an_offline_run() -> None:
    outcomes = [play(seed, judging=True) for seed in SEEDS_JUDGING]
    assert [(outcome.seed, outcome.wrong) for outcome in outcomes if outcome.wrong] == []


def test_a_seed_is_one_sequence_of_steps() -> None:
    """Also where sets have another order, as they do in another process."""
    seed = 1
    again = subprocess.run(
        [sys.executable, "-m", "tests.simulator", "--seed", str(seed), "--seeds", "1", "--trace"],
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "1", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.splitlines()[:-1] == play(seed).trace


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.what for mutant in MUTANTS])
def test_what_is_wrong_on_purpose_is_found(mutant: Mutant) -> None:
    with planted(mutant):
        seeds = range(mutant.first, mutant.first + SEEDS_PLANTED)
        assert any(play(seed, judging=mutant.judging).wrong for seed in seeds)


def test_a_mutant_whose_place_is_gone_is_an_error() -> None:
    gone = Mutant("gone", MUTANTS[0].module, MUTANTS[0].owner, "commit", "no such code", "")
    with pytest.raises(LookupError), planted(gone):
        pass
