"""The worker: two Faust agents, two keyed states, one verdict.

The way of an event: `parcels` judges the parcels that a batch touches and sends observations to the histories of their
sender, phones, courier and outlet; `histories` answers with facts; `parcels` revises. What both do is in
`streams.pipeline`; what reaches the world, and in which order, is in `streams.commit`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import faust
from mode.supervisors import CrashingSupervisor

from rules import load_catalogue
from schemas import topics
from streams.frames import Batch
from streams.settings import Settings
from streams.work import Work

PARCEL_TOPICS = (topics.SHIPMENTS, topics.SCANS, topics.INSPECTIONS, topics.FACTS)


class App(faust.App):
    """A Faust app with the worker's own parts: `work` (states, epochs) and `link` (what its transport needs)."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.settings = settings
        catalogue = load_catalogue(settings.rules_dir, settings.rule_overrides)
        self.work = Work(settings, catalogue)
        self.link = self.work.link()
        super().__init__(
            settings.group,
            broker=f"waybill://{settings.bootstrap_servers}",
            datadir=str(settings.state_dir / "faust"),
            value_serializer="raw",
            key_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            stream_wait_empty=False,
            stream_buffer_maxsize=4,
            agent_supervisor=CrashingSupervisor,
            web_enabled=False,
            **options,
        )


def build(settings: Settings) -> App:
    """The worker's app for these settings. Raises RuleError and the like: a faulty setting stops start-up."""
    app = App(settings)
    work = app.work

    @app.agent(app.topic(*PARCEL_TOPICS, key_serializer="raw", value_serializer="raw", maxsize=4), name="parcels")
    async def parcels(batches: Any) -> None:
        """Judge parcels: shipments, scans, inspections, and the facts that history answers."""
        async for waiting in together(batches, settings.batch_rows_max):
            async with work.epoch(waiting) as epoch:
                judged = await work.run(work.parcels.step, epoch.fresh, int(time.time() * 1000))
                epoch.judged(judged)

    @app.agent(
        app.topic(topics.OBSERVATIONS, key_serializer="raw", value_serializer="raw", maxsize=4), name="histories"
    )
    async def histories(batches: Any) -> None:
        """Fold observations by entity, and answer with facts."""
        async for waiting in together(batches, settings.batch_rows_max):
            async with work.epoch(waiting) as epoch:
                epoch.send(topics.FACTS, await work.run(work.histories.step, epoch.fresh))

    @app.task
    async def commits() -> None:
        """Commit what the agents have done, epoch by epoch."""
        await work.start(app.consumer)
        await work.commit_loop()

    return app


async def together(stream: Any, rows_max: int) -> AsyncIterator[list[Batch]]:
    """All batches that wait on a stream, up to about `rows_max` rows at a time: a batch grows with the backlog."""
    events = aiter(stream.noack())
    following = asyncio.ensure_future(anext(events))
    try:
        while True:
            group = [await following]
            following = asyncio.ensure_future(anext(events))
            while sum(len(batch.values) for batch in group) < rows_max and await _ready(following):
                group.append(following.result())
                following = asyncio.ensure_future(anext(events))
            yield group
    except StopAsyncIteration:  # the stream ends when the worker stops
        return
    finally:
        following.cancel()


async def _ready(future: asyncio.Future[Batch]) -> bool:
    for _ in range(_STEPS):
        if future.done():
            return True
        await asyncio.sleep(0)
    return future.done()


_STEPS = 5  # turns of the event loop that a stream needs to hand over what already waits
