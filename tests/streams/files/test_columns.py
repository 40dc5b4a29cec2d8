"""Rows that the library reads as they lie in Arrow's columns say what their lines of JSON say, whatever they hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import load_catalogue
from schemas.inputs import INPUTS
from streams import native
from streams.files import columns, parquet
from streams.files.driver import raw
from streams.files.lines import PARTITION
from streams.flow.batches import Batch
from streams.flow.decode import Limits
from streams.flow.describe.describer import Describer
from streams.flow.front.reader import Front
from streams.flow.front.tables import fingerprint
from streams.native import Switch
from streams.settings import Settings
from tests.repetition import examples
from tests.schemas.samples import EVENTS
from tests.streams.flow.front.test_equality import said

pytestmark = pytest.mark.skipif(bool(native.missing(fingerprint())), reason="the native front end is not built")
TOPICS = {each.kind: each.topic for each in INPUTS}
PATH = Path("scans.parquet")
Row = dict[str, Any]


def front(switch: Switch) -> Front:
    return Front(Describer.of(Settings(native=switch), load_catalogue().columns), Limits(bytes_max=16_384))


NATIVE, PYTHON = front("auto"), front("0")


def compare(kind: str, batch: pyarrow.RecordBatch) -> int:
    """How many rows the library left to Python, having compared."""
    lines = parquet.text(batch, PATH).split(b"\n")
    expected = PYTHON.read([raw(TOPICS[kind], PARTITION, lines)])
    values = columns.values(batch, NATIVE, PATH)
    assert type(values).__name__ == "Columns"
    assert [values[row] for row in range(len(lines))] == lines
    found = NATIVE.read([_batch(kind, values)])
    assert [(bad.index, bad.reason, bad.detail) for _, bad in found.rejected] == [
        (bad.index, bad.reason, bad.detail) for _, bad in expected.rejected
    ]
    assert said(found)[:3] == said(expected)[:3]
    return found.strange


def _batch(kind: str, values: Sequence[bytes | None]) -> Batch:
    return raw(TOPICS[kind], PARTITION, values)


def column(values: Sequence[Any], form: str) -> pyarrow.Array:
    """A column of so many values in this form, where it can be; the texts may be no UTF-8."""
    texts = [value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for value in values]
    if any(isinstance(value, bytes) for value in texts):
        kind = pyarrow.string() if form in ("small", "codes") else pyarrow.large_string()
        found = pyarrow.array(texts, pyarrow.binary()).cast(pyarrow.large_binary()).cast(kind, safe=False)
        return found.dictionary_encode() if form == "codes" else found
    found = pyarrow.array(values)
    for kind in {"small": (pyarrow.int8(), pyarrow.uint16()), "codes": (pyarrow.uint64(), pyarrow.int32())}.get(
        form, ()
    ):
        try:
            return found.cast(kind)
        except (pyarrow.ArrowException, NotImplementedError):
            continue
    return (
        found.cast(pyarrow.float64(), safe=False)
        if form == "number" and pyarrow.types.is_integer(found.type)
        else found
    )


TEXT = st.text(max_size=20) | st.sampled_from(
    [
        "",
        " ",
        "SF",
        "440111",
        "departed",
        "resident_id",
        "\ufeff",
        "\x00",
        '"\\\n',
        "a:b",
        "x" * 600,
        "\udcff",
        "\U0001f600",
    ]
)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    str: st.none() | TEXT,
    int: st.none() | st.integers(-5, 5) | st.sampled_from([2**31, 1_764_000_000_000, 2**62]),
    bool: st.none() | st.booleans(),
    float: st.none() | st.floats() | st.sampled_from([0.5, 1e-9, 1e300]),
}


@st.composite
def rows(draw: st.DrawFn, kind: str) -> pyarrow.RecordBatch:
    """Rows of which some hold something else, and perhaps a piece of them alone."""
    record = {name: value for name, value in EVENTS[kind].items() if type(value) in VALUES}
    count = draw(st.integers(1, 6))
    names = draw(st.sets(st.sampled_from(sorted(record)), max_size=4))
    lists = {name: [value] * count for name, value in record.items()}
    for name in sorted(names):
        place = draw(st.integers(0, count - 1))
        lists[name][place] = draw(VALUES[type(record[name])])
    for name, kind_of in {"more": str, "n": int, "share": float, "yes": bool}.items():
        if draw(st.booleans()):
            lists[name] = draw(st.lists(VALUES[kind_of], min_size=count, max_size=count))
    for name in draw(st.sets(st.sampled_from(sorted(record)), max_size=1)):
        del lists[name]
    forms = st.sampled_from(["small", "large", "codes", "number"])
    batch = pyarrow.RecordBatch.from_pydict({name: column(each, draw(forms)) for name, each in lists.items()})
    return batch.slice(draw(st.integers(0, count - 1)))


@pytest.mark.parametrize("kind", TOPICS)
@given(st.data())
@examples(80)
def test_rows_say_what_their_lines_say(kind: str, data: st.DataObject) -> None:
    compare(kind, data.draw(rows(kind)))


@pytest.mark.parametrize("kind", TOPICS)
def test_ordinary_rows_are_plain(kind: str) -> None:
    batch = pyarrow.RecordBatch.from_pylist([{**EVENTS[kind], "more": "值"}] * 600)
    assert compare(kind, batch) == 0
    assert compare(kind, batch.slice(300)) == 0


def test_a_row_whose_line_is_too_long_is_left_to_python() -> None:
    batch = pyarrow.RecordBatch.from_pylist([{**EVENTS["scan"], "more": "x" * length} for length in (1, 3_000, 20_000)])
    assert compare("scan", batch) == 2
    found = PYTHON.read([raw(TOPICS["scan"], PARTITION, parquet.text(batch, PATH).split(b"\n"))])
    assert [bad.index for _, bad in found.rejected] == [2]


@pytest.mark.parametrize(
    "more",
    [
        pyarrow.array([[1]]), pyarrow.array([{"a": 1}]), pyarrow.array([0], pyarrow.timestamp("ms", "UTC")),
        pyarrow.array([0.5], pyarrow.float32()),
    ],
    ids=lambda column: str(column.type),
)  # fmt: skip
def test_columns_of_other_forms_make_lines_of_all(more: pyarrow.Array) -> None:
    batch = pyarrow.RecordBatch.from_pydict({**{name: [value] for name, value in EVENTS["scan"].items()}, "more": more})
    (line,) = columns.values(batch, NATIVE, PATH)
    assert line is not None
    assert json.loads(line)["event_id"] == EVENTS["scan"]["event_id"]


def test_a_mark_amid_a_name_is_for_python() -> None:
    batch = pyarrow.RecordBatch.from_pydict({**{n: [v] for n, v in EVENTS["scan"].items()}, "\ufeffx": [1]})
    assert type(columns.values(batch, NATIVE, PATH)).__name__ == "Values"
