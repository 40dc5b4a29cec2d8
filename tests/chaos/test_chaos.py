"""Short seeds of the chaos harness, and that a seed says all that is played."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.topics import REFERENCE
from streams.files.reference import known
from streams.flow.decode import Limits
from streams.flow.describe.describer import Describer
from streams.flow.front.reader import Front
from streams.flow.reference.reading import Reader
from streams.settings import Settings
from tests.chaos.run import EVENTS_PER_S as EVENTS_PER_S_LONG
from tests.chaos.run import Plan, run
from tests.chaos.schedule import KINDS, schedule
from tests.chaos.traffic import lines, write
from tests.repetition import LONG, seeds

EVENTS_PER_S = EVENTS_PER_S_LONG if LONG else 300
SEEDS = {"classic": 2812, "consumer": 1634}  # of those with six kinds in six faults, two that are over soon


@pytest.mark.chaos
@pytest.mark.broker
@pytest.mark.parametrize("protocol", ["classic", pytest.param("consumer", marks=pytest.mark.long)])
def test_nothing_is_lost_or_doubled(tmp_path: Path, protocol: str) -> None:
    said: list[str] = []
    held, line = run(
        Plan(SEEDS[protocol], faults=6, protocol=protocol, events_per_s=EVENTS_PER_S), tmp_path, said.append
    )
    assert held, "\n".join([*said, line, f"logs: {tmp_path}"])


@pytest.mark.chaos
@pytest.mark.broker
@pytest.mark.long  # in the gate, tests/broker kills workers while a backlog waits
def test_kills_at_full_load(tmp_path: Path) -> None:
    said: list[str] = []
    held, line = run(Plan(5, kills=3, events=40_000), tmp_path, said.append)
    assert held, "\n".join([*said, line, f"logs: {tmp_path}"])
    assert sum("are done" in each for each in said) == 3


def test_a_seed_is_one_schedule() -> None:
    assert schedule(3, faults=40, slots=3) == schedule(3, faults=40, slots=3)
    assert schedule(3, faults=40, slots=3) != schedule(4, faults=40, slots=3)


def test_a_seed_is_one_stream() -> None:
    once = lines(3, 1_000)
    assert once == lines(3, 1_000)
    assert {line.readable for line in once} == {True, False}


def test_every_kind_of_fault_is_played() -> None:
    assert {fault.kind for seed in range(5) for fault in schedule(seed, faults=40, slots=3)} == set(KINDS)


@pytest.mark.parametrize("seed", seeds(1))
def test_what_is_published_of_outlets_and_couriers_is_what_the_file_says(seed: int, tmp_path: Path) -> None:
    """The file has no deletions; and whoever reads the topic builds what is known many times on the way."""
    played = lines(seed, 3_000)
    said = [line for line in played if line.topic == REFERENCE]
    assert {line.value is None for line in said} == {line.readable for line in said} == {True, False}
    settings = Settings()
    reader = Reader(Front(Describer.of(settings, ()), Limits(bytes_max=settings.event_bytes_max)))
    for offset, line in enumerate(said):
        assert bool(reader.add([line.value], [offset], [line.key])) != line.readable
        if offset % 50 == 0:
            reader.build()
    write(played, tmp_path / "events")
    assert plain(reader.build()) == plain(known(tmp_path / "events" / "reference.ndjson", settings).reference)


def plain(value: Any) -> Any:
    """A dataclass of arrays as something that can be compared."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value.tolist() if isinstance(value, np.ndarray) else value
