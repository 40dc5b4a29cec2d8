"""More partitions: bring all topics of workers, the state and what is unread to another count, each record once.

Phases, each of which may be cut off anywhere and done again:

1. look        rights, counts, offsets; the group is empty; all state is read, and can be brought to another count
2. mark        every changelog partition says that the state is on its way: from here on no worker starts
3. grow        the topics, those that producers write last
4. state       records move to the partitions of their keys, some thousand a transaction: written there, deleted here
5. unread      what came before, or by producers that know of fewer partitions, is written anew where it belongs, in one
               transaction with the offset behind it
6. done        every changelog partition says for how many the state is kept

No phase needs to know how far another came. A record is in one place at any time for whoever reads what is committed,
and one that is where it belongs stays there; so a run that was killed is run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from schemas import topics
from schemas.errors import WaybillError
from schemas.inputs import CONSUMED_TOPICS, INPUT_TOPICS
from schemas.topics import TOPICS
from streams.flow import rekey
from streams.flow.partitions import partition_of
from streams.flow.rekey import Homes
from streams.kafka.cluster import TopicFacts
from streams.kafka.errors import MissingError
from streams.kafka.rights import denied
from streams.kafka.roles import GROWN, role
from streams.settings import Settings
from streams.state.parted import MARK, Parted
from streams.worker.epoch import Epoch
from streams.worker.stopped import Advance, Stopped
from streams.worker.unread import Unread

_CHANGELOGS = tuple(
    topic.name for topic in TOPICS if topic.name in GROWN and topic.internal and topic.cleanup == "compact"
)
_ROWS = 1_000
_COMMIT_BYTES = 16 * 1024 * 1024
_STRAYS_MAX = 0.01  # share of parcels that may lie where no count of partitions would put them
_LEADERS_S = 30.0
_LOOK_EVERY_S = 5.0


class GrowError(WaybillError):
    """Topics that cannot be grown like this; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do. was: for how many partitions the state is kept; moving: parcels that change theirs;
    unread: messages that are written anew."""

    counts: Mapping[str, int]
    was: int
    partitions: int
    parcels: int
    moving: int
    unread: Mapping[str, int] = field(default_factory=dict)

    @property
    def added(self) -> bool:
        """Partitions are added, or were since the state was brought to its count."""
        return self.was != self.partitions or any(count != self.partitions for count in self.counts.values())

    @property
    def done(self) -> bool:
        """There is nothing to do."""
        return not (self.added or self.moving or any(self.unread.values()))


class Growth(Stopped):
    """Brings a deployment to so many partitions."""

    def __init__(self, settings: Settings, partitions: int, *, say: Callable[[str], None], advance: Advance) -> None:
        """say, advance: see `Stopped`."""
        super().__init__(settings, say=say, advance=advance)
        self._partitions = partitions
        self._homes = Homes(partitions)
        self._unread = Unread(self._config, self._cluster, settings.group, self._homes)
        self._moved = 0  # bytes, in the epoch that is open

    # Looking

    def look(self, *, alone: bool = True) -> Plan:
        """Check all that can be checked, read all state, and count what there is to do. Changes nothing.

        alone: end what a run that was killed left open, and fence one that runs elsewhere; else that is waited for.
        Raises GrowError, GroupError, RekeyError, DeniedError and the like.
        """
        if unknown := [name for name in _CHANGELOGS if name not in rekey.MOVES or name not in self._stores]:
            raise GrowError(f"{', '.join(unknown)}: this version cannot bring its state to another count of partitions")
        self._say("looking: topics, rights, members of the group")
        facts = self._facts()
        counts = {name: each.partitions for name, each in facts.items()}
        if alone:
            self._await_empty()
            self._start_committing()
        self._say("looking: all that is kept, and what is unread")
        places = [(topic, number) for topic in CONSUMED_TOPICS for number in range(counts[topic])]
        committed = self._cluster.committed(self._settings.group, places)
        resumed = {} if self._settings.accept_lost_state else committed
        self._restore(min(counts[name] for name in _CHANGELOGS), resumed)
        was, under_way = self._was(min(counts.values()))
        parcels, moving, strays = self._survey({was, self._partitions, *counts.values()})
        if parcels and not committed:
            raise GrowError(
                f"group {self._settings.group} has committed nothing, but there is state of {parcels:,} parcels: give "
                "the `group` of the workers, or all that the topics hold would count as unread"
            )
        if strays > _STRAYS_MAX * parcels and not under_way:
            raise GrowError(
                f"{strays:,} of {parcels:,} parcels are not where murmur2 puts their names: producers key or partition "
                "otherwise, so their next events would not meet this state; see `waybill doctor`"
            )
        return Plan(counts, was, self._partitions, parcels, moving, self._unread.misplaced(counts))

    def _facts(self) -> dict[str, TopicFacts]:
        facts = self._cluster.topics(GROWN, needed=True)
        allowed = {name: each.allowed for name, each in facts.items()}
        full = {name for name, each in facts.items() if each.partitions >= self._partitions}
        wanted = [
            right for right in role("maintainer").rights(self._settings.group)
            if right.name in facts and not (right.operation == "ALTER" and right.name in full)
        ]  # fmt: skip
        missing = [
            right for right in wanted
            if facts[right.name].hidden or ((may := allowed[right.name]) is not None and right.operation not in may)
        ]  # fmt: skip
        if missing:
            raise denied(self._config, *missing)
        if absent := [name for name, each in facts.items() if not each.partitions]:
            raise MissingError(f"no topics {', '.join(absent)}; run `waybill topics create`")
        if more := [f"{name} {each.partitions}" for name, each in facts.items() if each.partitions > self._partitions]:
            least = max(each.partitions for each in facts.values())
            raise GrowError(
                f"--partitions {self._partitions}: {', '.join(more)} have more, and Kafka takes no partition away; "
                f"give {least} or more"
            )
        return facts

    def _was(self, otherwise: int) -> tuple[int, bool]:
        """For how many partitions the state is kept, by its own marks, and whether it is on its way to ours."""
        marks = {Parted.decode(mark) for _, _, mark in self._marks() if mark}
        if other := [each for each in marks if each.growing_to not in (0, self._partitions)]:
            raise GrowError(
                f"the state is on its way to {other[0].growing_to} partitions: finish that first, with "
                f"`waybill topics grow --partitions {other[0].growing_to}`"
            )
        under_way = any(each.growing_to for each in marks)
        return min((each.partitions for each in marks), default=otherwise), under_way

    def _marks(self) -> Iterator[tuple[str, int, bytes | None]]:
        for name, store in self._stores.items():
            for number in sorted(store.partitions):
                yield name, number, store.get([number], [MARK], keep=False)[0]

    def _survey(self, counts: set[int]) -> tuple[int, int, int]:
        """Parcels that are kept, how many of them move, and how many lie where none of these counts puts them.

        Raises GrowError where state cannot be understood.
        """
        for name, store in self._stores.items():
            for number in sorted(store.partitions):
                if strange := rekey.strange_notes(store, name, number):
                    raise GrowError(f"{name}[{number}]: holds {strange[0]!r}, which this version does not know")
        store = self._stores[topics.PARCELS_CHANGELOG]
        parcels = moving = strays = 0
        for number in sorted(store.partitions):
            for names, homes in rekey.survey(store, number, self._homes, _ROWS):
                parcels, moving = parcels + len(names), moving + int((homes != number).sum())
                elsewhere = [partition_of(names, count) != number for count in counts]
                strays += int(np.logical_and.reduce(elsewhere).sum())
        return parcels, moving, strays

    # Growing

    def run(self, plan: Plan, producers_s: float) -> None:
        """Do what there is to do. producers_s: for how long producers may not know yet of partitions that were added.

        Raises what `look` does; then it may be run again.
        """
        self._mark(plan, min(plan.counts[name] for name in _CHANGELOGS))
        self._grow(plan)
        # Whoever has added partitions, this run, one that was killed or a person, producers may not know of them yet.
        until = time.monotonic() + (producers_s if plan.added else 0)
        self._start_committing()
        self._restore(plan.partitions)
        self._survey({plan.was, plan.partitions, *plan.counts.values()})
        self._move(plan)
        self._rewrite(until)
        self._say(f"done: the state is kept for {plan.partitions} partitions")
        for store in self._stores.values():
            numbers = sorted(store.partitions)
            store.put(numbers, [MARK] * len(numbers), [Parted(plan.partitions).encode()] * len(numbers))
        self._commit(Epoch())

    def _mark(self, plan: Plan, count: int) -> None:
        """From here on no worker goes on with this state, and none has it."""
        self._say("marking the state: no worker starts until this is done")
        mark = {"key": MARK, "value": Parted(plan.was, plan.partitions).encode()}
        epoch = Epoch()
        for name in _CHANGELOGS:
            for number in range(count):
                epoch.messages[name, number].append(dict(mark))
        self._close()
        self._commit(epoch)
        self._await_empty()  # one may have started meanwhile

    def _grow(self, plan: Plan) -> None:
        changelogs = [name for name in _CHANGELOGS if plan.counts[name] < plan.partitions]
        self._add_partitions(plan, changelogs)
        self._start_committing()  # a producer that knew of fewer partitions refuses others
        self._mark(plan, plan.partitions)
        self._add_partitions(plan, [name for name in GROWN if name not in (*_CHANGELOGS, *INPUT_TOPICS)])
        self._add_partitions(plan, INPUT_TOPICS)

    def _add_partitions(self, plan: Plan, names: Sequence[str]) -> None:
        fewer = [name for name in names if plan.counts[name] < plan.partitions]
        if not fewer:
            return
        self._say(f"adding partitions: {', '.join(fewer)}")
        self._cluster.grow(fewer, plan.partitions)
        deadline = time.monotonic() + _LEADERS_S
        while late := [name for name, each in self._cluster.topics(fewer).items()
                       if not (each.led and each.partitions == plan.partitions)]:  # fmt: skip
            if time.monotonic() > deadline:
                raise GrowError(
                    f"{', '.join(late)}: partitions have no leader after {_LEADERS_S:.0f} s; run this again"
                )
            time.sleep(0.05)

    def _move(self, plan: Plan) -> None:
        """Bring every record to its partition."""
        rekey.share_notes(self._stores[topics.PARCELS_CHANGELOG], plan.partitions)
        self._commit(Epoch())
        for name, store in self._stores.items():
            self._say(f"moving: {name}")
            moved = 0
            for number in range(plan.partitions):
                for written in rekey.MOVES[name](store, number, self._homes, _ROWS):
                    moved += written
                    self._moved += written
                    if self._moved >= _COMMIT_BYTES:
                        self._commit(Epoch())
                self._advance(f"moving {store.name}", (number + 1) / plan.partitions, moved)
            self._commit(Epoch())

    def _rewrite(self, until: float) -> None:
        """Put what is unread into its partitions, until all producers know of them."""
        self._say("unread: what is in another partition now is written anew")
        last = False
        while not last:
            last = time.monotonic() >= until
            for epoch in self._unread.rewritten():
                self._commit(epoch)
                self._say(f"unread: {epoch.rows:,} records written anew")
            if not last:
                left = until - time.monotonic()
                self._say(f"unread: producers may not know of the new partitions for another {left:.0f} s")
                time.sleep(min(max(left, 0), _LOOK_EVERY_S))

    def _commit(self, epoch: Epoch) -> None:
        epoch.send(topics.OBSERVATIONS, rekey.owed(self._homes))
        super()._commit(epoch)
        self._moved = 0
