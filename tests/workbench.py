"""A worker's parts without Kafka: what it would have published and committed is there to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from schemas import topics
from schemas.inputs import INPUT_TOPICS
from schemas.records import Alert
from streams.files.driver import raw
from streams.flow.batches import Batch
from streams.flow.time.timers import ReadProgress
from streams.kafka.global_table import GlobalTable
from streams.kafka.transport.consumer import Consumer
from streams.settings import Settings
from streams.state.rocks import Delta, RocksStore
from streams.worker.commit import Committer
from streams.worker.epoch import Epoch
from streams.worker.phase import Phase
from streams.worker.worker import Worker
from tests.runs import catalogue, comparable
from tests.worlds import HOME, START


class Effects:
    """Stands for Kafka: takes epochs and keeps them, by topic; writes state as the real one does."""

    def __init__(self, stores: Mapping[str, RocksStore]) -> None:
        self.published: list[tuple[str, int, bytes | None, bytes]] = []
        self.epochs: list[Epoch] = []
        self.changelogs: defaultdict[tuple[str, int], list[tuple[bytes, bytes | None]]] = defaultdict(list)
        self._stores = stores

    def commit(
        self, epoch: Epoch, deltas: Mapping[str, Delta], _group_metadata: object, _topic_ids: Mapping[str, object]
    ) -> None:
        """As `Committer.commit`."""
        self.epochs.append(epoch)
        for (topic, partition), messages in epoch.messages.items():
            for message in messages:
                self.published.append((topic, partition, _bytes(message.get("key")), _bytes(message["value"]) or b""))
        for topic, delta in deltas.items():
            for partition, changes in delta.items():
                self.changelogs[topic, partition] += changes.behind(0)
            self._stores[topic].committed(delta, dict.fromkeys(delta, len(self.epochs)))
            self._stores[topic].write(delta)

    @property
    def changelog(self) -> list[tuple[bytes, bytes | None]]:
        """Keys and values, of all partitions."""
        return [pair for records in self.changelogs.values() for pair in records]

    @property
    def offsets(self) -> dict[tuple[str, int], int]:
        """Next to read, after all commits."""
        return {place: at for epoch in self.epochs for place, at in epoch.offsets.items()}


class _Idle:
    group_metadata = b""
    topic_ids: Mapping[str, object] = {}
    idle = True
    starts: Mapping[tuple[str, int], int] = {(topics.SCANS, 0): 7}


class Workbench:
    """A `Worker` that holds all its partitions."""

    def __init__(self, state_dir: Path, **settings: Any) -> None:
        settings = {"expiry_delay_s": 0, "settle_s": 0, **settings}
        self.worker = Worker(
            Settings(state_dir=state_dir, home_adcodes=HOME, **settings),
            catalogue(),
            consumer=lambda: cast(Consumer, _Idle()),
            committer=lambda stores: cast(Committer, Effects(stores)),
        )
        self.effects = cast(Effects, self.worker._committer)
        for phase in (Phase.RESTORING, Phase.CATCHING_UP, Phase.RUNNING):
            self.worker._life.to(phase)
        self.worker._generation = 1
        self.worker.assigned = frozenset(
            (topic, number) for topic in INPUT_TOPICS for number in range(self.worker.settings.partitions)
        )
        self._reader = self.worker.parcels.reference_reader()
        for store in self.worker.stores.values():
            for number in range(self.worker.settings.partitions):
                store.open(number)

    def know(self, batches: Sequence[Batch]) -> None:
        """Have reference records read, as from the topic."""
        for batch in batches:
            assert not self._reader.add(batch.values, batch.offsets, batch.keys)
        latest = SimpleNamespace(latest=(self._reader.build(), ()))
        self.worker.inputs._table = cast(GlobalTable[Any], latest)

    async def refer(self, batches: Sequence[Batch]) -> None:
        """The same, and the sweep that follows."""
        self.know(batches)
        while await self.worker.inputs.sweep():
            pass

    async def parcels(self, batches: Sequence[Batch]) -> None:
        """One step of the agent of that name."""
        async with self.worker.step(current(batches)) as step:
            step.judged(await self.worker.run(self.worker.parcels.step, step.fresh, START))

    async def histories(self, batches: Sequence[Batch]) -> None:
        """One step of the agent of that name."""
        async with self.worker.step(current(batches)) as step:
            step.send(topics.FACTS, await self.worker.run(self.worker.histories.step, step.fresh))

    async def let_pass(self, now_ms: int) -> None:
        """A step without batches: nothing comes in any partition, and so much time passes."""
        idle = dict.fromkeys(range(self.worker.settings.partitions), ReadProgress(idle=True))
        async with self.worker.step([]) as step:
            step.judged(await self.worker.run(self.worker.parcels.settle, idle, 0, now_ms))

    async def commit(self) -> None:
        """Commit what is done."""
        await self.worker._commit()

    async def settle(self, batches: Sequence[Batch]) -> None:
        """All that these batches set off, to its end, committed step by step."""
        await self.refer([batch for batch in batches if batch.topic == topics.REFERENCE])
        await self.parcels([batch for batch in batches if batch.topic != topics.REFERENCE])
        seen = 0
        while True:
            await self.commit()
            fresh, seen = self.effects.published[seen:], len(self.effects.published)
            observations, facts = (
                [raw(topic, partition, [value]) for topic, partition, _, value in fresh if topic == wanted]
                for wanted in (topics.OBSERVATIONS, topics.FACTS)
            )
            if not observations and not facts:
                return
            await self.histories(observations)
            await self.parcels(facts)

    def close(self) -> None:
        """Close the state."""
        for store in self.worker.stores.values():
            store.close_all()


@contextmanager
def workbench(state_dir: Path, **settings: Any) -> Iterator[Workbench]:
    """A workbench that is tidied up."""
    bench = Workbench(state_dir, **settings)
    try:
        yield bench
    finally:
        bench.close()


def newest_open(published: list[tuple[str, int, bytes | None, bytes]]) -> dict[str, Alert]:
    """The alerts that a reader ends up with, open ones only."""
    newest = {
        key: msgspec.json.decode(value, type=Alert) for topic, _, key, value in published if topic == topics.ALERTS
    }
    return comparable(alert for alert in newest.values() if alert.status == "open")


def current(batches: Sequence[Batch]) -> list[Batch]:
    """The batches as read under the assignment that a workbench holds."""
    return [replace(batch, generation=1) for batch in batches]


def _bytes(value: object) -> bytes | None:
    assert value is None or isinstance(value, bytes)
    return value
