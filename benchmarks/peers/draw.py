"""Plots of a benchmark's JSON, drawn by matplotlib: `draw.py FILE FOLDER [LANGUAGE]`. SVG with text as text."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

OURS, PEER = "#0b6e4f", "#8a99a8"
MARKS = {"p50_ms": ("o", "p50"), "p99_ms": ("|", "p99"), "p999_ms": ("x", "p99.9")}
WORDS = {
    "en": {
        "speed": "events/s", "cpu": "CPU seconds per million events",
        "latency": "ms from event to alert at a third of that speed", "p50": "half", "p99": "99 %", "p99.9": "99.9 %",
        "equal": "exactly once, state durable", "weaker": "weaker guarantees", "ours": "this project",
    },
    "zh": {
        "speed": "每秒事件数", "cpu": "每百万事件的 CPU 秒数",
        "latency": "三分之一速度下从事件到预警的毫秒数", "p50": "50 %", "p99": "99 %", "p99.9": "99.9 %",
        "equal": "恰好一次，状态持久", "weaker": "保证较弱", "ours": "本项目",
    },
}  # fmt: skip


def main(file: str, folder: str) -> None:
    """One picture in each language."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.family": "sans-serif"})
    warnings.filterwarnings("ignore", "Glyph .* missing")  # text stays text, for the reader's fonts
    results = json.loads(Path(file).read_text("utf-8"))["results"]
    for language, words in WORDS.items():
        figure = draw(results, words)
        path = Path(folder) / f"benchmarks.{language}.svg"
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")


def draw(results: dict[str, Any], words: dict[str, str]) -> Any:
    """Speed, CPU and latency beside each other, a row for each contestant that judges shipments."""
    shown = {file: each for file, each in results.items() if each["traffic"] != "everything" and each["alerts"]}
    rows = sorted(shown, key=lambda file: shown[file]["events_per_s"])
    figure, axes = pyplot.subplots(1, 3, sharey=True, figsize=(12, 1.3 + 0.34 * len(rows)), layout="constrained")
    bars(axes[0], rows, shown, "events_per_s", words["speed"])
    bars(axes[1], rows, shown, "cpu_s_per_million", words["cpu"])
    latencies(axes[2], rows, shown, words)
    axes[0].set_yticks(range(len(rows)), [shown[file]["name"] for file in rows])
    key = [
        Patch(color=OURS, label=words["ours"]), Patch(color=PEER, label=words["equal"]),
        Patch(facecolor="none", edgecolor=PEER, hatch="////", label=words["weaker"]),
        *(Line2D([], [], ls="", marker=mark, color="#555555", label=words[name]) for mark, name in MARKS.values()),
    ]  # fmt: skip
    figure.legend(handles=key, loc="outside lower left", ncols=len(key), columnspacing=5, fontsize=8, frameon=False)
    return figure


def bars(axis: Any, rows: list[str], shown: dict[str, Any], field: str, title: str) -> None:
    """A bar for each, with its figure. One that is far beyond all others is cut off: its figure says how long it is."""
    values = sorted(shown[file][field] for file in rows)
    longest = values[-1] if len(values) < 2 or values[-1] < 3 * values[-2] else 1.3 * values[-2]
    for place, file in enumerate(rows):
        each = shown[file]
        colour = OURS if file.startswith("shipments") else PEER
        equal = each["gives"] == {"alerts": "exactly once", "durable": True}
        style = {"color": colour} if equal else {"facecolor": "none", "edgecolor": colour, "hatch": "////"}
        length = min(each[field], longest)
        axis.barh(place, length, height=0.65, **style)
        beyond = " …" if length < each[field] else " "
        axis.text(length, place, f"{beyond}{each[field]:,.0f}", va="center", fontsize=8)
    axis.set_xlim(0, 1.2 * longest)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.set_title(title, fontsize=9, loc="left")
    plain(axis)


def latencies(axis: Any, rows: list[str], shown: dict[str, Any], words: dict[str, str]) -> None:
    """A line for each, from its median to its highest percentile that is known."""
    for place, file in enumerate(rows):
        took = shown[file]["latency"] or {}
        known = {field: took[field] for field in MARKS if took.get(field) is not None}
        colour = OURS if file.startswith("shipments") else PEER
        if known:
            axis.plot([min(known.values()), max(known.values())], [place, place], color=colour, linewidth=1.5)
        for field, ms in known.items():
            axis.plot(ms, place, MARKS[field][0], color=colour, markersize=6)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda ms, _: f"{ms:,.0f}")
    axis.set_title(words["latency"], fontsize=9, loc="left")
    plain(axis)


def plain(axis: Any) -> None:
    """No frame, faint lines."""
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(length=0, labelsize=8)
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)


if __name__ == "__main__":
    main(*sys.argv[1:])
