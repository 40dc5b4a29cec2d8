"""Why verdicts are as they are: rules that say yes with their evidence, as JSON, made in columns for many verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from rules import Rule
from schemas.records import Reason, Title
from streams.flow.judge import Verdicts

encode: Final = msgspec.json.Encoder().encode

_NOTHING: Final = b"{}}"  # how a reason ends that has no evidence yet


def reasons(
    verdicts: Verdicts,
    at: NDArray[np.int64],
    yes: NDArray[np.bool_],
    points: NDArray[np.integer],
) -> list[bytes]:
    """The reasons of the verdicts at these positions: for each a JSON array.

    yes: the rules that are reasons. points: what each counts for. Both are row by row with `at`, and by rule.
    """
    parts = [b""] * len(at)  # no lists: so many would set Python's collector to work
    found = [(number, verdicts.catalogue.rules[number]) for number in np.flatnonzero(yes.any(axis=0)).tolist()]
    shown = verdicts.evidence(at, frozenset(name for _, rule in found for name in rule.evidence))
    columns = {column.name: _values(column) for column in shown}
    for number, rule in found:
        own = [columns[name] for name in rule.evidence]
        rows, opening = np.flatnonzero(yes[:, number]), _opening(rule, rule.points)
        for row, counted in zip(rows.tolist(), points[rows, number].tolist(), strict=True):
            evidence = encode(dict(zip(rule.evidence, [column[row] for column in own], strict=True)))
            begun = opening if counted == rule.points else _opening(rule, counted)
            parts[row] += b",%b%b}" % (begun, evidence)
    return [b"[%b]" % part[1:] for part in parts]


def read(whole: bytes) -> tuple[Reason, ...]:
    """The reasons of one verdict."""
    return msgspec.json.decode(whole, type=tuple[Reason, ...])


def _opening(rule: Rule, points: int) -> bytes:
    """A reason up to its evidence."""
    reason = Reason(
        rule=rule.id,
        version=rule.version,
        category=rule.category,
        points=points,
        title=Title(zh=rule.title["zh"], en=rule.title["en"]),
        evidence={},
    )
    return encode(reason).removesuffix(_NOTHING)


def _values(column: pl.Series) -> Sequence[object]:
    """What evidence shows of a column."""
    values: list[object] = column.to_list()
    if column.dtype.is_float():
        return [round(value, 3) if isinstance(value, float) else None for value in values]
    return values
