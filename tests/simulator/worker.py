"""A worker in a simulated process: `Worker`, its poller and its agents' code as shipped, without Faust around them."""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

from faust.transport import consumer as base

from schemas import topics
from streams import app
from streams.app import PARCEL_TOPICS, answer_all, judge_all
from streams.flow.batches import Batch
from streams.kafka import global_table, producer, reader, restore
from streams.kafka.transport import committed, poller
from streams.kafka.transport.consumer import Consumer, RebalanceError
from streams.state import partition
from streams.worker import backoff, commit, epoch, expire, idle, inputs, parts, tallies, worker
from streams.worker import rules as rule_task
from streams.worker.worker import Worker
from tests.simulator import clients, disk
from tests.simulator.machine import Clock, World
from tests.simulator.node import Node, Place, here
from tests.simulator.producer import Producer
from tests.simulator.threads import Killed


class Bare(base.Consumer):  # type: ignore[misc]
    """In the place of Faust's consumer: as much of it as ours is built on."""

    def __init__(self, link: Any, loop: Any, failed: Callable[[BaseException], None]) -> None:
        self.app = SimpleNamespace(
            link=link, rebalancing=False, consumer_generation_id=0, on_rebalance_start=lambda: None
        )
        self.loop = loop
        self._failed = failed
        self._ended = asyncio.Event()

    @property
    def should_stop(self) -> bool:
        return self._ended.is_set()

    def add_future(self, worker: Coroutine[Any, Any, None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                self._failed(error)

        self.loop.create_task(worker).add_done_callback(ended)

    async def wait_first(self, worker: Coroutine[Any, Any, Any], timeout: float) -> None:
        tasks = [self.loop.create_task(each) for each in (worker, self._ended.wait())]
        try:
            await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def crash(self, error: BaseException) -> None:
        self._failed(error)

    async def on_partitions_revoked(self, revoked: Any) -> None:
        pass

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        pass

    async def end(self) -> None:
        """Stop it."""
        self._ended.set()
        await self.on_stop()


class Faustless(Consumer, Bare):
    """The shipped consumer, without Faust's."""

    def _serve(self, worker: Any) -> None:
        """As shipped, with a wait that lets others go on."""
        node = here()
        done: list[tuple[Any, BaseException | None]] = []

        async def served() -> None:
            try:
                done.append((await worker, None))
            except BaseException as error:
                done.append((None, error))
            node.world.changed()

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(served()))
        try:
            node.world.wait(self.link.rebalance_timeout_s, lambda: bool(done))
        except Killed:
            with suppress(BaseException):
                worker.close()  # which may not have begun
            raise
        if not done:
            raise RebalanceError(f"a rebalance was not done after {self.link.rebalance_timeout_s:.0f} s")
        if done[0][1] is not None:
            raise done[0][1]


class Stream:
    """What an agent reads. Faust's would skip batches of an earlier assignment; this one leaves that to the worker."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Batch] = asyncio.Queue(4)

    async def noack(self) -> AsyncIterator[Batch]:
        while True:
            yield await self.queue.get()


async def live(
    node: Node, make: Callable[[Callable[[], Consumer]], Worker], ended: Callable[[Node, BaseException | None], None]
) -> None:
    """A worker from its start to its end; `ended` is told what it ended of."""
    over: asyncio.Future[BaseException | None] = node.loop.create_future()

    def end(error: BaseException | None) -> None:
        if not over.done():
            over.set_result(error)

    made = make(lambda: consumer)
    consumer = Faustless(made.link(), node.loop, end)
    node.quit = lambda: end(None)
    parcels, histories = Stream(), Stream()

    async def commits() -> None:
        await made.start()
        await made.commit_loop()

    async def feed() -> None:
        while not consumer.should_stop:
            for batches in (await consumer._getmany(None, 1.0)).values():
                for batch in batches:
                    await (histories if batch.topic == topics.OBSERVATIONS else parcels).queue.put(batch)

    async def ends(places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return {place: node.broker.logs[place].end for place in places}

    async def guarded(begin: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await begin()
        except Exception as error:
            end(error)

    parts: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (
        made.prepare,  # as `App.on_first_start` does
        commits,
        feed,
        lambda: judge_all(made, parcels),
        lambda: answer_all(made, histories),
        made.inputs.run,
        lambda: idle.keep_up(made),
        lambda: idle.pass_time(made, ends, consumer.positions),
        lambda: tallies.publish(made),
        *((lambda: expire.expire(made, consumer.lag),) if made.parcels.expiry else ()),
    )
    tasks = [node.start(guarded(part)) for part in parts]
    await consumer.subscribe([*PARCEL_TOPICS, topics.OBSERVATIONS])
    error = await over
    node.world.note(f"{node.name}: ends: {error!r}")
    early = node.rng.random() < 0.5  # Faust stops its services in an order of its own
    if early:
        _cancel(tasks)
    try:
        await consumer.end()
    except Exception as on_the_way_out:
        error = error or on_the_way_out
    _cancel(tasks)
    ended(node, error)
    node.kill()


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


class _Following:
    """Stands for the module `threading` in `streams.kafka.global_table`."""

    class Event:
        def __init__(self) -> None:
            self._set = False

        def set(self) -> None:
            self._set = True

        def is_set(self) -> bool:
            return self._set

    class Thread:
        def __init__(self, target: Callable[..., None], args: tuple[Any, ...], name: str, daemon: bool) -> None:
            self._target = partial(target, *args)

        def start(self) -> None:
            here().thread(self._target)


class _AtOnce:
    """Stands for the one thread that writes what is restored, which its caller waits for in turn."""

    def __init__(self, workers: int, thread_name_prefix: str) -> None:
        pass

    def __enter__(self) -> _AtOnce:
        return self

    def __exit__(self, *failed: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args))
        except Exception as error:
            done.set_exception(error)
        return done


@contextmanager
def doors(world: World, disks: disk.Disks) -> Iterator[None]:
    """Put what is simulated in the place of every engine, for as long as it lasts."""
    Place.world = Clock.world = world
    disk.Disks.disks = disks
    clock = Clock()
    timed: tuple[types.ModuleType, ...] = (
        app, commit, epoch, global_table, expire, idle, backoff, producer, reader, restore, worker, committed, poller,
        inputs, rule_task, tallies,
    )  # fmt: skip
    stands: list[tuple[types.ModuleType, str, Any]] = [(module, "time", clock) for module in timed]
    stands += [
        (producer, "Producer", Producer),
        (reader, "Consumer", clients.Reader),
        (restore, "changelog_ids", clients.changelog_ids),
        (parts, "topic_ids", clients.topic_ids),
        (poller, "Client", clients.Member),
        (global_table, "threading", _Following),
        (partition, "Rdict", disk.Rdict),
        (partition, "WriteBatch", disk.WriteBatch),
        (partition, "WriteOptions", disk.WriteOptions),
        (partition, "options", lambda shared: None),
        (restore, "ThreadPoolExecutor", _AtOnce),
        (worker, "warm", lambda settings, catalogue: None),
    ]
    with mock.patch.multiple(global_table, _POLL_S=0.5):
        patches = [mock.patch.object(module, name, stand) for module, name, stand in stands]
        try:
            for patch in patches:
                patch.start()
            yield
        finally:
            world.close()
            for patch in patches:
                with suppress(RuntimeError):
                    patch.stop()
