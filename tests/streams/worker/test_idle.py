"""Time that passes in a worker while nothing comes: idle partitions, epochs of no records, and what is found again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import Scan
from streams.files.driver import Offline
from streams.kafka.transport.grouping import Partition
from streams.settings import Settings
from streams.worker import idle as passing
from streams.worker.idle import pass_time
from tests.runs import catalogue
from tests.schemas.samples import SCAN
from tests.waiting import PATIENCE_S
from tests.workbench import Workbench, current, workbench
from tests.worlds import HOUR, START

PARTITIONS = range(4)
LOST = msgspec.convert({**SCAN, "waybill_no": "W", "scanned_at": START}, Scan)
SPLIT = Offline(Settings(), catalogue(), partitions=4)
((BATCH),) = SPLIT.batches([LOST])
NO_LAG = {(topic, number): 0 for topic in INPUT_TOPICS for number in PARTITIONS}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "LOOK_EVERY_S", 0.01)


def alerts(bench: Workbench) -> list[str]:
    """Rules of each alert published."""
    found = [value for topic, _, _, value in bench.effects.published if topic == topics.ALERTS]
    return [" ".join(reason["rule"] for reason in msgspec.json.decode(value)["reasons"]) for value in found]


class Topics:
    """Input topics in which so many records wait; a partition that is not named has not been heard of."""

    def __init__(self, lags: Mapping[Partition, int]) -> None:
        self.lags = lags

    async def ends(self, places: Collection[Partition]) -> dict[Partition, int]:
        return {place: 100 for place in places if place in self.lags}

    async def positions(self, read: Mapping[Partition, int]) -> dict[Partition, int]:
        return {place: 100 - lag for place, lag in self.lags.items()}


async def while_time_passes(bench: Workbench, inputs: Topics, done: Callable[[], bool], seconds: float) -> bool:
    """Commit what comes of time that passes, until `done` or for so long."""
    task = asyncio.create_task(pass_time(bench.worker, inputs.ends, inputs.positions))
    deadline = time.monotonic() + seconds
    try:
        while not done() and time.monotonic() < deadline:
            assert not task.done() or task.result() is None
            await bench.commit()
            await asyncio.sleep(0.01)
        return done()
    finally:
        task.cancel()


def silent(bench: Workbench, seconds: float) -> None:
    """Let nothing have come for so long."""
    bench.worker.arrived_at = dict.fromkeys(PARTITIONS, time.monotonic() - seconds)


@pytest.mark.parametrize(
    ("silent_s", "lags", "decides"),
    [
        (11, NO_LAG, True),
        (9, NO_LAG, False),
        (11, {**NO_LAG, (topics.SHIPMENTS, BATCH.partition): 1}, False),
        (11, {**NO_LAG, (topics.SHIPMENTS, (BATCH.partition + 1) % 4): 1}, True),
        (11, {}, False),  # nobody knows yet
    ],
    ids=["idle", "not for long enough", "records wait", "records wait elsewhere", "lag unknown"],
)
def test_in_an_idle_partition_time_passes_by_the_clock(
    tmp_path: Path, silent_s: float, lags: Mapping[tuple[str, int], int], decides: bool
) -> None:
    with workbench(tmp_path, idle_partition_s=10) as bench:

        async def scenario() -> bool:
            await bench.settle([BATCH])
            assert alerts(bench) == []
            silent(bench, silent_s)
            return await while_time_passes(
                bench, Topics(lags), lambda: bool(alerts(bench)), PATIENCE_S if decides else 0.3
            )

        assert asyncio.run(scenario()) is decides
        assert alerts(bench) == ["journey.departed_uninspected journey.unregistered"] * decides


def test_an_epoch_of_time_alone_is_committed_with_an_offset(tmp_path: Path) -> None:
    """Without one nobody would ask whether the worker still owns the partitions."""
    with workbench(tmp_path) as bench:

        async def scenario() -> None:
            await bench.settle([BATCH])
            await bench.let_pass(START + 48 * HOUR)
            await bench.commit()
            await bench.let_pass(START + 72 * HOUR)
            await bench.commit()

        asyncio.run(scenario())
        read, passed = bench.effects.epochs
        assert read.offsets == {(topics.SCANS, BATCH.partition): 1}
        assert passed.offsets == read.offsets
        assert (len(alerts(bench)), passed.rows) == (1, 1)


def test_one_that_has_read_nothing_yet_goes_by_where_it_began(tmp_path: Path) -> None:
    with workbench(tmp_path) as bench:
        asyncio.run(bench.settle([BATCH]))
    with workbench(tmp_path) as bench:

        async def scenario() -> None:
            bench.worker.parcels.timers.open(bench.worker._restore_timers(set(PARTITIONS)))
            await bench.let_pass(START + 48 * HOUR)
            await bench.commit()

        asyncio.run(scenario())
        (epoch,) = bench.effects.epochs
        assert epoch.offsets == {(topics.SCANS, 0): 7}
        assert len(alerts(bench)) == 1


def test_a_worker_without_partitions_lets_nothing_pass(tmp_path: Path) -> None:
    with workbench(tmp_path, idle_partition_s=10) as bench:

        async def scenario() -> None:
            await bench.parcels([BATCH])
            await bench.worker._before_revoke(lost=True)
            silent(bench, 11)
            assert not await while_time_passes(bench, Topics(NO_LAG), lambda: bool(alerts(bench)), 0.3)

        asyncio.run(scenario())
        assert bench.effects.epochs == []
        assert len(bench.worker.parcels.timers) == 0


@pytest.mark.parametrize(("topic", "idle"), [(topics.SCANS, False), (topics.OBSERVATIONS, True)])
def test_an_event_keeps_its_partition_from_being_idle(tmp_path: Path, topic: str, idle: bool) -> None:
    """What histories are told comes from parcels of any partition."""
    with workbench(tmp_path, idle_partition_s=10) as bench:

        async def scenario() -> None:
            await bench.settle([BATCH])
            silent(bench, 11)
            async with bench.worker.step(current([replace(BATCH, topic=topic)])):
                pass
            found = await while_time_passes(
                bench, Topics(NO_LAG), lambda: bool(alerts(bench)), PATIENCE_S if idle else 0.3
            )
            assert found is idle

        asyncio.run(scenario())
