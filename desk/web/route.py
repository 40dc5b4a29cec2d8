"""The way of a parcel as a sketch: dots for places and lines between them. It shows no boundary.

Centroids are those of the table of places. They come from a map vendor: good for dots, not for measuring.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from math import cos, radians
from typing import Final

from schemas.desk import Trace

Point = tuple[float, float]
_WEST, _NORTH = 73.0, 54.0  # of China, degrees
_WIDER: Final = cos(radians(35))  # of a degree of longitude against one of latitude
_PER_DEGREE: Final = 10.0
_SPAN_MIN: Final = 40.0
"""A sketch is at least so wide, in its own units: four degrees."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A place on the way. number: which stop it is first, from 1."""

    number: int
    adcode: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Sketch:
    """What to draw. box: left, top, width and height; unit: size of a dot. around: centres of provinces.

    done: how many of the points of `line` the parcel has passed; the others are still ahead.
    """

    box: tuple[float, float, float, float]
    unit: float
    stops: tuple[Stop, ...]
    line: tuple[Point, ...]
    done: int
    around: tuple[Point, ...]


def sketch(trace: Trace | None) -> Sketch | None:
    """The sketch of a way; None: fewer than two places of it are known."""
    if trace is None:
        return None
    passed = [code for code, _ in groupby(_passed(trace)) if code in _centroids()]
    ahead = [trace.dest_adcode] if trace.dest_adcode in _centroids() and trace.dest_adcode not in passed[-1:] else []
    codes = [*passed, *(code for code in ahead if code is not None)]
    first = list(dict.fromkeys(codes))
    if len(first) < 2:
        return None
    at = {code: _centroids()[code] for code in first}
    box = _box(list(at.values()))
    return Sketch(
        box=box,
        unit=box[2] / 100,
        stops=tuple(Stop(number, code, *at[code]) for number, code in enumerate(first, 1)),
        line=tuple(at[code] for code in codes),
        done=len(passed),
        around=tuple(point for code, point in _centroids().items() if code.endswith("0000") and _within(point, box)),
    )


def _passed(trace: Trace) -> Iterator[str]:
    if trace.pickup_adcode is not None:
        yield trace.pickup_adcode
    yield from (each.adcode for each in trace.movements)


def _box(points: list[Point]) -> tuple[float, float, float, float]:
    """Four by three around all points, with room at the edges."""
    xs, ys = zip(*points, strict=True)
    width = max(max(xs) - min(xs), (max(ys) - min(ys)) * 4 / 3, _SPAN_MIN) * 1.4
    height = width * 3 / 4
    return (max(xs) + min(xs) - width) / 2, (max(ys) + min(ys) - height) / 2, width, height


def _within(point: Point, box: tuple[float, float, float, float]) -> bool:
    return 0 <= point[0] - box[0] <= box[2] and 0 <= point[1] - box[1] <= box[3]


@cache
def _centroids() -> dict[str, Point]:
    """Where places stand in a sketch, by code; of a code that was given twice, the newer place."""
    text = files("streams.flow.describe").joinpath("data", "adcodes.csv").read_text(encoding="utf-8")
    rows = sorted(csv.DictReader(text.splitlines()), key=lambda row: row["since"])
    return {
        row["adcode"]: (
            round((float(row["lon"]) - _WEST) * _WIDER * _PER_DEGREE, 2),
            round((_NORTH - float(row["lat"])) * _PER_DEGREE, 2),
        )
        for row in rows
        if row["lon"] and row["lat"]
    }
