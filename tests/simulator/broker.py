"""Kafka, as much of it as the guarantees rest on: logs, transactions with their marks, and a group of static members.

Modelled: offsets with marks of transactions among them; the last stable offset; a commit that is decided first and
written into each partition later, in any order; producers fenced by epoch, transactions ended by their time-out; a
classic group, whose members are fenced by name, expire, and join under new generations; offsets that are committed with
a transaction, refused for a member or generation that is not the group's, and unstable until their mark is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import KafkaError

from schemas import topics
from tests.simulator.group import Group, Metadata, refusal
from tests.simulator.machine import World

Place = tuple[str, int]


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
        steps = [partial(self.logs[place].mark, attempt) for place in targets]
        steps.append(partial(self._settle, attempt, holder.offsets))
        rng.shuffle(steps)
        at = 0.0
        for step in steps:
            at += rng.uniform(0.05, 2.0) if rng.random() < self._slow else rng.random() * 0.002
            self.world.after(at, partial(self._step, step))
        self.world.after(at, partial(self._done, holder))
        holder.places, holder.offsets = set(), {}

    def _step(self, step: Callable[[], None]) -> None:
        step()
        self.world.changed()

    def _settle(self, attempt: Attempt, offsets: Mapping[Place, int]) -> None:
        self.unstable.pop(attempt, None)
        if attempt.decided:
            self.committed.update(offsets)

    def _done(self, holder: Holder) -> None:
        holder.attempt = None
        self.world.changed()
