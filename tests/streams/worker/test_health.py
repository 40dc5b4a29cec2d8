"""The worker's pages over real HTTP, with a worker that is made up."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import aiohttp
import pytest

from streams.metrics import Metrics
from streams.worker.health import Health, HealthError, listen
from streams.worker.host import Host
from streams.worker.phase import Phase
from streams.worker.watchdog import StuckError, Watchdog
from tests.waiting import PATIENCE_S

PLACE = ("waybill.shipments", 0)


class Pretended:
    """As much of a worker as the pages look at."""

    def __init__(self) -> None:
        self.metrics = Metrics(states=[*Phase])
        self.ready = True
        self.assigned = frozenset({PLACE})
        self.waits_for = "its state"
        self.commits = 0
        self.lag: Mapping[tuple[str, int], int] = {PLACE: 0}
        self.broker = True

    def state_entries(self) -> dict[str, int]:
        assert self.ready
        return {"parcels": 12}

    def state_older(self) -> dict[str, int]:
        return {"parcels": 0}

    def state_bytes(self) -> dict[str, int]:
        return {"parcels": 3_400}

    def disk_bytes(self) -> tuple[int, int]:
        return 600, 1_000

    async def ask_lag(self) -> Mapping[tuple[str, int], int]:
        return self.lag

    async def broker_answers(self) -> bool:
        return self.broker


Get = Callable[[str], Any]


def progress_of(worker: Pretended, stalled_s: float = 30.0, give_up_s: float = 60.0) -> Watchdog:
    return Watchdog(
        cast(Host, worker),
        worker.ask_lag,
        worker.broker_answers,
        stalled_s=stalled_s,
        give_up_s=give_up_s,
        look_every_s=0.02,
    )


async def becomes(get: Get, path: str, status: int, *, holds: str = "", lacks: str = "\0") -> str:
    """Ask for a page until it has this status, and holds the one text and not the other; the page."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found, text = await get(path)
        if found == status and holds in text and lacks not in text:
            return str(text)
        assert time.monotonic() < deadline, (found, text)
        await asyncio.sleep(0.02)


async def serve(worker: Pretended, visit: Callable[[Get], Any], *, stalled_s: float = 30.0) -> None:
    progress = progress_of(worker, stalled_s)
    health = Health(cast(Host, worker), progress)
    url = await health.start(listen("127.0.0.1", 0))
    looking = asyncio.create_task(progress.run())
    try:
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> tuple[int, str]:
                async with session.get(url + path) as answer:
                    return answer.status, await answer.text()

            await visit(get)
    finally:
        looking.cancel()
        await health.stop()


def test_ready_is_assigned_and_caught_up() -> None:
    worker = Pretended()

    async def visit(get: Get) -> None:
        status, text = await get("/ready")
        assert (status, '"partitions": 1' in text) == (200, True)
        worker.ready = False
        status, text = await get("/ready")
        assert (status, "waits for its state" in text) == (503, True)
        status, text = await get("/live")
        assert (status, "waits for its state" in text, '"lag_records": null' in text) == (200, True, True)

    asyncio.run(serve(worker, visit))


def test_live_fails_only_where_records_wait_and_nothing_is_committed() -> None:
    worker = Pretended()

    async def visit(get: Get) -> None:
        await asyncio.sleep(0.5)
        assert (await get("/live"))[0] == 200  # nothing to do for longer than a stall
        worker.lag = {PLACE: 700}
        for _ in range(20):  # behind, and committing
            await asyncio.sleep(0.04)
            worker.commits += 1
            assert (await get("/live"))[0] == 200
        assert "700 records wait" in await becomes(get, "/live", 503)
        worker.commits += 1
        await becomes(get, "/live", 200)

    asyncio.run(serve(worker, visit, stalled_s=0.3))


def test_live_fails_when_the_polling_thread_hangs() -> None:
    worker = Pretended()

    async def hang() -> Mapping[tuple[str, int], int]:
        await asyncio.sleep(10 * PATIENCE_S)
        return {}

    async def visit(get: Get) -> None:
        await becomes(get, "/live", 503)

    worker.ask_lag = hang  # type: ignore[method-assign]
    asyncio.run(serve(worker, visit, stalled_s=0.2))


