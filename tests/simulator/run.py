"""One seed: workers over a broker and disks in memory, events that flow, faults, and at the end a verdict."""

from __future__ import annotations

import gc
import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from rules import Catalogue, load_catalogue
from schemas.inputs import CONSUMED_TOPICS
from streams.kafka.errors import ClientError
from streams.kafka.transport.consumer import Consumer, RebalanceError
from streams.settings import Settings
from streams.state.damage import StateError
from streams.worker.commit import CommitError
from streams.worker.parts import committer_of
from streams.worker.worker import Worker
from tests.ordering import ORDER_KEY, ORDER_SHARE
from tests.simulator import verdict
from tests.simulator.broker import Broker, Place
from tests.simulator.counting import count
from tests.simulator.disk import Disks
from tests.simulator.machine import SpinningError, World
from tests.simulator.node import HARMS, Faults, Node
from tests.simulator.traffic import Traffic, counted, judged
from tests.simulator.worker import doors, live
from tests.worlds import HOME

SESSION_S = 2.0
TRANSACTION_MS = 2_000
LONGEST_S = 120.0  # of simulated time, in which everything must have come to rest
CALM_S = 16.0  # longer than an idle partition waits for its clock, settles, and a transaction waits for its end
MAY_END = (CommitError, ClientError, RebalanceError)  # what a worker may end of


