"""Versions of the shipped code made wrong on purpose, each a change of one place, for which a seed must be found.

A change that finds its place no more is an error, so that a mutant never goes quietly.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from streams.flow import orders, pipeline
from streams.flow.fold import tallies
from streams.kafka import config, producer, restore
from streams.kafka.transport import committed, poller
from streams.state import partition, rocks
from streams.worker import commit, epoch, worker


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old` becomes `new` in the function `name` of `owner`, a module or a class of `module`."""

    what: str
    module: Any
    owner: Any
    name: str
    old: str
    new: str
    first: int = 0  # seed to begin with: the first that finds it, unless that is found soon
    judging: bool = False  # only agents that judge do this


_COMMIT, _EPOCH, _WORKER, _PRODUCER = commit.Committer, epoch.Epoch, worker.Worker, producer.Transactions
_TALLIES, _ORDERS = tallies.Tallies, orders.Orders

MUTANTS = (
    Mutant("state is written before the commit (6 before 5)", commit, _COMMIT, "commit",
           "kafka.commit()  # 5", "[self._stores[t].committed(d, {n: ends[t, n] for n in d})"
           " for t, d in deltas.items()]; self.write(); kafka.commit(); deltas = {}", 20),
    Mutant("offsets are sent without the group's metadata", commit, _COMMIT, "commit",
           "epoch.offsets, group_metadata", "epoch.offsets, None", 30),
    Mutant("offsets are not sent at all", commit, _COMMIT, "commit",
           "kafka.send_offsets(epoch.offsets, group_metadata, topic_ids)  # 4", "pass"),
    Mutant("a commit that was not answered is taken for done", producer, _PRODUCER, "_until",
           "if not cause(error).retriable() or time.monotonic() > deadline:",
           "if True:\n                    return\n                if False:", 20),
    Mutant("what is committed while more waits for RocksDB is lost", rocks, rocks.RocksStore, "committed",
           "self._committed[number].merge(changes)", "pass"),
    Mutant("what waits for RocksDB is not read", rocks, rocks.RocksStore, "_deltas",
           "self._committed.get(number)", "None"),
    Mutant("damage that was found is forgotten", partition, partition.Partition, "_failed",
           'note_of(self.path).write_text(why, encoding="utf-8")', "pass", 32),
    Mutant("state stands for an offset further than it is", producer, _PRODUCER, "produce_changes",
           "(message.offset() or 0) + 1", "(message.offset() or 0) + 2"),
    Mutant("the last record of a batch is read again", epoch, _EPOCH, "read",
           "batch.offsets[-1] + 1", "batch.offsets[-1]"),
    Mutant("after an abort the next epoch is committed", worker, _WORKER, "_commit",
           "self._life.to(Phase.ABORTED)", "return", 3),
    Mutant("an epoch is closed in the middle of a step", worker, _WORKER, "_commit",
           "async with self._stepping:", "if True:"),
    Mutant("batches of an earlier assignment are read", worker, _WORKER, "step",
           "if self.ready and batch.generation == self._generation", "", 7),
    Mutant("an epoch outlives its assignment", worker, _WORKER, "_before_revoke",
           "self._epoch = Epoch()", "pass", 37),
    Mutant("partitions are given back in the middle of a commit", worker, _WORKER, "_before_revoke",
           "async with self._committing, self._stepping:\n        await self._drain()",
           "async with self._stepping:\n        pass", 5),
    Mutant("nothing is read from the changelog", restore, restore, "_lacking",
           "if offset < high:", "if False:", 3),
    Mutant("the changelog is read from where it is not lacking", restore, restore, "_lacking",
           "max(offset, low)", "max(offset, low) + 2 * (offset > 0)", 3),
    Mutant("state is restored to the last stable offset only", restore, restore, "_lacking",
           "committed=False", "committed=True", 54),
    Mutant("state is restored from what was not committed", restore, restore, "_bring",
           "committed=True", "committed=False"),
    Mutant("uncommitted records are read", config, poller, "polling",
           '"isolation.level": "read_committed"', '"isolation.level": "read_uncommitted"'),
    Mutant("an assignment begins at its beginning, whatever is committed", committed, poller, "committed",
           "if each.offset < 0:", "if True:"),
    Mutant("lost partitions are not taken away", poller, poller.Poller, "_lose",
           "self._on_revoked(set(self.assigned), True)", "pass", 5),
    Mutant("an offset is written before what it stands for", partition, partition.Partition, "write",
           "batch = WriteBatch(raw_mode=True)",
           "batch = WriteBatch(raw_mode=True)\n    if offset is not None:\n"
           "        batch.put(OFFSET, offset.to_bytes(8, 'big'))\n"
           "        self._db.write(batch, self._write_options)\n        batch = WriteBatch(raw_mode=True)"),
    Mutant("a delta that is written meanwhile is missed", rocks, rocks.RocksStore, "_cold",
           "deltas = self._deltas(number)\n    found: Sequence[bytes | None] = self._partitions[number].read(keys)",
           "found = self._partitions[number].read(keys)\n    deltas = self._deltas(number)", 230),
    Mutant("a parcel counts again for what it counted for already", tallies, _TALLIES, "count",
           "bits & ~before), np.where", "bits), np.where", judging=True),
    Mutant("a parcel does not remember what it counts for", tallies, _TALLIES, "count",
           'heads["tallied"][rows], heads["tallied_day"]', '_, heads["tallied_day"]', judging=True),
    Mutant("a parcel that was moved counts at both outlets", tallies, _TALLIES, "count",
           "there[left] = counts.find", "lost[left] = 0; there[left] = counts.find", 139, judging=True),
    Mutant("tallies begin at 0 when a partition is taken over", tallies, _TALLIES, "restored",
           'self._counts.add(at, heads["tallied"], 1)', "pass", 3, judging=True),
    Mutant("tallies outlive their assignment", pipeline, pipeline.Parcels, "close",
           "self.tallies.close()", "pass", 3, judging=True),
    Mutant("tallies that were not published are lost with their worker", tallies, _TALLIES, "restored",
           'self._counts.add(at, heads["tallied"], 1)',
           'self._counts.add(at, heads["tallied"], 1); self._counts.changed[:] = False', 3, judging=True),
    Mutant("tallies are published outside their epoch", epoch, epoch.EpochStep, "tallied",
           "self._epoch.passed(len(tallies))", "self._epoch.messages.clear()", judging=True),
    Mutant("the random arm is drawn by a seed that each process makes up", orders, _ORDERS, "_seed",
           "seed_of(self._key, day)", "str(id(self)).encode()", judging=True),
    Mutant("the random arm is drawn without a key", orders, orders, "chosen",
           "seed + parcel", "parcel", judging=True),
    Mutant("a parcel is drawn again when it is read again", orders, _ORDERS, "draw",
           '(scans["id"] != heads["drawn"][rows]) & (', "(", judging=True),
    Mutant("the first draw stands, whatever comes late", orders, _ORDERS, "draw",
           'scans["id"] != heads["drawn"][rows]', 'heads["drawn"][rows] == 0', 2, judging=True),
    Mutant("an order is not taken back", orders, _ORDERS, "draw",
           "(before > 0) | (after > 0)", "(after > 0)", 2, judging=True),
    Mutant("an order does not follow its parcel", orders, _ORDERS, "draw",
           "(news | moves) &", "news &", judging=True),
)  # fmt: skip


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The code with this mutant in it."""
    function = inspect.getattr_static(mutant.owner, mutant.name)
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    if source.count(mutant.old) != 1:
        raise LookupError(f"{mutant.what}: {source.count(mutant.old)} places hold {mutant.old!r}")
    made: dict[str, Any] = {}
    exec(compile(source.replace(mutant.old, mutant.new), f"<{mutant.what}>", "exec"), mutant.module.__dict__, made)
    with mock.patch.object(mutant.owner, mutant.name, made[mutant.name]):
        yield