def test_a_broker_that_is_away_shows_before_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.worker.health.AWAY_S", 0.2)
    worker = Pretended()

    async def visit(get: Get) -> None:
        await asyncio.sleep(0.3)
        assert (await get("/ready"))[0] == (await get("/live"))[0] == 200
        worker.broker = False
        assert "waits for a broker: none has answered" in await becomes(get, "/ready", 503)
        assert "waits for a broker: none has answered" in await becomes(get, "/live", 200, holds="broker")
        worker.ready = False  # its session runs out, too: that is not what it waits for
        assert "waits for a broker: none has answered" in (await get("/live"))[1]
        worker.ready = True
        assert "no broker has answered" in await becomes(get, "/live", 503)
        await becomes(get, "/metrics", 200, lacks="waybill_broker_silent_seconds 0.0\n")
        worker.broker = True
        await becomes(get, "/ready", 200)
        await becomes(get, "/live", 200)

    asyncio.run(serve(worker, visit, stalled_s=0.8))


@pytest.mark.parametrize("wrong", ["lag", "broker", "hang"])
def test_a_worker_that_gets_nowhere_ends(wrong: str) -> None:
    worker = Pretended()

    async def hang() -> Mapping[tuple[str, int], int]:
        await asyncio.sleep(10 * PATIENCE_S)
        return {}

    if wrong == "lag":
        worker.lag = {PLACE: 3}
    elif wrong == "broker":
        worker.broker = False
    else:
        worker.ask_lag = hang  # type: ignore[method-assign]
    progress = progress_of(worker, 0.1, 0.4)
    started = time.monotonic()
    with pytest.raises(StuckError, match="no broker has answered" if wrong == "broker" else "nothing was committed"):
        asyncio.run(asyncio.wait_for(progress.run(), PATIENCE_S))
    assert time.monotonic() - started > 0.4


def test_a_time_for_which_the_process_stood_still_does_not_count() -> None:
    worker = Pretended()
    worker.lag = {PLACE: 3}
    progress = progress_of(worker, 0.1, 0.4)

    async def scenario() -> None:
        looking = asyncio.create_task(progress.run())
        await asyncio.sleep(0.1)
        time.sleep(1.0)  # the event loop stands still, as all of it would
        await asyncio.sleep(0.05)
        assert not looking.done()
        worker.commits += 1
        looking.cancel()

    asyncio.run(scenario())


def test_metrics_show_lag_and_sizes_and_forget_what_is_gone() -> None:
    worker = Pretended()
    worker.lag = {PLACE: 41}

    async def visit(get: Get) -> None:
        page = await becomes(
            get, "/metrics", 200, holds='waybill_lag_records{partition="0",topic="waybill.shipments"} 41.0'
        )
        assert 'waybill_state_entries{store="parcels"} 12.0\n' in page
        assert "waybill_state_disk_size_bytes 1000.0\n" in await becomes(get, "/metrics", 200, holds="free_bytes 600.0")
        worker.lag = {}  # not known yet
        await asyncio.sleep(0.1)
        for ready, assigned in ((True, worker.assigned), (False, worker.assigned), (False, frozenset())):
            worker.ready, worker.assigned = ready, assigned
            await asyncio.sleep(0.1)
            again = (await get("/metrics"))[1]
            assert 'waybill_lag_records{partition="0",topic="waybill.shipments"} 41.0\n' in again, "known last"
        worker.lag, worker.assigned = {PLACE: 43}, frozenset({PLACE})  # restoring
        assert '"lag_records": null' in await becomes(get, "/ready", 503)
        await becomes(get, "/metrics", 200, holds='topic="waybill.shipments"} 43.0')
        worker.lag, worker.ready, worker.assigned = {}, True, frozenset({("waybill.scans", 0)})
        await becomes(get, "/metrics", 200, lacks="waybill_lag_records{")

    asyncio.run(serve(worker, visit))


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HealthError, match=rf"web_port: {port} on 127\.0\.0\.1 is taken"):
            listen("127.0.0.1", port)


def test_what_does_not_get_better_is_on_the_pages_before_the_end() -> None:
    worker = Pretended()
    fault = ""
    progress = Watchdog(
        cast(Host, worker), worker.ask_lag, worker.broker_answers, stalled_s=30, give_up_s=30, fault=lambda: fault,
        look_every_s=0.3,
    )  # fmt: skip

    async def scenario() -> None:
        nonlocal fault
        health = Health(cast(Host, worker), progress)
        url = await health.start(listen("127.0.0.1", 0))
        looking = asyncio.create_task(progress.run())
        async with aiohttp.ClientSession() as session, session.get(f"{url}/ready") as before:
            assert before.status == 200
        fault = "partition counts have changed"
        async with aiohttp.ClientSession() as session, session.get(f"{url}/ready") as after:
            assert (after.status, fault in await after.text()) == (503, True)
        with pytest.raises(StuckError, match="partition counts have changed"):
            await looking
        await health.stop()

    asyncio.run(scenario())
