"""The worker: two Faust agents, two keyed states, one verdict.

The way of an event: `parcels` judges the parcels that a batch touches and sends observations to the histories of their
sender, phones, courier and outlet; `histories` answers with facts; `parcels` revises. What both do is in
`streams.flow.pipeline`; what reaches the world, and in which order, is in `streams.worker.commit`.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from schemas import topics
from schemas.errors import WaybillError
from schemas.inputs import INPUT_TOPICS
from streams.explain import explain
from streams.kafka.config import client
from streams.kafka.silence import silent
from streams.ops.preflight import cautions
from streams.settings import Settings
from streams.worker.expire import expire
from streams.worker.faust import App, Runner, together
from streams.worker.idle import keep_up, pass_time
from streams.worker.tallies import publish
from streams.worker.upgrade import upgrade
from streams.worker.worker import Worker

PARCEL_TOPICS = (*INPUT_TOPICS, topics.FACTS)
log = logging.getLogger(__name__)


def build(settings: Settings) -> App:
    """The worker's app for these settings. Raises RuleError and the like: a faulty setting stops start-up."""
    app = App(settings)
    worker = app.worker

    @app.agent(app.topic(*PARCEL_TOPICS, key_serializer="raw", value_serializer="raw", maxsize=4), name="parcels")
    async def parcels(batches: Any) -> None:
        """Judge parcels: shipments, scans, inspections, and the facts that history answers."""
        await judge_all(worker, batches)

    @app.agent(
        app.topic(topics.OBSERVATIONS, key_serializer="raw", value_serializer="raw", maxsize=4), name="histories"
    )
    async def histories(batches: Any) -> None:
        """Fold observations by entity, and answer with facts."""
        await answer_all(worker, batches)

    @app.task
    async def commits() -> None:
        """Commit what the agents have done, epoch by epoch."""
        await worker.start()
        await worker.commit_loop()

    @app.task
    async def keeping_up() -> None:
        """Commit how far idle partitions were read."""
        await keep_up(worker)

    @app.task
    async def sweeps() -> None:
        """Judge again what a change of the reference data touches."""
        await worker.inputs.run()

    @app.task
    async def expiry() -> None:
        """Delete state that no longer counts."""
        await expire(worker, app.consumer.lag)

    @app.task
    async def upgrades() -> None:
        """Write state of an earlier format anew."""
        await upgrade(worker, worker.stores)

    @app.task
    async def timers() -> None:
        """Judge parcels when their timers fire, also in partitions that bring no more events."""
        await pass_time(worker, worker.broker.ends, app.consumer.positions)

    @app.task
    async def tallies() -> None:
        """Publish the tallies that have changed."""
        await publish(worker)

    return app


async def judge_all(worker: Worker, batches: Any) -> None:
    """What the agent `parcels` does with its stream."""
    async for waiting in together(batches, worker.settings.batch_rows_max):
        async with worker.step(waiting) as step:
            step.judged(await worker.run(worker.parcels.step, step.fresh, int(time.time() * 1000)))


async def answer_all(worker: Worker, batches: Any) -> None:
    """What the agent `histories` does with its stream."""
    async for waiting in together(batches, worker.settings.batch_rows_max):
        async with worker.step(waiting) as step:
            step.send(topics.FACTS, await worker.run(worker.histories.step, step.fresh))


class WorkerError(WaybillError):
    """Why a worker stopped that was not asked to, in one line."""


def run(app: App) -> None:
    """Run a worker until SIGTERM, SIGINT or SIGHUP: it commits what is in hand and leaves. Raises WorkerError."""
    log.info(
        "starting: group %s, instance %s, broker %s, %s partitions, %s rules (%s)",
        app.settings.group, app.settings.instance, app.settings.bootstrap_servers, app.settings.partitions,
        len(app.worker.parcels.catalogue.rules), app.worker.parcels.catalogue.fingerprint,
    )  # fmt: skip
    log.info("native front end: %s", app.worker.parcels.front.state)
    for caution in cautions(app.settings):
        log.warning("%s", caution)
    try:
        Runner(app).run()
    except Exception as error:
        log.debug("the worker crashed", exc_info=error)
        said = explain(error)
        if away := silent(client(app.settings)):  # then most that goes wrong is for that
            said += f"; {away}"
        if "fenced" in said.lower():
            said += "; another worker has taken its place: where that was not meant, give each an `instance` of its own"
        raise WorkerError(said) from error
    log.info("stopped")
