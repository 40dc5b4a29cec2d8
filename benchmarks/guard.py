"""Has a step become dearer? Bytecodes that Python runs for an event, by part, against those on record.

Seconds differ from machine to machine and with whatever else runs; these counts do not. They are what a worker does
while it holds the interpreter's lock, which is what bounds it. What native code does is not counted: for that there is
`python -m benchmarks native`. Counts hold for one version of Python, that of the record.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Annotated, Any

import msgspec
import typer

from benchmarks import traffic
from benchmarks.native import Run, batches_of
from streams.flow.batches import Batch
from streams.native import Switch

RECORD = Path(__file__).with_name("guard.json")
PARCELS, PARTS = 2_000, range(4)  # a batch in four, as many small steps
DEARER = 1.15
_PART_MIN = 0.02  # of all; smaller parts count only together with the rest
_ROOT = Path(__file__).parent.parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


class Record(msgspec.Struct):
    """Bytecodes an event, by front end and part."""

    python: str
    bytecodes: dict[str, dict[str, float]]


def main(
    record: Annotated[bool, typer.Option("--record", help="Keep what is counted now as what it is to be.")] = False,
) -> None:
    """Bytecodes of a step for each event, and whether it is more than 15 % dearer than on record."""
    counted = {name: count(switch) for name, switch in SWITCHES.items()}
    if record:
        found = msgspec.json.encode(Record(VERSION, {name: _rounded(parts) for name, parts in counted.items()}))
        RECORD.write_bytes(msgspec.json.format(found) + b"\n")
    known = recorded()
    dearer = [each for name, parts in counted.items() for each in compare(name, known.bytecodes[name], parts)]
    for name, parts in counted.items():
        before = sum(known.bytecodes[name].values())
        typer.echo(f"{name}: {sum(parts.values()):,.0f} bytecodes an event, on record {before:,.0f}")
        for part, number in sorted(parts.items(), key=lambda each: -each[1])[:12]:
            typer.echo(f"  {number:9,.1f}  {part}")
    for each in dearer:
        typer.echo(each, err=True)
    raise typer.Exit(1 if dearer else 0)


SWITCHES: dict[str, Switch] = {"native": "1", "python": "0"}


def count(switch: Switch) -> dict[str, float]:
    """Bytecodes an event by part, of steps over traffic that is always the same."""
    run, events, counted = Run(switch), 0, Counter[CodeType]()
    whole = batches_of(PARCELS, 0.0, traffic.SEED)
    steps = [[_slice(batch, part) for batch in batches] for batches in whole for part in PARTS]
    for batches in steps[: len(steps) // 2]:  # what is done once, such as to read a name of goods, is done then
        run.step(batches)
    for batches in steps[len(steps) // 2 :]:
        counted += _bytecodes(partial(run.step, batches))
        events += sum(len(batch.values) for batch in batches)
    parts: Counter[str] = Counter()
    for code, times in counted.items():
        parts[_part(code)] += times
    return {part: times / events for part, times in parts.items() if part != "benchmarks"}


def _slice(batch: Batch, number: int) -> Batch:
    size = -(-len(batch.values) // len(PARTS))
    part = slice(number * size, (number + 1) * size)
    return replace(batch, offsets=batch.offsets[part], values=batch.values[part], timestamps=batch.timestamps[part])


def _bytecodes(run: Callable[[], None]) -> Counter[CodeType]:
    """How many of each code object run."""
    counted: Counter[CodeType] = Counter()

    def follow(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            counted[frame.f_code] += 1
        return follow

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        run()
    finally:
        sys.settrace(before)
    return counted


def _part(code: CodeType) -> str:
    """A folder or module of ours, as `streams/flow/fold`; a library by its name; Python's own are one part."""
    path = Path(code.co_filename)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    if not path.is_relative_to(_ROOT):
        return "python"
    ours = path.relative_to(_ROOT).with_suffix("").parts
    return ours[0] if ours[0] == "benchmarks" else "/".join(ours[:3])


def compare(name: str, known: Mapping[str, float], counted: Mapping[str, float]) -> list[str]:
    """What has become dearer, in words."""
    all_known, all_counted = sum(known.values()), sum(counted.values())
    pairs = {"all of it": (all_known, all_counted)}
    pairs |= {part: (known.get(part, 0.0), number) for part, number in counted.items()}
    return [
        f"{name}: {part} takes {after:,.1f} bytecodes an event, on record {before:,.1f}"
        for part, (before, after) in pairs.items()
        if after > before * DEARER and after - before > all_known * _PART_MIN
    ]


def _rounded(parts: Mapping[str, float]) -> dict[str, float]:
    return {part: round(parts[part], 1) for part in sorted(parts)}


def recorded() -> Record:
    """What is on record."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Record)
