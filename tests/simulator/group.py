"""The coordinator of the one group: members with names of their own, generations, and who has which partitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from tests.simulator.machine import World

if TYPE_CHECKING:
    from tests.simulator.clients import Member

JOIN_S = 3.0  # a member that is asked to rejoin has so long


def refusal(code: int, text: str, *, fatal: bool = False, retriable: bool = False) -> KafkaException:
    """An error as librdkafka raises it; one of a transaction that is not fatal can be aborted."""
    return KafkaException(KafkaError(code, text, fatal, retriable, not fatal and not retriable))


@dataclass(frozen=True, slots=True)
class Metadata:
    """A member's place in the group, as it is sent with offsets."""

    instance: str
    member: int
    generation: int


class Group:
    """The coordinator of the one group. Partition n of every topic goes to one member, as `range` has it."""

    def __init__(self, world: World, partitions: int, session_s: float) -> None:
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.assignment: dict[str, list[int]] = {}
        self._world = world
        self._numbers = list(range(partitions))
        self._session_s = session_s
        self._ids = 0
        self._waits: set[str] | None = None  # members that have not joined yet, while a rebalance is under way
        self._look()

    def check(self, at: Metadata) -> None:
        """Raise unless this is where the group has the member."""
        member = self.members.get(at.instance)
        if member is None:
            raise refusal(KafkaError.UNKNOWN_MEMBER_ID, "unknown member")
        if member.id != at.member:
            raise refusal(KafkaError.FENCED_INSTANCE_ID, "another member has the name")
        if at.generation != self.generation:
            raise refusal(KafkaError.ILLEGAL_GENERATION, f"generation {at.generation} is not {self.generation}")

    def status(self, member: Member) -> str:
        """As a heartbeat learns it: fenced, unknown, rebalance, or stable."""
        found = self.members.get(member.instance)
        if found is not None and found is not member:
            return "fenced" if member.id else "unknown"  # one that was never in knows nothing of it
        if found is None:
            return "unknown"
        if self._waits is not None:
            return "joining" if member.instance not in self._waits else "rebalance"
        return "stable"

    def join(self, member: Member) -> None:
        """A member comes, comes back, or answers a rebalance. One that takes a name over keeps what it had."""
        before = self.members.get(member.instance)
        if before is not member:
            self._ids += 1
            member.id = self._ids
            member.seen = self._world.now
            self.members[member.instance] = member
            if before is None:
                self._rebalance()
        if self._waits is not None:
            self._waits.discard(member.instance)
            self._finish()
        self._world.changed()

    def remove(self, instance: str) -> None:
        """A member is gone: it left, or was not heard of."""
        if self.members.pop(instance, None) is not None:
            self._world.note(f"group: {instance} is out")
            self._rebalance()

    def _rebalance(self) -> None:
        self._waits = set(self.members)
        generation = self.generation
        self._world.after(JOIN_S, lambda: self._late(generation))
        self._finish()
        self._world.changed()

    def _late(self, generation: int) -> None:
        """Go on without those who have not joined in time."""
        if self._waits and self.generation == generation:
            for instance in sorted(self._waits):
                self._world.note(f"group: {instance} did not join in time")
                del self.members[instance]
            self._waits = set()
            self._finish()
            self._world.changed()

    def _finish(self) -> None:
        if self._waits:
            return
        self._waits = None
        self.generation += 1
        names, self.assignment = sorted(self.members), {}
        at = 0
        for i, name in enumerate(names):
            size = len(self._numbers) // len(names) + (i < len(self._numbers) % len(names))
            self.assignment[name] = self._numbers[at : at + size]
            at += size
        self._world.note(f"group: generation {self.generation}: {self.assignment}")

    def _look(self) -> None:
        """Expire those who have not been heard of for a session."""
        now = self._world.now
        for instance, member in sorted(self.members.items()):
            if member.heard():
                member.seen = now
            elif now - member.seen > self._session_s:
                self.remove(instance)
        self._world.after(self._session_s / 4, self._look)
