"""A worker's process as the world sees it: its effects, and what may befall it at each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.simulator.machine import Process, World
from tests.simulator.threads import Killed

if TYPE_CHECKING:
    from tests.simulator.broker import Broker

# What befalls a process at an effect, and how often relative to the others.
_FATES = {"kill": 6, "power": 2, "short stop": 2, "long stop": 4, "takeover": 2, "expel": 2, "quit": 2}
HARMS = {"full": 3.0, "damaged": 0.3}  # what a disk does, and how often relative to a fate


@dataclass(slots=True)
class Faults:
    """Decides at each effect whether something goes wrong there."""

    rng: Random
    fates: int  # of processes, at most
    replies: int  # of the broker, at most
    chance: float  # of either, at one effect
    session_s: float
    happened: Counter[str] = field(default_factory=Counter)

    def fate(self) -> str:
        """What befalls the process here; empty: nothing."""
        if not self.fates or self.rng.random() >= self.chance:
            return ""
        self.fates -= 1
        return self._counted(self.rng.choices([*_FATES], [*_FATES.values()])[0])

    def reply(self, faults: tuple[str, ...]) -> str:
        """What is wrong with the answer of broker or disk here, of these; empty: nothing."""
        if not self.replies or not faults or self.rng.random() >= HARMS.get(faults[0], 4.0) * self.chance:
            return ""
        self.replies -= 1
        return self._counted(self.rng.choice(faults))

    def _counted(self, what: str) -> str:
        self.happened[what] += 1
        return what


class Node(Process):
    """One process of a worker. `die`, `stop`, `quit`: what happens to it; whoever made it sees to what follows."""

    def __init__(self, world: World, name: str, broker: Broker, faults: Faults, slot: str) -> None:
        super().__init__(world, name)
        self.broker = broker
        self.faults = faults
        self.rng = world.rng
        self.slot = slot
        self.member = f"sim-{slot}"
        self.power_lost = False
        self.replaced = False  # another process is to be started under its name
        self.quit: Callable[[], None] = lambda: None
        self.buried: Callable[[Node], None] = lambda node: None

    def bury(self) -> None:
        super().bury()
        self.buried(self)

    def check(self) -> None:
        """Nothing more comes from one that is dead."""
        if self.dead:
            raise Killed

    def heard(self) -> bool:
        """Whether its heartbeats arrive."""
        return not (self.dead or self.stopped)

    def most_rows(self) -> int:
        """How many records of a partition have arrived, at most."""
        return self.rng.choice((1, 3, 10, 100))

    def effect(self, name: str, faults: tuple[str, ...] = (), passes: float = 0.0) -> str:
        """Something is about to reach the world, or has: others may go on first, and things may go wrong.

        passes: share of those that nothing happens at, where there are many. Returns what is wrong with the answer.
        """
        self.check()
        if self.world.current is None or (passes and self.rng.random() < passes):
            return ""
        self.world.note(f"{self.name}: {name}")
        if fate := self.faults.fate():
            self._meet(fate)
            self.check()
        reply = self.faults.reply(faults)
        if reply:
            self.world.note(f"{self.name}: {name}: {reply}")
        if reply == "late":
            self.world.wait(self.rng.uniform(0.1, 4.0))
        elif self.rng.random() < 0.6:
            self.world.wait(self.rng.random() * 0.004)
        self.check()
        return "" if reply == "late" else reply

    def _meet(self, fate: str) -> None:
        self.world.note(f"{self.name}: {fate}")
        session = self.faults.session_s
        if fate in ("kill", "power"):
            self.power_lost = fate == "power"
            self.kill()
        elif fate == "expel":
            self.broker.group.remove(self.member)
        elif fate == "quit":
            self.loop.call_soon(self.quit)
        else:
            self.replaced = fate == "takeover"
            sessions = (0.05, 0.8) if fate == "short stop" else (1.2, 4.0)
            self.stop(self.rng.uniform(*sessions) * session)
            self.world.wait(0)

    def stop(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self.stopped = True
        self.world.after(seconds, self._go_on)
        self.world.changed()

    def _go_on(self) -> None:
        self.stopped = False
        if not self.dead:
            self.world.note(f"{self.name}: goes on")
        self.world.changed()


class Place:
    """Where shipped code finds itself: the world that plays, and the process whose turn it is."""

    world: World


def here() -> Node:
    """The process whose turn it is."""
    node = Place.world.here
    assert isinstance(node, Node)
    return node
