"""Whether an entity with very many observations slows others: one sender with a million parcels.

The histories' own step over a store in memory, in CPU time of its thread, so that what else the machine does matters
little. Beside it the same number of observations by as many senders.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import report
from streams.flow.fold import histories
from streams.flow.layout import OBSERVATION, SENDER
from streams.settings import Settings
from streams.state.store import MemoryStore

START = 1_762_099_200_000
EVERY_MS = 2_000  # a parcel each two seconds: a million in three weeks
LATE_MS = 6 * 3_600_000
BATCHES = (1, 100, 10_000)
TRIES = {1: 40, 100: 20, 10_000: 3}
console = Console(stderr=not sys.stdout.isatty(), width=120)


def main(
    observations: Annotated[int, typer.Option(min=200_000, help="Of the one sender.")] = 1_000_000,
) -> None:
    """Cost of an event of a sender with very many, as their number grows."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    table = Table(title="CPU us an observation, in batches of so many; facts: sent for one that comes late")
    for name in ("sender's", *(f"in {size:,}" for size in BATCHES), "one late", "facts", "state kB", "RSS MB"):
        table.add_column(name, justify="right")
    table.add_row("many senders", *_cells(Hot(spread=True), observations // 10))
    hot = Hot()
    for _ in range(5):
        cells = _cells(hot, observations // 5)
        table.add_row(f"{hot.number:,}", *cells)
    console.print(table)


class Hot:
    """A history that grows. spread: each observation is of a sender of its own."""

    def __init__(self, *, spread: bool = False) -> None:
        self.number = 0
        self._spread = spread
        self._store = MemoryStore()
        self._rows_max = Settings.model_fields["observations_per_bucket_max"].default

    def step(self, count: int, *, late_ms: int = 0) -> tuple[float, int]:
        """So many more, in one batch; CPU seconds, and facts that were sent."""
        rows = np.zeros(count, dtype=OBSERVATION)
        numbers = np.arange(self.number, self.number + count)
        rows["at"] = START + numbers * EVERY_MS - late_ms
        rows["parcel"] = np.char.mod("SF:%d", numbers)
        rows["event"], rows["live"], rows["kind"] = numbers + 1, 1, SENDER
        rows["entity"] = _mixed(numbers) if self._spread else 7
        rows["a"], rows["b"], rows["place"] = 1 + numbers % 5, 1 + numbers % 3, 440_111
        self.number += count
        started = time.thread_time()
        facts = histories.fold(self._store, rows, np.zeros(count, dtype=np.int64), bucket_rows_max=self._rows_max)
        return time.thread_time() - started, len(facts.rows)

    def state_kb(self) -> float:
        """Of all values."""
        return sum(len(value) for value in self._store._values[0].values()) / 1e3


def _cells(hot: Hot, more: int) -> list[str]:
    end = hot.number + more
    while hot.number < end:
        hot.step(min(10_000, end - hot.number))
    costs = [sum(hot.step(size)[0] for _ in range(TRIES[size])) / TRIES[size] / size * 1e6 for size in BATCHES]
    late, facts = hot.step(1, late_ms=LATE_MS)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return [*(f"{cost:,.1f}" for cost in (*costs, late * 1e6)), f"{facts:,}", f"{hot.state_kb():,.0f}", f"{rss:,.0f}"]


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    return (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
