"""What runs gave: a table for people, JSON for programs, both with machine and versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import confluent_kafka
import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.contract import Contestant, Loaded, Result
from streams.ops.broker import jars

PACKAGES = ("confluent-kafka", "faust-streaming", "aiokafka", "polars", "msgspec", "orjson", "rocksdict", "numpy")
PLAIN, LOOP = "plain_faust", "hand_loop"


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds of one contestant."""

    name: str
    events: int
    bytes_mean: float
    events_per_s: float
    wall_s: float
    cpu_s_per_million: float
    rss_mb: float
    alerts: int | None
    rounds: list[dict[str, float]]


def summary(contestant: Contestant, loaded: Loaded, results: Sequence[Result]) -> Summary:
    """Medians of what the rounds gave."""
    return Summary(
        name=contestant.NAME,
        events=loaded.events,
        bytes_mean=loaded.bytes_mean,
        events_per_s=median(each.events / each.wall_s for each in results),
        wall_s=median(each.wall_s for each in results),
        cpu_s_per_million=median(each.cpu_s / each.events * 1e6 for each in results),
        rss_mb=max(each.rss_mb for each in results),
        alerts=None if results[-1].alerted is None else len(results[-1].alerted),
        rounds=[{"wall_s": round(each.wall_s, 3), "cpu_s": round(each.cpu_s, 3)} for each in results],
    )


def show(console: Console, summaries: Mapping[str, Summary], contestants: Mapping[str, Contestant]) -> None:
    """Print the table."""
    table = Table(title="Medians; × = times the events/s of", title_justify="left", caption_justify="left")
    table.add_column("contestant", no_wrap=True)
    columns = ("events", "B each", "seconds", "events/s", "× plain Faust", "× hand loop", "CPU s per M", "MB", "alerts")
    for column in columns:
        table.add_column(column, justify="right")
    for each in summaries.values():
        table.add_row(
            each.name,
            f"{each.events:,}",
            f"{each.bytes_mean:,.0f}",
            f"{each.wall_s:.1f}",
            f"{each.events_per_s:,.0f}",
            _ratio(each, summaries.get(PLAIN)),
            _ratio(each, summaries.get(LOOP)),
            f"{each.cpu_s_per_million:,.1f}",
            f"{each.rss_mb:,.0f}",
            "-" if each.alerts is None else f"{each.alerts:,}",
        )
    console.print(table)
    for file in summaries:
        console.print(f"[bold]{contestants[file].NAME}[/bold]: {contestants[file].DOC}", highlight=False)


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


def write_json(
    path: Path, command: Sequence[str], about: Mapping[str, Mapping[str, str]], summaries: Mapping[str, Summary]
) -> None:
    """Everything, for a program."""
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(command),
        **about,
        "results": {file: asdict(each) for file, each in summaries.items()},
    }
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
