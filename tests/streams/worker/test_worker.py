"""Epochs: what is committed together is whole, and what was cut short is not committed at all."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.records import Alert
from streams.files.driver import Offline
from streams.settings import Settings
from streams.worker import epoch
from streams.worker.commit import AbortedError
from streams.worker.epoch import Epoch, grown
from tests.runs import catalogue, difference, open_alerts, run
from tests.waiting import PATIENCE_S
from tests.workbench import Workbench, current, newest_open, workbench
from tests.worlds import DAY, START, Record, events_of, world


def batches_of(records: list[Record], partitions: int = 4) -> Offline:
    return Offline(Settings(), catalogue(), partitions=partitions)


def published(bench: Workbench) -> dict[str, Alert]:
    """Those that a bench has published."""
    return newest_open(bench.effects.published)


async def until(seen: Callable[[], bool]) -> None:
    """Wait for what other tasks do."""
    async with asyncio.timeout(PATIENCE_S):
        while not seen():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("size", [13, 10_000])
def test_a_worker_alone_comes_to_the_same_alerts(tmp_path: Path, size: int) -> None:
    records = world(2, 60)
    split = batches_of(records)
    with workbench(tmp_path) as bench:

        async def scenario() -> None:
            for first in range(0, len(records), size):
                await bench.settle(split.batches(records[first : first + size]))
            await bench.let_pass(START + 10_000 * DAY)
            await bench.commit()

        asyncio.run(scenario())
        assert not difference(published(bench), open_alerts(run(records)))


def test_an_epoch_holds_the_offsets_of_what_it_read(tmp_path: Path) -> None:
    records = world(2, 30)
    with workbench(tmp_path) as bench:
        batches = batches_of(records).batches(events_of(records))

        async def scenario() -> None:
            await bench.parcels(batches[:2])
            await bench.parcels(batches[2:])
            await bench.commit()
            await bench.commit()

        asyncio.run(scenario())
        assert len(bench.effects.epochs) == 1
        assert bench.effects.offsets == {(each.topic, each.partition): len(each.values) for each in batches}


def test_batches_of_an_earlier_assignment_are_left_out(tmp_path: Path) -> None:
    """They will be read again, here or elsewhere, under the assignment that holds now."""
    records = world(2, 30)
    with workbench(tmp_path) as bench:
        batches = current(batches_of(records).batches(records))
        bench.worker._generation = 2

        async def scenario() -> None:
            async with bench.worker.step(batches) as step:
                assert step.fresh == []
                step.judged(await bench.worker.run(bench.worker.parcels.step, step.fresh, START))
            await bench.commit()

        asyncio.run(scenario())
        assert bench.effects.epochs == []


def test_an_epoch_is_closed_when_a_step_leaves_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it might be open. It waits for input that waits already, and for the step that runs."""
    records = world(2, 30)
    with workbench(tmp_path, epoch_ms_max=10_000) as bench:
        first, second, third, last = (batches_of(records).batches(records[n::4]) for n in range(4))
        consumer, epochs, step = bench.worker._consumer(), bench.effects.epochs, bench.worker.parcels.step
        begun, go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(bench.worker, "_consumer", lambda: consumer)

        def held(*args: object) -> object:
            begun.set()
            go_on.wait(PATIENCE_S)
            return step(*args)  # type: ignore[arg-type]

        async def scenario() -> None:
            commits = asyncio.create_task(bench.worker.commit_loop())
            await bench.parcels(first)
            await until(lambda: len(epochs) == 1)
            monkeypatch.setattr(consumer, "idle", False)
            await bench.parcels(second)
            monkeypatch.setattr(bench.worker.parcels, "step", held)
            running = asyncio.create_task(bench.parcels(third))
            await asyncio.to_thread(begun.wait, PATIENCE_S)
            monkeypatch.setattr(consumer, "idle", True)
            assert len(epochs) == 1
            go_on.set()
            await running
            await until(lambda: len(epochs) == 2)
            assert epochs[1].rows == sum(len(batch.values) for batch in (*second, *third))
            async with bench.worker.step([]):  # one that adds nothing
                pass
            await bench.parcels(last)
            await until(lambda: len(epochs) == 3)
            commits.cancel()

        asyncio.run(scenario())


