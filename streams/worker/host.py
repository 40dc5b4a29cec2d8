"""What the tasks beside the flow need from their worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from streams.flow.batches import Batch
from streams.flow.pipeline import Parcels
from streams.kafka.transport.grouping import Partition
from streams.metrics import Metrics
from streams.settings import Settings
from streams.worker.epoch import EpochStep

T = TypeVar("T")


class Host(Protocol):
    """A worker, as its tasks see it."""

    settings: Settings
    metrics: Metrics
    parcels: Parcels
    assigned: frozenset[Partition]
    committed: dict[Partition, int]
    read: dict[Partition, int]
    arrived_at: dict[int, float]
    commits: int

    @property
    def ready(self) -> bool:
        """Assigned and caught up."""

    @property
    def waits_for(self) -> str:
        """Why it is not ready, as text."""

    def state_entries(self) -> Mapping[str, int]:
        """Entries by store, estimated. Only while it is ready."""

    def state_older(self) -> Mapping[str, int]:
        """Partitions by store that may hold values of an earlier format. Only while it is ready."""

    def state_bytes(self) -> Mapping[str, int]:
        """Bytes on disk by store."""

    def disk_bytes(self) -> tuple[int, int]:
        """Free bytes, and all bytes, of the disk that holds the state."""

    async def run(self, step: Callable[..., T], *args: Any) -> T:
        """Run a step off the event loop."""

    def step(self, batches: Sequence[Batch]) -> AbstractAsyncContextManager[EpochStep]:
        """The open epoch, for one step over these batches."""

    async def keep_up(self) -> None:
        """Commit the end offsets of idle partitions."""

    def fail(self, error: BaseException) -> None:
        """Stop the worker: it cannot go on."""
