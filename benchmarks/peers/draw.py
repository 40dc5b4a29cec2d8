"""Plots of a benchmark's JSON, drawn by matplotlib: `draw.py FILE FOLDER [LANGUAGE]`. SVG with text as text."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

OURS, PEER = "#0b6e4f", "#8a99a8"
WORDS = {
    "en": {
        "speed": "events/s, all topics apart", "cpu": "CPU seconds per million events",
        "latency": "ms from event to alert, at a third of the above", "p50": "half", "p99": "99 %", "p99.9": "99.9 %",
        "exactly once": "exactly once", "other": "weaker, or nothing kept", "ours": "this project",
    },
    "zh": {
        "speed": "每秒事件数（全部主题另计）", "cpu": "每百万事件的 CPU 秒数",
        "latency": "从事件到告警的毫秒数（负载为左图的三分之一）", "p50": "50 %", "p99": "99 %", "p99.9": "99.9 %",
        "exactly once": "恰好一次", "other": "保证较弱或不留状态", "ours": "本项目",
    },
}  # fmt: skip


def main(file: str, folder: str) -> None:
    """One picture in each language."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.family": "sans-serif"})
    results = json.loads(Path(file).read_text("utf-8"))["results"]
    for language, words in WORDS.items():
        figure = draw(results, words)
        path = Path(folder) / f"benchmarks.{language}.svg"
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        path.write_text("\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines()) + "\n", "utf-8")


def draw(results: dict[str, Any], words: dict[str, str]) -> Any:
    """Speed, CPU and latency beside each other, a row for each contestant."""
    shown = {file: each for file, each in results.items() if each["traffic"] != "everything" and each["alerts"]}
    rows = sorted(shown, key=lambda file: shown[file]["events_per_s"])
    figure, axes = pyplot.subplots(1, 3, sharey=True, figsize=(12, 0.8 + 0.34 * len(rows)), layout="constrained")
    bars(axes[0], rows, shown, "events_per_s", words["speed"])
    bars(axes[1], rows, shown, "cpu_s_per_million", words["cpu"])
    latencies(axes[2], rows, shown, words)
    axes[0].set_yticks(range(len(rows)), [shown[file]["name"] for file in rows])
    return figure


def bars(axis: Any, rows: list[str], shown: dict[str, Any], field: str, title: str) -> None:
    """A bar for each, with its figure; ours in another colour, and those with weaker guarantees hatched."""
    for place, file in enumerate(rows):
        each = shown[file]
        equal = each["gives"] == {"alerts": "exactly once", "durable": True}
        colour = OURS if file.startswith("shipments") else PEER
        style = {"color": colour} if equal else {"facecolor": "none", "edgecolor": colour, "hatch": "////"}
        axis.barh(place, each[field], height=0.65, **style)
        axis.text(each[field], place, f" {each[field]:,.0f}", va="center", fontsize=8)
    axis.set_title(title, fontsize=9, loc="left")
    axis.margins(x=0.2)
    plain(axis)


def latencies(axis: Any, rows: list[str], shown: dict[str, Any], words: dict[str, str]) -> None:
    """A line for each, from its median to its worst percentile that is known."""
    marks = {"p50_ms": ("o", words["p50"]), "p99_ms": ("|", words["p99"]), "p999_ms": ("x", words["p99.9"])}
    for place, file in enumerate(rows):
        took = shown[file]["latency"] or {}
        known = {field: took[field] for field in marks if took.get(field) is not None}
        colour = OURS if file.startswith("shipments") else PEER
        if known:
            axis.plot([min(known.values()), max(known.values())], [place, place], color=colour, linewidth=1.5)
        for field, ms in known.items():
            axis.plot(ms, place, marks[field][0], color=colour, markersize=6)
    for mark, name in marks.values():
        axis.plot([], [], mark, color="#555555", label=name)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda ms, _: f"{ms:,.0f}")
    axis.set_title(words["latency"], fontsize=9, loc="left")
    axis.legend(fontsize=7, loc="lower right", frameon=False)
    plain(axis)


def plain(axis: Any) -> None:
    """No frame, faint lines."""
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(length=0, labelsize=8)
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)


if __name__ == "__main__":
    main(*sys.argv[1:])