def test_an_epoch_under_load_is_closed_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 7.0
    monkeypatch.setattr(epoch, "time", SimpleNamespace(monotonic=lambda: now))

    async def scenario() -> None:
        nonlocal now
        opened, stepped = Epoch(opened_at=now), asyncio.Event()
        closes = asyncio.create_task(grown(lambda: opened, stepped, lambda: True, 100.0))
        for later in (8.0, 106.0):
            now = later
            stepped.set()
            await until(lambda: not stepped.is_set())
            assert not closes.done()
        now = 107.0
        stepped.set()
        await asyncio.wait_for(closes, PATIENCE_S)

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["fails", "cancelled"])
def test_a_step_cut_short_is_never_committed(tmp_path: Path, how: str) -> None:
    """Its state has changed, its messages are lost. Committed, the restart would take the events for known."""
    records = world(2, 30)
    batches = batches_of(records).batches(records)
    begun, go_on = threading.Event(), threading.Event()

    with workbench(tmp_path) as bench:
        step = bench.worker.parcels.step

        def cut_short(*args: object) -> object:
            done = step(*args)  # type: ignore[arg-type]
            begun.set()
            go_on.wait(PATIENCE_S)
            if how == "fails":
                raise MemoryError
            return done

        async def scenario() -> None:
            await bench.parcels(batches[:1])  # a whole one in the same epoch, which alone could be committed
            bench.worker.parcels.step = cut_short  # type: ignore[assignment, method-assign]
            task = asyncio.create_task(bench.parcels(batches[1:]))
            await asyncio.to_thread(begun.wait, PATIENCE_S)
            if how == "cancelled":
                task.cancel()
            asyncio.get_running_loop().call_later(0.2, go_on.set)
            with pytest.raises((MemoryError, asyncio.CancelledError)):
                await task
            await bench.commit()
            await bench.worker._before_revoke(lost=False)  # as on the way out of a worker that stops

        asyncio.run(scenario())
        assert bench.effects.epochs == []
        assert all(store.partitions == frozenset() for store in bench.worker.stores.values())


@pytest.mark.parametrize("lost", [True, False])
def test_partitions_lost_take_their_epoch_with_them(tmp_path: Path, lost: bool) -> None:
    records = world(2, 30)
    with workbench(tmp_path) as bench:
        batches = batches_of(records).batches(records)

        async def scenario() -> None:
            await bench.parcels(batches)
            await bench.worker._before_revoke(lost)
            assert not bench.worker.ready
            await bench.commit()

        asyncio.run(scenario())
        assert len(bench.effects.epochs) == (0 if lost else 1)


def test_an_abort_does_not_leave_agents_waiting_for_commits(tmp_path: Path) -> None:
    """Whatever a full epoch held is read again, once what waits behind it has been taken and dropped."""
    records = world(2, 60)
    with workbench(tmp_path, batch_rows_max=5) as bench:
        batches = batches_of(records).batches(records)
        full = threading.Event()

        def refused(epoch: object, deltas: object, group_metadata: object, topic_ids: object) -> None:
            full.wait(PATIENCE_S)
            raise AbortedError("refused")

        async def scenario() -> None:
            await bench.parcels(batches[:1])
            bench.effects.commit = refused  # type: ignore[method-assign, assignment]
            failing = asyncio.create_task(bench.commit())
            while bench.worker._epoch.rows:
                await asyncio.sleep(0.001)
            await bench.parcels(batches)  # the epoch that follows is full before it is known that the first has failed
            full.set()
            with pytest.raises(AbortedError):
                await failing
            await asyncio.wait_for(bench.parcels(batches), PATIENCE_S)

        asyncio.run(scenario())


def test_counters_are_there_before_anything_happens(tmp_path: Path) -> None:
    """A rate over a counter that appears with its first event would miss that event."""
    with workbench(tmp_path) as bench:
        page = bench.worker.metrics.render().decode()
    counters = set(re.findall(r"# TYPE (\w+_total) counter", page))
    shown = set(re.findall(r"^(\w+_total)[{ ]", page, re.MULTILINE))
    assert counters == shown
    rules = bench.worker.parcels.catalogue.rules
    assert page.count("waybill_rule_answers_total{") == 3 * len(rules)
    assert page.count("waybill_rule_held{") == len(rules)
    assert 'waybill_build_info{python="' in page
    assert re.search(r"^process_start_time_seconds [1-9]", page, re.MULTILINE)
    assert "process_resident_memory_bytes " in page


def test_whoever_is_ready_says_at_once_how_much_is_of_an_earlier_format(tmp_path: Path) -> None:
    """Who upgrades waits for it to be 0: until then it must not be missing."""
    with workbench(tmp_path) as bench:
        (family,) = bench.worker.metrics.older.collect()
        assert {sample.labels["store"] for sample in family.samples} == {"parcels", "histories"}
