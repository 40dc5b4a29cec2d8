"""Whether the native front end changes anything but the time: the whole flow with it and without it, side by side.

Both take the same batches in turn, over stores in memory, and of each a digest is kept of all that it puts into its two
stores (which is what a changelog gets), of its alerts, and of its rejects. Some records are spoiled on the way.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import typer
import xxhash
from rich.console import Console
from rich.table import Table

from benchmarks import report, traffic
from rules import load_catalogue
from schemas.inputs import INPUTS
from schemas.records import encode
from streams.flow.batches import Batch
from streams.flow.describe.describer import Describer
from streams.flow.pipeline import Histories, Parcels
from streams.generate import generate
from streams.native import Switch
from streams.settings import Settings
from streams.state.store import MemoryStore

BATCH_ROWS: Final = 20_000
NOW_MS: Final = 1_800_000_000_000
console = Console(stderr=not sys.stdout.isatty(), width=120)


def main(
    parcels: Annotated[int, typer.Option(min=1, help="Parcels, of about 8 events each.")] = 130_000,
    spoiled: Annotated[float, typer.Option(min=0, max=1, help="Share of records that are spoiled.")] = 0.01,
    seed: Annotated[int, typer.Option(help="Of the traffic.")] = traffic.SEED,
) -> None:
    """Digests of changelog, alerts and rejects with the native front end and without it, and what both cost."""
    console.print(f"{report.machine()} {report.versions()}", highlight=False)
    runs = [Run("1"), Run("0")]
    events = 0
    for number, batches in enumerate(batches_of(parcels, spoiled, seed)):
        events += sum(len(batch.values) for batch in batches)
        for run in runs if number % 2 else reversed(runs):
            run.step(batches)
    table = Table(title=f"{events:,} events, {spoiled:.1%} of them spoiled, seed {seed}")
    for name in ("front end", "CPU us an event", "of it reading", "strange", "alerts", "rejects", "digests"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(
            run.name, f"{run.cpu_s / events * 1e6:.2f}", f"{run.reading_s / events * 1e6:.2f}", f"{run.strange:,}",
            f"{run.alerts:,}", f"{run.rejects:,}", " ".join(each[:12] for each in run.digests()),
        )  # fmt: skip
    console.print(table)
    if runs[0].digests() != runs[1].digests():
        console.print("the digests differ", style="red")
        raise typer.Exit(1)
    console.print("the digests of stores, alerts and rejects are equal", highlight=False)


class Run:
    """The flow of a worker that has all partitions."""

    def __init__(self, switch: Switch) -> None:
        settings = Settings(native=switch, partitions=traffic.PARTITIONS, emit_from="low")
        catalogue = load_catalogue()
        self._stores = Noted(), Noted()
        histories = Histories(self._stores[1], bucket_rows_max=settings.observations_per_bucket_max, native=switch)
        self._parcels = Parcels(
            self._stores[0],
            catalogue,
            Describer.of(settings, catalogue.columns),
            histories,
            partitions=settings.partitions,
            emit_from=settings.emit_from,
            event_bytes_max=settings.event_bytes_max,
        )
        self._parcels.co_located = frozenset(range(settings.partitions))
        self._said = hashlib.sha256()
        self._refused = hashlib.sha256()
        self.name = "native" if self._parcels.front.native else "Python"
        self.cpu_s = self.reading_s = 0.0
        self.alerts = self.rejects = self.strange = 0

    def step(self, batches: Sequence[Batch]) -> None:
        """One step, as a worker's: read ahead, then judged."""
        started = time.process_time()
        ahead = [self._parcels.read_ahead(batch) for batch in batches]
        read = time.process_time()
        judged = self._parcels.step(ahead, NOW_MS)
        self.cpu_s += time.process_time() - started
        self.reading_s += read - started
        for emitted in judged.alerts:
            self._said.update(emitted.key + emitted.value)
        for reject in judged.rejects:
            self._refused.update(encode(reject))
        self.alerts += len(judged.alerts)
        self.rejects += len(judged.rejects)
        self.strange += judged.strange

    def digests(self) -> list[str]:
        """Of what is put into the stores of parcels and histories, of alerts, and of rejects."""
        return [each.hexdigest() for each in (*(store.digest for store in self._stores), self._said, self._refused)]


class Noted(MemoryStore):
    """A store that keeps a digest of all that is put into it, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.sha256()

    def put(self, partitions: Sequence[int], keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        super().put(partitions, keys, values)
        self.digest.update(repr(list(partitions)).encode() + b"\n".join(keys) + b"\n".join(values))


def batches_of(parcels: int, spoiled: float, seed: int) -> Iterator[list[Batch]]:
    """Generated traffic, as a worker fetches it: by topic and partition, some thousand records at a time."""
    chance = random.Random(seed)
    offsets: dict[tuple[str, int], int] = {}
    for chunk in generate(parcels, seed):
        of: dict[tuple[str, int], list[bytes | None]] = {}
        for each in INPUTS:
            for key, text in traffic.lines(chunk.frame(each.kind)):
                partition = xxhash.xxh3_64_intdigest(key.encode()) % traffic.PARTITIONS
                value = text.encode()
                of.setdefault((each.topic, partition), []).append(
                    _spoil(value, chance) if chance.random() < spoiled else value
                )
        while any(of.values()):
            batches = []
            for place, values in of.items():
                first, part = offsets.get(place, 0), values[: BATCH_ROWS // len(of)]
                batches.append(Batch(*place, range(first, first + len(part)), part, [NOW_MS] * len(part)))
                offsets[place] = first + len(part)
                del values[: len(part)]
            yield [batch for batch in batches if batch.values]


def _spoil(value: bytes, chance: random.Random) -> bytes | None:
    """A byte changed, a piece cut out, or nothing left."""
    at = chance.randrange(len(value))
    match chance.randrange(4):
        case 0:
            return value[:at] + chance.randbytes(1) + value[at + 1 :]
        case 1:
            return value[:at] + value[at + chance.randrange(1, 9) :]
        case 2:
            return value.replace(b"null", b'""', 1)
    return None
