"""The life of a worker: only the ways that are drawn exist."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from streams.worker.phase import ALLOWED, WAITS_FOR, Life, Phase, PhaseError

LIVES: tuple[Sequence[Phase], ...] = (
    (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING, Phase.REVOKING, Phase.JOINING),
    (Phase.SPARE, Phase.REVOKING, Phase.JOINING, Phase.RESTORING, Phase.REVOKING),
    (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING, Phase.ABORTED, Phase.JOINING, Phase.RESTORING),
    (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING, Phase.REVOKING, Phase.ABORTED, Phase.JOINING),
)


@pytest.mark.parametrize("phases", LIVES)
def test_a_life_is_told_phase_by_phase(phases: Sequence[Phase]) -> None:
    entered: list[Phase] = []
    life = Life(entered.append)
    for phase in phases:
        life.to(phase)
        life.to(phase)  # to stay is no step
    assert entered == list(phases)


@pytest.mark.parametrize("start", Phase)
@pytest.mark.parametrize("end", Phase)
def test_no_other_way_exists(start: Phase, end: Phase) -> None:
    life = Life(lambda phase: None)
    life.phase = start
    if end is start or end is Phase.BROKEN or end in ALLOWED[start] or start is Phase.BROKEN:
        life.to(end)
        assert life.phase is (Phase.BROKEN if start is Phase.BROKEN else end)
    else:
        with pytest.raises(PhaseError, match=f"from {start} to {end}"):
            life.to(end)


def test_every_phase_can_be_reached_and_left() -> None:
    reached, waiting = {Phase.JOINING}, [Phase.JOINING]
    while waiting:
        news = ALLOWED[waiting.pop()] - reached
        reached |= news
        waiting += news
    assert reached == {*Phase} - {Phase.BROKEN}
    assert all(ALLOWED[phase] for phase in reached)


def test_only_a_running_worker_steps_and_says_that_it_waits_for_nothing() -> None:
    life = Life(lambda phase: None)
    for phase in Phase:
        life.phase = phase
        assert life.ready == (phase is Phase.RUNNING) == (not life.waits_for)
        assert life.may_commit <= (phase not in (Phase.ABORTED, Phase.BROKEN))
    assert WAITS_FOR.keys() == {*Phase}


def test_after_an_abort_nothing_is_committed_before_the_partitions_are_opened_anew() -> None:
    life = Life(lambda phase: None)
    for phase in (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING, Phase.ABORTED):
        life.to(phase)
    for before, after in pairwise((Phase.ABORTED, Phase.JOINING, Phase.RESTORING, Phase.CATCHING_UP)):
        assert life.phase is before
        assert not life.may_commit
        life.to(after)