@dataclass(slots=True)
class Outcome:
    """What came of a seed; `wrong` is empty where all held."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    commits: int = 0
    aborts: int = 0
    records: int = 0
    trace: list[str] = field(default_factory=list)


class Slot:
    """One place for a worker: its name, its folder, and the process that lives there now."""

    def __init__(self, run: Run, name: str) -> None:
        self.name = name
        self.run = run
        self.node: Node | None = None
        self._starts = 0
        self._folder = run.folder / f"{name}-0"

    def start(self) -> None:
        """Start a process, in place of any other."""
        run = self.run
        if run.over:
            return
        self._starts += 1
        self.node = node = Node(run.world, f"{self.name}.{self._starts}", run.broker, run.faults, self.name)
        node.buried = self._buried
        run.nodes.append(node)
        folder = self._folder
        node.start(live(node, partial(run.worker, self.name, folder), run.ended))
        run.world.note(f"{node.name}: starts")

    def _buried(self, node: Node) -> None:
        run = self.run
        run.disks.crash(node, run.world.rng)
        run.outcome.wrong += verdict.behind_the_changelog(run.disks, run.broker)
        if node is self.node:
            run.world.after(run.world.rng.uniform(0, 1.5 * SESSION_S), self.start)
            if run.faults.fates and run.world.rng.random() < 0.15:
                run.world.note(f"{self.name}: its volume is lost")
                shutil.rmtree(self._folder, ignore_errors=True)

    def watch(self) -> None:
        """Start another process under the same name where one is stopped for long, as someone might."""
        if self.node is not None and self.node.replaced and not self.node.dead:
            self.node.replaced = False
            self._folder = self.run.folder / f"{self.name}-{self._starts}"
            self.start()


class Run:
    """One seed as it is played."""

    def __init__(self, seed: int, *, judging: bool, folder: Path) -> None:
        self.folder = folder
        self.outcome = Outcome(seed)
        self.world = World(seed)
        self.over = False
        self.nodes: list[Node] = []  # all there ever were
        rng = self.world.rng
        self.partitions = rng.choice((1, 2, 2, 3))
        self.faults = Faults(
            rng, fates=rng.choice((0, 1, 2, 3, 5, 8)), replies=rng.choice((0, 0, 1, 3, 6)),
            chance=rng.choice((0.003, 0.01, 0.03)), session_s=SESSION_S,
        )  # fmt: skip
        self.broker = Broker(self.world, self.partitions, session_s=SESSION_S, slow=rng.choice((0, 0, 0.02, 0.2)))
        self.disks = Disks()
        make = judged if judging else counted
        self.traffic: Traffic = make(random.Random(f"traffic {seed}"), seed, self.partitions)
        self._judging = judging
        self._settings = settings().model_copy(
            update={
                "partitions": self.partitions,
                "batch_rows_max": rng.choice((5, 20, 200)),
                "epoch_ms_max": rng.choice((1, 20, 200)),
                "transaction_timeout_ms": rng.choice((TRANSACTION_MS, 5 * TRANSACTION_MS)),
                "tally_every_s": rng.choice((0.1, 2.0, 5.0)),
                "hot_bytes_max": rng.choice((0, 4_000, 1 << 28)),
            }
        )
        self.slots = [Slot(self, f"w{number}") for number in range(rng.choice((1, 2, 2, 3)))]

    def worker(self, instance: str, folder: Path, consumer: Callable[[], Consumer]) -> Worker:
        """A worker's parts, as shipped; those that count instead of judging where that is asked for."""
        settings = self._settings.model_copy(update={"state_dir": folder, "instance": instance})
        catalogue = rules() if self._judging else no_rules()
        made = Worker(settings, catalogue, consumer=consumer, committer=committer_of(settings))
        return made if self._judging else count(made)

    def ended(self, node: Node, error: BaseException | None) -> None:
        """A worker ended by itself."""
        self.outcome.ends[type(error).__name__ if error else "asked"] += 1
        may_end = (*MAY_END, StateError) if HARMS.keys() & self.faults.happened.keys() else MAY_END
        if error is not None and not isinstance(error, may_end):
            self.outcome.wrong.append(f"{node.name} ended of {error!r}")

    def play(self) -> Outcome:
        """All of it."""
        world, outcome = self.world, self.outcome
        with doors(world, self.disks):
            try:
                self._play()
            except SpinningError as error:
                outcome.wrong.append(str(error))
            for node in self.nodes:
                outcome.wrong += [f"unhandled in {node.name}: {error!r}" for error in node.unhandled]
            outcome.wrong += self.traffic.check(self.broker)
            outcome.wrong += verdict.settled(self.broker)
            outcome.wrong += verdict.behind_the_changelog(self.disks, self.broker)
            self.over = True
        for log in self.broker.logs.values():
            outcome.records += sum(record.counts for record in log.records)
        outcome.faults, outcome.trace = self.faults.happened, world.trace
        return outcome

    def _play(self) -> None:
        world = self.world
        for slot in self.slots:
            world.after(world.rng.uniform(0, 2), slot.start)
        self._publish()
        world.after(1.0, self._watch)
        while self._left:
            world.run(1.0)
        world.run(world.rng.uniform(0, 10))  # what goes wrong now goes wrong while all is calm
        self.faults.fates = self.faults.replies = 0
        limit = world.now + LONGEST_S
        while self._waiting() and world.now < limit:
            world.run(1.0)
        world.run(CALM_S)
        if waiting := self._waiting():
            self.outcome.wrong.append(f"not at rest after {LONGEST_S:.0f} s: {', '.join(waiting)}")

    def _publish(self) -> None:
        """Have the events arrive over some seconds; what a producer keeps in order stays so."""
        rng, at = self.world.rng, 0.0
        self._left = len(self.traffic.lines)
        gap = 2 * rng.choice((0, 2.0, 10.0)) / (self._left or 1)
        for place, key, value in self.traffic.lines:
            at += rng.random() * gap
            self.world.after(at, partial(self._arrive, place, key, value))

    def _arrive(self, place: Place, key: bytes | None, value: bytes | None) -> None:
        self.broker.append(place, key, value)
        self._left -= 1

    def _watch(self) -> None:
        for slot in self.slots:
            slot.watch()
        self.world.after(1.0, self._watch)

    def _waiting(self) -> Sequence[str]:
        """What is not done yet: records that were not read, by what is committed."""
        broker = self.broker
        at = {place: broker.committed.get(place, 0) for place in sorted(broker.logs) if place[0] in CONSUMED_TOPICS}
        ends = {place: broker.logs[place].end for place in at}
        return [f"{place}: {offset} of {ends[place]}" for place, offset in at.items() if offset < ends[place]]


@cache
def settings() -> Settings:
    """What all workers have in common."""
    return Settings(
        group="sim", bootstrap_servers="none:1", home_adcodes=HOME, rules_from="files", flood_share_max=0,
        session_timeout_ms=int(SESSION_S * 1000), idle_partition_s=3,
        fetch_timeout_ms=1_000, order_share=ORDER_SHARE, order_key=ORDER_KEY.hex(),
    )  # fmt: skip


@cache
def rules() -> Catalogue:
    """The catalogue as shipped."""
    return load_catalogue()


@cache
def no_rules() -> Catalogue:
    """One rule, which nobody asks."""
    return load_catalogue(only=["goods.vague_name"])


def play(seed: int, *, judging: bool = False) -> Outcome:
    """Play a seed."""
    expiry = Path("/dev/shm")  # folders are made and removed by the thousand, and hold nothing
    folder = Path(tempfile.mkdtemp(prefix="waybill-simulator-", dir=expiry if expiry.is_dir() else None))
    try:
        return Run(seed, judging=judging, folder=folder).play()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alone(trace: bool) -> None:
    """A process that plays seeds and does nothing else: what is there now stays, and little of what comes does."""
    if not trace:
        logging.disable()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
