"""The worker's pages over real HTTP, with a worker that is made up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast

import aiohttp
import pytest

from streams.health import Health, HealthError
from streams.metrics import Metrics
from streams.work import Work

PLACE = ("waybill.shipments", 0)


class Worker:
    """As much of a worker as the pages look at."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.ready = True
        self.assigned = frozenset({PLACE})
        self.waits_for = "its state"
        self.commits = 0
        self.lag: Mapping[tuple[str, int], int] = {PLACE: 0}

    def sizes(self) -> dict[str, tuple[int, int]]:
        return {"parcels": (12, 3_400)}

    async def ask_lag(self) -> Mapping[tuple[str, int], int]:
        return self.lag


Get = Callable[[str], Any]


async def serve(worker: Worker, visit: Callable[[Get], Any], *, stalled_s: float = 30.0) -> None:
    health = Health(cast(Work, worker), worker.ask_lag, stalled_s=stalled_s, look_every_s=0.02)
    url = await health.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:

            async def get(path: str) -> tuple[int, str]:
                async with session.get(url + path) as answer:
                    return answer.status, await answer.text()

            await visit(get)
    finally:
        await health.stop()


def test_ready_is_assigned_and_caught_up() -> None:
    worker = Worker()

    async def visit(get: Get) -> None:
        status, text = await get("/ready")
        assert (status, '"partitions": 1' in text) == (200, True)
        worker.ready = False
        status, text = await get("/ready")
        assert (status, "waits for its state" in text) == (503, True)
        assert (await get("/live"))[0] == 200

    asyncio.run(serve(worker, visit))


def test_live_fails_only_where_records_wait_and_nothing_is_committed() -> None:
    worker = Worker()

    async def visit(get: Get) -> None:
        await asyncio.sleep(0.5)
        assert (await get("/live"))[0] == 200  # nothing to do for longer than a stall
        worker.lag = {PLACE: 700}
        for _ in range(20):  # behind, and committing
            await asyncio.sleep(0.04)
            worker.commits += 1
            assert (await get("/live"))[0] == 200
        await asyncio.sleep(0.5)
        status, text = await get("/live")
        assert (status, "700 records wait" in text) == (503, True)
        worker.commits += 1
        await asyncio.sleep(0.1)
        assert (await get("/live"))[0] == 200

    asyncio.run(serve(worker, visit, stalled_s=0.3))


def test_live_fails_when_the_polling_thread_hangs() -> None:
    worker = Worker()

    async def hang() -> Mapping[tuple[str, int], int]:
        await asyncio.sleep(60)
        return {}

    async def visit(get: Get) -> None:
        await asyncio.sleep(0.4)
        assert (await get("/live"))[0] == 503

    worker.ask_lag = hang  # type: ignore[method-assign]
    asyncio.run(serve(worker, visit, stalled_s=0.2))


def test_metrics_show_lag_and_sizes_and_forget_what_is_gone() -> None:
    worker = Worker()
    worker.lag = {PLACE: 41}

    async def visit(get: Get) -> None:
        await asyncio.sleep(0.1)
        status, page = await get("/metrics")
        assert status == 200
        assert 'waybill_lag_records{partition="0",topic="waybill.shipments"} 41.0\n' in page
        assert 'waybill_state_entries{store="parcels"} 12.0\n' in page
        worker.lag = {}
        await asyncio.sleep(0.1)
        assert "waybill_lag_records{" not in (await get("/metrics"))[1]

    asyncio.run(serve(worker, visit))


def test_a_port_that_is_taken_is_named() -> None:
    async def start(port: int) -> None:
        worker = Worker()
        await Health(cast(Work, worker), worker.ask_lag, stalled_s=1).start("127.0.0.1", port)

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HealthError, match=rf"web_port: {port} on 127\.0\.0\.1 is taken"):
            asyncio.run(start(port))
