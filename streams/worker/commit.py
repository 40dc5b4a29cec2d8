"""The order of effects.

All that a worker does to the outside world for a stretch of input is one *epoch*. Its effects happen in this order:

1. begin a Kafka transaction
2. produce observations, facts, alerts, shadow messages, notices and rejects
3. produce the changelog: the last value of every key that changed, a tombstone for every key that expired
4. send the source offsets to the transaction, with the group's metadata, so that a worker that has lost its
   partitions is refused
5. commit the transaction
6. take the deltas over as committed, with their changelog offsets
7. few partitions at a time, each every few seconds or when much is waiting: write to RocksDB what was committed since,
   merged, with the offset

If a worker dies before 5, nothing has happened: the next one aborts the open transaction and reads the input again. If
it dies between 5 and 7, everything has happened: the next start reads the changelog from the offset in RocksDB.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NoReturn

from schemas.errors import WaybillError
from streams.kafka.producer import TransactionError, Transactions
from streams.native import Switch
from streams.state.rocks import Delta, RocksStore
from streams.worker.epoch import Epoch

WRITTEN_S: Final = 5.0
"""How far RocksDB may lag behind the last commit, and besides by as many commits as a store has partitions."""
_WAITING_MAX: Final = 50_000  # keys of one store: RocksDB takes many neighbours faster, and what waits takes memory


class CommitError(WaybillError):
    """An epoch could not be committed. The worker stops; the next one reads the same input again."""


class AbortedError(CommitError):
    """An epoch was aborted as a whole. Nothing of it happened, and this worker may read its input again."""


class Committer:
    """The only producer of a worker, with the order above. Calls block; one thread at a time."""

    def __init__(
        self,
        config: Mapping[str, object],
        transactional_id: str,
        stores: Mapping[str, RocksStore],
        *,
        native: Switch = "auto",
    ) -> None:
        self._stores = stores  # by changelog topic
        self._kafka = Transactions(config, transactional_id, native=native)
        self._unfinished = False
        self._written_at: dict[str, dict[int, float]] = {topic: {} for topic in stores}

    def start(self) -> None:
        """Fence any earlier holder of the transactional id, and abort its open transaction."""
        self._kafka.start()

    def commit(
        self,
        epoch: Epoch,
        deltas: Mapping[str, Delta],
        group_metadata: object,
        topic_ids: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """All steps for one epoch.

        Raises AbortedError if the transaction failed and was aborted. The state then holds changes that did not happen,
        and must be opened anew. With any other CommitError the outcome is not known, or another worker has taken this
        worker's place; the worker must stop.
        """
        if self._unfinished:
            raise CommitError("an earlier epoch was not finished, and this one would pass over it")
        self._unfinished = True
        kafka = self._kafka
        ends: dict[tuple[str, int], int] = {}
        try:
            kafka.begin()  # 1
            for (topic, partition), messages in epoch.messages.items():  # 2
                kafka.produce(topic, partition, messages)
            for (topic, partition), messages in epoch.dated.items():
                kafka.produce_dated(topic, partition, messages)
            for topic, delta in deltas.items():  # 3
                for partition, changes in delta.items():
                    kafka.produce_changes(topic, partition, changes, ends)
            kafka.deliver()
            kafka.send_offsets(epoch.offsets, group_metadata, topic_ids)  # 4
            kafka.commit()  # 5
        except TransactionError as error:
            self._take_back(epoch, error)
        for topic, delta in deltas.items():  # 6
            self._stores[topic].committed(delta, {number: ends[topic, number] for number in delta})
        for topic, store in self._stores.items():  # 7
            self._write(topic, due(store.waiting, self._written_at[topic], time.monotonic()))
        self._unfinished = False

    def write(self) -> None:
        """Step 7 alone and of all partitions, for when no more epochs come."""
        for topic, store in self._stores.items():
            self._write(topic, list(store.waiting))

    def _write(self, topic: str, numbers: Collection[int]) -> None:
        self._stores[topic].write(numbers)
        self._written_at[topic] |= dict.fromkeys(numbers, time.monotonic())

    def _take_back(self, epoch: Epoch, error: TransactionError) -> NoReturn:
        what = f"transaction of {epoch.rows} records failed: {error}"
        if error.fatal:
            raise CommitError(what) from error
        try:
            self._kafka.abort()
        except TransactionError as again:
            raise CommitError(f"{what}; and it was not aborted: {again}") from error
        if error.denied:
            raise CommitError(what) from error
        self._unfinished = False
        raise AbortedError(what) from error


def due(waiting: Mapping[int, int], written_at: Mapping[int, float], now: float) -> list[int]:
    """The partitions of a store to write now: the one that was written the longest ago, once that is too long; and the
    fullest, while too much waits.

    The next commit waits for a write, and Python stands still while RocksDB takes it, so they are few at a time.
    waiting: keys. written_at, now: seconds.
    """
    found, rest = [], dict(waiting)
    oldest = min(rest, key=lambda number: written_at.get(number, -WRITTEN_S), default=None)
    if oldest is not None and now >= written_at.get(oldest, -WRITTEN_S) + WRITTEN_S:
        found.append(oldest)
        del rest[oldest]
    while sum(rest.values()) >= _WAITING_MAX:
        found.append(max(rest, key=rest.__getitem__))
        del rest[found[-1]]
    return found
