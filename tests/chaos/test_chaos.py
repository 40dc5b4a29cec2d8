"""A short seed of the chaos harness, and that the harness itself can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run
from tests.chaos.schedule import KINDS, schedule
from tests.chaos.traffic import lines

SEED = 1884  # of those with six kinds in six faults, one that is over soon


@pytest.mark.chaos
@pytest.mark.broker
def test_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    said: list[str] = []
    held, line = run(Plan(SEED, faults=6), tmp_path, said.append)
    assert held, "\n".join([*said, line, f"logs: {tmp_path}"])


def test_a_seed_is_one_schedule() -> None:
    assert schedule(3, faults=40, slots=3) == schedule(3, faults=40, slots=3)
    assert schedule(3, faults=40, slots=3) != schedule(4, faults=40, slots=3)


def test_a_seed_is_one_stream() -> None:
    assert lines(3, 2_000) == lines(3, 2_000)
    assert {line.readable for line in lines(3, 2_000)} == {True, False}


def test_every_kind_of_fault_is_played() -> None:
    assert {fault.kind for seed in range(5) for fault in schedule(seed, faults=40, slots=3)} == set(KINDS)
