"""Kafka, as much of it as the guarantees rest on: logs, transactions with their marks, and a group of static members.

Modelled: offsets with marks of transactions among them; the last stable offset; a commit that is decided first and
written into each partition later, in any order; producers fenced by epoch, transactions ended by their time-out; a
classic group, whose members are fenced by name, expire, and join under new generations; offsets that are committed with
a transaction, refused for a member or generation that is not the group's, and unstable until their mark is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from schemas import topics
from tests.simulator.machine import World

if TYPE_CHECKING:
    from tests.simulator.clients import Member

Place = tuple[str, int]
JOIN_S = 3.0  # a member that is asked to rejoin has so long


def refusal(code: int, text: str, *, fatal: bool = False, retriable: bool = False) -> KafkaException:
    """An error as librdkafka raises it; one of a transaction that is not fatal can be aborted."""
    return KafkaException(KafkaError(code, text, fatal, retriable, not fatal and not retriable))


@dataclass(eq=False, slots=True)
class Attempt:
    """One transaction. `decided`: None while it is open."""

    decided: bool | None = None


@dataclass(slots=True)
class Record:
    """One entry of a log. `mark`: the end of a transaction in this partition, no record."""

    key: bytes | None
    value: bytes | None
    timestamp: int
    attempt: Attempt | None = None
    mark: bool = False

    @property
    def counts(self) -> bool:
        """It is to be read by those who read what is committed, now or once its mark is there."""
        return not self.mark and (self.attempt is None or self.attempt.decided is True)


@dataclass(slots=True)
class Log:
    """One partition; a record's offset is its position."""

    records: list[Record] = field(default_factory=list)
    open: dict[Attempt, int] = field(default_factory=dict)  # where transactions begin that have no mark here

    @property
    def end(self) -> int:
        return len(self.records)

    @property
    def stable(self) -> int:
        return min(self.open.values(), default=self.end)

    def add(self, key: bytes | None, value: bytes | None, now_ms: int, attempt: Attempt | None = None) -> int:
        """Append a record; its offset."""
        if attempt is not None:
            self.open.setdefault(attempt, self.end)
        self.records.append(Record(key, value, now_ms, attempt))
        return self.end - 1

    def mark(self, attempt: Attempt) -> None:
        """Write the mark that ends a transaction here."""
        del self.open[attempt]
        self.records.append(Record(None, None, 0, attempt, mark=True))


@dataclass(slots=True)
class Holder:
    """What the coordinator knows of one transactional id."""

    epoch: int = 0
    attempt: Attempt | None = None  # until its last mark is written
    places: set[Place] = field(default_factory=set)
    offsets: dict[Place, int] = field(default_factory=dict)


class Broker:
    """The cluster."""

    def __init__(self, world: World, partitions: int, *, session_s: float, slow: float) -> None:
        """slow: chance that a mark comes late, by up to two seconds."""
        self.world = world
        self.partitions = partitions
        self.logs = {
            (topic.name, number): Log()
            for topic in topics.TOPICS
            for number in range(1 if topic.single else partitions)
        }
        self.holders: dict[str, Holder] = {}
        self.committed: dict[Place, int] = {}
        self.unstable: dict[Attempt, dict[Place, int]] = {}  # offsets whose mark is still to come
        self.group = Group(world, partitions, session_s)
        self._slow = slow

    def now_ms(self) -> int:
        return int(self.world.now * 1000)

    def append(self, place: Place, key: bytes | None, value: bytes | None, attempt: Attempt | None = None) -> int:
        """A record arrives; its offset."""
        self.world.changed()
        return self.logs[place].add(key, value, self.now_ms(), attempt)

    # Transactions

    def begin_epoch(self, name: str) -> int:
        """Fence whoever has this id; what it left open is aborted, which takes until `busy` says no."""
        holder = self.holders.setdefault(name, Holder())
        if holder.attempt is not None and holder.attempt.decided is None:
            self._decide(holder, False)
        holder.epoch += 1
        return holder.epoch

    def busy(self, name: str) -> bool:
        """Marks of a transaction that was decided are still to be written."""
        attempt = self.holders[name].attempt
        return attempt is not None and attempt.decided is not None

    def _holder(self, name: str, epoch: int) -> Holder:
        holder = self.holders[name]
        if holder.epoch != epoch:
            raise refusal(KafkaError._FENCED, "another producer has the transactional id", fatal=True)
        return holder

    def transact(
        self, name: str, epoch: int, place: Place, records: Iterable[tuple[bytes | None, bytes | None]], open_s: float
    ) -> int:
        """Records of a transaction arrive, which begins with the first; the offset of the last."""
        holder = self._holder(name, epoch)
        attempt = self._attempt(name, holder, open_s)
        holder.places.add(place)
        for key, value in records:
            self.append(place, key, value, attempt)
        return self.logs[place].end - 1

    def _attempt(self, name: str, holder: Holder, open_s: float) -> Attempt:
        if holder.attempt is None:
            holder.attempt = attempt = Attempt()
            self.world.after(open_s, lambda: self._time_out(name, attempt))
        return holder.attempt

    def _time_out(self, name: str, attempt: Attempt) -> None:
        holder = self.holders[name]
        if holder.attempt is attempt and attempt.decided is None:
            self.world.note(f"broker: transaction of {name} timed out")
            holder.epoch += 1
            self._decide(holder, False)

    def add_offsets(
        self, name: str, epoch: int, member: Metadata | None, offsets: Mapping[Place, int], open_s: float
    ) -> None:
        """Offsets of a transaction, refused unless the member has its place in the group, if it says which."""
        holder = self._holder(name, epoch)
        if member is not None:
            self.group.check(member)
        attempt = self._attempt(name, holder, open_s)
        holder.offsets.update(offsets)
        self.unstable.setdefault(attempt, {}).update(offsets)

    def end(self, name: str, epoch: int, commit: bool) -> None:
        """Decide a transaction; asked again, the answer is the same."""
        holder = self._holder(name, epoch)
        if holder.attempt is not None and holder.attempt.decided is None:
            self._decide(holder, commit)

    def _decide(self, holder: Holder, commit: bool) -> None:
        attempt = holder.attempt
        assert attempt is not None
        attempt.decided = commit
        rng, targets = self.world.rng, sorted(holder.places)
        steps = [lambda place=place: self.logs[place].mark(attempt) for place in targets]
        steps.append(lambda offsets=holder.offsets: self._settle(attempt, offsets))
        rng.shuffle(steps)
        at = 0.0
        for step in steps:
            at += rng.uniform(0.05, 2.0) if rng.random() < self._slow else rng.random() * 0.002
            self.world.after(at, lambda step=step: self._step(step))
        self.world.after(at, lambda: self._done(holder))
        holder.places, holder.offsets = set(), {}

    def _step(self, step: object) -> None:
        step()  # type: ignore[operator]
        self.world.changed()

    def _settle(self, attempt: Attempt, offsets: Mapping[Place, int]) -> None:
        self.unstable.pop(attempt, None)
        if attempt.decided:
            self.committed.update(offsets)

    def _done(self, holder: Holder) -> None:
        holder.attempt = None
        self.world.changed()


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
