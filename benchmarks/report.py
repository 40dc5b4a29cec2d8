"""What runs gave: JSON that has everything, and tables made of that alone."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import confluent_kafka
import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.contract import Contestant, Gives, Kind, Loaded, Result
from streams.ops.broker import jars

PACKAGES = ("confluent-kafka", "faust-streaming", "aiokafka", "polars", "msgspec", "orjson", "rocksdict", "numpy")
PLAIN, LOOP, CHANGELOG = "plain_faust", "hand_loop", "hand_loop_changelog"
_BEYOND = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """From event to alert, at a third of the contestant's events/s; None where there were too few alerts to say."""

    events_per_s: float
    alerts: int
    p50_ms: float
    p99_ms: float | None
    p999_ms: float | None
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds of one contestant."""

    name: str
    doc: str
    gives: Gives
    traffic: Kind
    events: int
    bytes_mean: float
    events_per_s: float
    wall_s: float
    cpu_s_per_million: float
    warm_events_per_s: float  # over the second half
    warm_cpu_s_per_million: float
    rss_mb: float  # largest of all rounds
    start_s: float
    alerts: int | None
    rounds: list[dict[str, float]]
    latency: Latency | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a command gave."""

    at: str
    command: str
    machine: dict[str, str]
    versions: dict[str, str]
    results: dict[str, Summary]
    not_run: dict[str, str]  # contestants by file, with the reason


def summary(contestant: Contestant, loaded: Loaded, results: Sequence[Result]) -> Summary:
    """Medians of what the rounds gave."""
    runs = [each.measured for each in results]
    return Summary(
        name=contestant.NAME,
        doc=contestant.DOC,
        gives=contestant.GIVES,
        traffic=contestant.TRAFFIC,
        events=loaded.events,
        bytes_mean=loaded.bytes_mean,
        events_per_s=median(loaded.events / each.wall_s for each in runs),
        wall_s=median(each.wall_s for each in runs),
        cpu_s_per_million=median(each.cpu_s / loaded.events * 1e6 for each in runs),
        warm_events_per_s=median(each.warm_events_per_s for each in runs),
        warm_cpu_s_per_million=median(each.warm_cpu_s_per_million for each in runs),
        rss_mb=max(each.rss_mb for each in runs),
        start_s=median(each.start_s for each in runs),
        alerts=None if results[-1].alerted is None else len(results[-1].alerted),
        rounds=[{"wall_s": round(each.wall_s, 3), "cpu_s": round(each.cpu_s, 3)} for each in runs],
    )


def latency(events_per_s: float, took_s: Sequence[float]) -> Latency:
    """Percentiles, each where at least three alerts took longer."""
    ms = sorted(each * 1_000 for each in took_s)

    def percentile(share: float) -> float | None:
        return ms[int(len(ms) * share)] if len(ms) * (1 - share) >= _BEYOND else None

    return Latency(events_per_s, len(ms), median(ms), percentile(0.99), percentile(0.999), ms[-1])


def show(console: Console, report: Report) -> None:
    """Print the table, and who is who."""
    table = Table(title="Medians; × = times the events/s of", title_justify="left")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=number == 0)
    for row in rows(report):
        table.add_row(*row)
    console.print(table)
    for each in report.results.values():
        console.print(f"[bold]{each.name}[/bold]: {each.doc}", highlight=False)
    for file, reason in report.not_run.items():
        console.print(f"[bold]not run: {file}[/bold]: {reason}", highlight=False)


def markdown(report: Report) -> str:
    """The same table as RESULTS.md has it, without its title."""
    lines = [COLUMNS, ("---", *["--:"] * (len(COLUMNS) - 1)), *rows(report)]
    notes = [f"- **{each.name}**: {each.doc}." for each in report.results.values()]
    missing = [f"- not run: {file}: {reason}" for file, reason in report.not_run.items()]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in lines), "", *notes, *missing])


COLUMNS = (
    *("contestant", "alerts come", "state", "events", "events/s", "2nd half"),
    *("× plain Faust", "× loop", "× its changelog", "CPU s per M", "2nd half"),
    *("MB", "start s", "p50 ms", "p99", "p99.9", "alerts"),
)


def rows(report: Report) -> Iterator[tuple[str, ...]]:
    """The cells of each contestant, those not run last."""
    peers = [report.results.get(file) for file in (PLAIN, LOOP, CHANGELOG)]
    for each in report.results.values():
        took = each.latency
        times = (took.p50_ms, took.p99_ms, took.p999_ms) if took else (None, None, None)
        yield (
            each.name,
            "-" if each.gives.alerts == "none" else each.gives.alerts,
            "durable" if each.gives.durable else "-",
            f"{each.events:,}",
            f"{each.events_per_s:,.0f}",
            f"{each.warm_events_per_s:,.0f}",
            *(_ratio(each, peer) for peer in peers),
            f"{each.cpu_s_per_million:,.1f}",
            f"{each.warm_cpu_s_per_million:,.1f}",
            f"{each.rss_mb:,.0f}",
            f"{each.start_s:.1f}",
            *("-" if ms is None else f"{ms:,.0f}" for ms in times),
            "-" if each.alerts is None else f"{each.alerts:,}",
        )
    for file in report.not_run:
        yield (file, "not run", *["-"] * (len(COLUMNS) - 2))


def _ratio(each: Summary, other: Summary | None) -> str:
    return "-" if other is None else f"{each.events_per_s / other.events_per_s:.2f}"


def machine() -> dict[str, str]:
    """Where it ran."""
    return {
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def versions() -> dict[str, str]:
    """What ran."""
    return {
        "python": platform.python_version(),
        "Apache Kafka": jars.WANTED[0].rpartition(":")[2],
        "librdkafka": str(confluent_kafka.libversion()[0]),
        **{name: version(name) for name in PACKAGES},
    }


def write(path: Path, report: Report) -> None:
    """Everything, for programs and for `read`."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def read(path: Path) -> Report:
    """What `write` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def now() -> str:
    """For `Report.at`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
