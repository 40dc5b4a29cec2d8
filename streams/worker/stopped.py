"""The state of a group whose workers are all stopped, in the hands of one command.

It has a folder and a committer of its own, and no place in the group. Commands of this kind share one name, so one that
starts fences another, and what was left open by one that was killed is taken back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from schemas.errors import WaybillError
from streams.kafka import naming
from streams.kafka.cluster import Cluster, Place
from streams.kafka.config import client, producing
from streams.kafka.groups import Outsider, emptied
from streams.kafka.restore import restore
from streams.settings import Settings
from streams.worker.commit import CommitError, Committer
from streams.worker.epoch import Epoch
from streams.worker.instance import claimed
from streams.worker.parts import stores_of

_INSTANCE = ".grow"  # as no worker can be called
_CONSUMER_SESSION_S = 45.0  # of KIP-848, which the broker sets
_TOGETHER = 8  # partitions that are read together
_TRANSACTION_MS = 60_000

Advance = Callable[[str, float, int], None]
"""Step, share done, rows."""


class UnfinishedError(WaybillError):
    """A transaction that did not go through; the message says to run the command again."""


class Stopped:
    """A context manager, which gives its folder and connections back."""

    def __init__(self, settings: Settings, *, say: Callable[[str], None], advance: Advance) -> None:
        """say: told of each phase as it begins. advance: of how far a step is."""
        self._settings = settings.model_copy(update={"instance": _INSTANCE, "transaction_timeout_ms": _TRANSACTION_MS})
        self._say, self._advance = say, advance
        self._config = client(self._settings)
        self._cluster = Cluster({**self._config, "log_level": 0})
        self._stores = stores_of(self._settings)
        self._folder = settings.state_dir / settings.group / _INSTANCE
        self._outsider = Outsider(self._config, settings.group)

    def __enter__(self) -> Self:
        claimed(self._settings)  # another run on this machine
        shutil.rmtree(self._folder, ignore_errors=True)  # one that was left may be older than deletions are kept
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outsider.close()
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _await_empty(self) -> None:
        session_s = self._settings.session_timeout_ms / 1000
        if self._settings.group_protocol == "consumer":
            session_s = max(session_s, _CONSUMER_SESSION_S)
        emptied(self._cluster, self._settings.group, session_s, self._say)

    def _start_committing(self) -> None:
        """Fence another run, and take back what one that was killed left open."""
        config = {**self._config, **producing(self._settings)}
        name = naming.of(self._settings.group, "grow")
        self._committer = Committer(config, name, self._stores, native=self._settings.native)
        self._committer.start()

    def _commit(self, epoch: Epoch) -> None:
        """Commit an epoch with all changes of the state. Raises UnfinishedError."""
        deltas = {topic: store.close_epoch() for topic, store in self._stores.items()}
        try:
            self._committer.commit(epoch, deltas, self._outsider.metadata)
        except CommitError as error:
            raise UnfinishedError(f"{error}; run this again: it goes on where it stands") from error

    def _restore(self, count: int, resumed: Mapping[Place, int] | None = None, parted: int | None = None) -> None:
        """Bring the stores of so many partitions to the ends of their changelogs, whoever wrote there last."""
        self._close()
        records = 0
        for first in range(0, count, _TOGETHER):
            numbers = set(range(first, min(first + _TOGETHER, count)))
            records += restore(self._config, self._stores, numbers, lambda: False, resumed=resumed, parted=parted)
            self._advance("reading state", (max(numbers) + 1) / count, records)

    def _close(self) -> None:
        for store in self._stores.values():
            store.close_all()
