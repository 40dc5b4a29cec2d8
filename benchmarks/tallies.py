"""What tallies and the random arm cost: the step of the parcels without them, with tallies, and with both.

All take the same batches in turn, over stores in memory, in CPU time. Publishing comes apart: a tally that has changed
is published so often at most, so its cost goes with outlets and time, and not with events.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import report, traffic
from benchmarks.native import NOW_MS, batches_of
from rules import load_catalogue
from streams.flow.batches import Batch
from streams.flow.describe.describer import Describer
from streams.flow.orders import Orders
from streams.flow.pipeline import Histories, Parcels
from streams.settings import Settings
from streams.state.store import MemoryStore

HOME = ("4401",)
WARMING = 3  # batches that are not counted
KEY, SHARE = bytes(32), 0.01
console = Console(stderr=not sys.stdout.isatty(), width=120)


def main(
    parcels: Annotated[int, typer.Option(min=1, help="Parcels, of about 8 events each.")] = 130_000,
    seed: Annotated[int, typer.Option(help="Of the traffic.")] = traffic.SEED,
) -> None:
    """CPU of a step with and without tallies and the random arm."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    runs = [Run("neither"), Run("tallies", tally_ms=60_000), Run("both", tally_ms=60_000, orders=True)]
    events = 0
    for number, batches in enumerate(batches_of(parcels, 0.0, seed)):
        turn = number % len(runs)
        for run in [*runs[turn:], *runs[:turn]]:
            run.step(batches)
        if number < WARMING:
            for run in runs:
                run.cpu_s = 0.0
        else:
            events += sum(len(batch.values) for batch in batches)
    table = Table(title=f"{events:,} events, seed {seed}")
    for name in ("", "CPU us an event", "more", "orders", "tallies", "us a tally published"):
        table.add_column(name, justify="right")
    for run in runs:
        us, more = run.cpu_s / events * 1e6, run.cpu_s / runs[0].cpu_s - 1
        tallies, each_us = run.publish()
        table.add_row(run.name, f"{us:.2f}", f"{more:+.1%}", f"{run.orders:,}", f"{tallies:,}", f"{each_us:.1f}")
    console.print(table)


class Run:
    """The parcels of a worker that has all partitions."""

    def __init__(self, name: str, *, tally_ms: int = 0, orders: bool = False) -> None:
        settings = Settings(partitions=traffic.PARTITIONS, home_adcodes=HOME)
        catalogue = load_catalogue()
        self.name, self.cpu_s, self.orders = name, 0.0, 0
        self._parcels = Parcels(
            MemoryStore(),
            catalogue,
            Describer.of(settings, catalogue.columns),
            Histories(MemoryStore(), bucket_rows_max=settings.observations_per_bucket_max, native=settings.native),
            partitions=settings.partitions,
            emit_from=settings.emit_from,
            event_bytes_max=settings.event_bytes_max,
            tally_ms=tally_ms,
            orders=Orders(KEY, SHARE, HOME) if orders else None,
        )
        self._parcels.co_located = frozenset(range(settings.partitions))

    def step(self, batches: Sequence[Batch]) -> None:
        """One step, as a worker's: read ahead, then judged."""
        started = time.process_time()
        judged = self._parcels.step([self._parcels.read_ahead(batch) for batch in batches], NOW_MS)
        self.cpu_s += time.process_time() - started
        self.orders += len(judged.orders)

    def publish(self) -> tuple[int, float]:
        """All tallies; how many, and CPU microseconds for each."""
        if self._parcels.tallies is None:
            return 0, 0.0
        started = time.process_time()
        count = len(self._parcels.tallies.flush())
        return count, (time.process_time() - started) / count * 1e6
