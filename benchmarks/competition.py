"""The contestants in turn, round by round, then each with a pace; what is known is written after every step."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from benchmarks import report, traffic
from benchmarks.contract import BenchmarkError, Contestant, Context, Kind, Loaded, Pace, Result
from benchmarks.peers.environments import UnavailableError
from streams.kafka import admin
from streams.ops.broker import PrivateKafka

WARM_UP_S = 5.0  # a JVM compiles what it runs


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each traffic: shipments, the first so many of them, parcels (about 8 events each)."""

    shipments: int
    prefix: int
    everything: int

    @classmethod
    def of(cls, shipments: int) -> Sizes:
        """In proportion, but for a prefix that keeps what is slow busy for seconds."""
        return cls(shipments, min(shipments, max(24_000, shipments * 6 // 100)), max(1, shipments * 15 // 100))


class Competition:
    """Contestants and what they gave. One that fails is left out of the rest, and named with its reason."""

    def __init__(self, contestants: Mapping[str, Contestant], console: Console, json: Path | None = None) -> None:
        self.not_run: dict[str, str] = {}
        self.summaries: dict[str, report.Summary] = {}
        self._contestants = dict(contestants)
        self._results: defaultdict[str, list[Result]] = defaultdict(list)
        self._console, self._json = console, json
        self._machine, self._versions = report.machine(), report.versions()
        for title, values in (("machine", self._machine), ("versions", self._versions)):
            self._say(f"[bold]{title}[/bold]: " + ", ".join(f"{k} {v}" for k, v in values.items()))

    def prepare(self) -> None:
        """Make the environments."""
        for file, contestant in list(self._contestants.items()):
            with self._leaving_out(file), self._console.status(f"environment of {contestant.NAME}"):
                contestant.ENVIRONMENT.prepare()

    def rounds(self, sizes: Sizes, rounds: int) -> None:
        """Every contestant once per round, with its alerts checked."""
        kinds = dict.fromkeys(each.TRAFFIC for each in self._contestants.values())
        with ExitStack() as stack:
            loaded = {kind: self._load(stack, kind, sizes) for kind in kinds}
            for number in range(1, rounds + 1):
                for file, contestant in list(self._contestants.items()):
                    with self._leaving_out(file), self._console.status(f"{number}/{rounds} {contestant.NAME}"):
                        self._once(file, loaded[contestant.TRAFFIC], number)
                        run = self._results[file][-1].measured
                        rate = self.summaries[file].events / run.wall_s
                        self._say(
                            f"{number}/{rounds} {contestant.NAME}: {rate:,.0f} events/s, {run.cpu_s:.1f} s of CPU, "
                            f"{run.rss_mb:,.0f} MB, started in {run.start_s:.1f} s"
                        )

    def latencies(self, seconds: float) -> None:
        """Each that judges shipments, at a third of its speed."""
        with PrivateKafka(fast_start=False, heap_mb=1_024) as kafka:
            for file, each in list(self.summaries.items()):
                if each.alerts is None or each.traffic == "everything" or file not in self._contestants:
                    continue
                pace = Pace(each.events_per_s / 3, WARM_UP_S, seconds)
                with self._leaving_out(file), self._console.status(f"latency of {each.name}"), _scratch() as scratch:
                    loaded = traffic.load_nothing(kafka.bootstrap_servers)
                    result = self._contestants[file].run(Context(_run(file, "paced"), loaded, scratch, pace))
                    self._paced(file, pace, result.measured.latencies_s)

    def outcome(self) -> report.Report:
        """What is known by now."""
        command = " ".join(["python", "-m", "benchmarks", *sys.argv[1:]])
        return report.Report(report.now(), command, self._machine, self._versions, self.summaries, self.not_run)

    def _once(self, file: str, loaded: Loaded, number: int) -> None:
        contestant, results = self._contestants[file], self._results[file]
        with _scratch() as scratch:
            results.append(contestant.run(Context(_run(file, number), loaded, scratch)))
        check(contestant, loaded, results)
        self._keep(file, report.summary(contestant, loaded, results))

    def _paced(self, file: str, pace: Pace, took_s: tuple[float, ...]) -> None:
        each = self.summaries[file]
        if not took_s:
            self._say(f"{each.name}: no alert fell due in so short a time")
            return
        took = report.latency(pace.events_per_s, took_s)
        self._keep(file, replace(each, latency=took))
        self._say(
            f"{each.name}: {took.alerts:,} alerts at {took.events_per_s:,.0f} events/s, "
            f"half of them within {took.p50_ms:,.0f} ms, worst {took.worst_ms:,.0f} ms"
        )

    def _keep(self, file: str, summary: report.Summary) -> None:
        self.summaries[file] = summary
        if self._json:
            report.write(self._json, self.outcome())

    @contextmanager
    def _leaving_out(self, file: str) -> Iterator[None]:
        try:
            yield
        except (UnavailableError, BenchmarkError) as error:
            contestant = self._contestants.pop(file)
            self.not_run[file] = str(error)
            self._console.print(f"{contestant.NAME} is left out: {error}", style="yellow", markup=False)

    def _load(self, stack: ExitStack, kind: Kind, sizes: Sizes) -> Loaded:
        """Each traffic on a broker of its own: the worker's topics have one name each."""
        loaders: dict[Kind, tuple[Callable[[str, int], Loaded], int]] = {
            "shipments": (traffic.load_shipments, sizes.shipments),
            "prefix": (traffic.load_prefix, sizes.prefix),
            "everything": (traffic.load_everything, sizes.everything),
        }
        load, size = loaders[kind]
        kafka = stack.enter_context(PrivateKafka(fast_start=False, heap_mb=1_024))
        admin.create(kafka.bootstrap_servers, traffic.PARTITIONS)
        with self._console.status(f"loading {kind}"):
            loaded = load(kafka.bootstrap_servers, size)
        self._say(f"{kind}: {loaded.events:,} records of {loaded.bytes_mean:.0f} bytes loaded")
        return loaded

    def _say(self, what: str) -> None:
        self._console.print(what, highlight=False)


def check(contestant: Contestant, loaded: Loaded, results: list[Result]) -> None:
    """Alerts must be those expected, or where nobody says, the same in each round. Raises BenchmarkError."""
    alerted = results[-1].alerted
    expected = loaded.expected if loaded.expected is not None else results[0].alerted
    if alerted is None or expected is None:
        return
    if alerted != expected:
        missing, more = sorted(expected - alerted), sorted(alerted - expected)
        raise BenchmarkError(
            f"{contestant.NAME}: {len(alerted):,} parcels alerted of {len(expected):,} expected; "
            f"{len(missing):,} missing {missing[:3]}, {len(more):,} too many {more[:3]}"
        )


def _run(file: str, what: int | str) -> str:
    return f"benchmark-{file}-{what}".replace("_", "-")


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="waybill-benchmark-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
