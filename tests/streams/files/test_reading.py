"""Reading events from files: lines whatever their ends and lengths, Parquet as the same lines, errors in one line."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import re
import tarfile
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import topics
from streams.files import reading, writing
from streams.files.opening import FORMS, FilesError
from streams.files.reading import EVENTS, find, read, unread
from streams.generate import generate, write
from tests.packing import pack
from tests.repetition import examples

MARK = b"\xef\xbb\xbf"


def lines_of(path: Path, rows_max: int = 1_000, line_bytes_max: int = 1_000) -> list[bytes]:
    found: list[bytes] = []
    for piece in read(path, rows_max=rows_max, line_bytes_max=line_bytes_max):
        assert piece.first == len(found)
        assert 0 < len(piece.values) <= rows_max
        assert 0 < piece.read_bytes <= path.stat().st_size
        found += piece.values
    return found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n\nb\n\n", [b"a", b"", b"b", b""]),
        (b"\n", [b""]),
        (b"a\r\n\r\nb\r\n", [b"a", b"", b"b"]),
        (b"a\r", [b"a"]),
        (b"a\rb\n", [b"a\rb"]),
        (MARK + b"a\n" + MARK + b"b\n", [b"a", b"b"]),
        (MARK + b"\r\n", [b""]),
        (MARK + MARK + b"a\n" + MARK * 5 + b"\n", [b"a", b""]),
        (MARK + b'{"a":1}' + MARK + b'{"a":2}' + MARK + b"{}\n", [b'{"a":1}', b'{"a":2}', b"{}"]),
        (b'{"' + MARK + b'a":1}\n', [b'{"a":1}']),
        (b'{"\\ufeffa":1}\n', [b'{"a":1}']),
        (b'{"a":"' + MARK + b'"}\n', [b'{"a":"' + MARK + b'"}']),
        (b"\xff\x00\n{", [b"\xff\x00", b"{"]),
    ],
)
def test_lines_end_as_lines_do(tmp_path: Path, text: bytes, lines: list[bytes]) -> None:
    path = tmp_path / "scans.ndjson"
    path.write_bytes(text)
    assert lines_of(path) == lines


@settings(examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    text=st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\n\n", b"\r\n", b"{" * 30, b"x" * 200, MARK])).map(b"".join),
    block=st.integers(1, 64),
    rows_max=st.integers(1, 5),
    line_bytes_max=st.integers(1, 40),
)
def test_any_text_read_in_any_blocks_gives_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, block: int, rows_max: int, line_bytes_max: int
) -> None:
    path = tmp_path / "scans.ndjson"
    path.write_bytes(text)
    monkeypatch.setattr(reading, "BLOCK_BYTES", block)
    expected = text.split(b"\n")
    if not expected[-1]:
        expected.pop()
    found: list[tuple[bytes, int | None]] = []
    for piece in read(path, rows_max=rows_max, line_bytes_max=line_bytes_max):
        assert piece.first == len(found)
        found += [(value, piece.cut.get(i)) for i, value in enumerate(piece.values)]
    assert len(found) == len(expected)
    for (value, length), line in zip(found, expected, strict=True):
        unmarked = re.sub(b"\\A(?:%s)*" % MARK, b"", line)
        if length is None:
            assert value == unmarked.removesuffix(b"\r").removesuffix(b"\r")
        else:  # it was cut before its marks were taken off
            assert line_bytes_max < len(value) + len(line) - len(unmarked)
            assert len(value) <= line_bytes_max + 15 + block
            assert length == len(line)


def test_a_line_of_any_length_is_not_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "scans.ndjson"
    length = 3 * reading.BLOCK_BYTES
    with path.open("wb") as file:
        file.write(b"first\n")
        file.write(b"x" * length)
        file.write(b"\nlast\n")
    pieces = list(read(path, rows_max=1_000, line_bytes_max=1_000))
    values = [value for piece in pieces for value in piece.values]
    assert values[0] == b"first"
    assert values[2] == b"last"
    assert 1_000 < len(values[1]) < 2 * reading.BLOCK_BYTES
    assert [dict(piece.cut) for piece in pieces if piece.cut] == [{0: length}]


def test_parquet_gives_the_lines_of_ndjson(tmp_path: Path) -> None:
    traffic = generate(300, 4, chunk_parcels=120)
    write(traffic, tmp_path / "n")
    write(traffic, tmp_path / "p", form="parquet")
    for topic, name in reading.EVENTS.items():
        lines = lines_of(tmp_path / "n" / f"{name}.ndjson", line_bytes_max=10_000)
        assert lines_of(tmp_path / "p" / f"{name}.parquet", rows_max=70) == lines
        assert find(tmp_path / "p")[topic] == tmp_path / "p" / f"{name}.parquet"


def test_parquet_without_rows_has_no_lines(tmp_path: Path) -> None:
    pl.DataFrame({"event_id": []}, schema={"event_id": pl.String}).write_parquet(tmp_path / "scans.parquet")
    assert lines_of(tmp_path / "scans.parquet") == []


@pytest.mark.parametrize(("group_rows", "rows_max"), [(3, 10), (10, 10), (50, 10), (1_000, 10), (7, 1), (400, 1_000)])
def test_the_spans_of_a_parquet_file_hold_all_its_rows_in_order(tmp_path: Path, group_rows: int, rows_max: int) -> None:
    path = tmp_path / "scans.parquet"
    names = [f"event {number}" for number in range(101)]
    table = pyarrow.table({"event_id": names, "scan_type": ["arrived", "departed", None] * 33 + ["arrived"] * 2})
    pyarrow.parquet.write_table(table, path, row_group_size=group_rows)
    spans = reading.row_spans(path, rows_max)
    found = [[batch for batch, _ in reading.row_batches(path, 4, span)] for span in spans]
    assert [row for batches in found for batch in batches for row in batch.to_pylist()] == table.to_pylist()
    assert [sum(batch.num_rows for batch in batches) for batches in found] == [each.stop - each.start for each in spans]
    assert all(span.stop - span.start <= max(rows_max, -(-group_rows // 8)) for span in spans)
    assert len(spans) <= -(-101 // min(group_rows, rows_max))


def test_bytes_in_parquet_are_text_of_a_field_and_left_out_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "scans.parquet"
    frame = pl.DataFrame({"event_id": [b"1", "站".encode(), None, b"\xff"], "photo": [b"\xff\xd8"] * 4, "n": range(4)})
    frame.with_columns(more=pl.struct(photo=pl.col("photo"))).write_parquet(path)
    ids = b'"1"', '"站"'.encode(), b"null", b'"\xff"'  # as from a column marked as text; decoding refuses the last
    assert lines_of(path) == [b'{"event_id":%b,"n":%d}' % (name, row) for row, name in enumerate(ids)]

    path = tmp_path / "reference.parquet"
    pl.DataFrame({"kind": [b"outlet"], "licence_adcodes": [[b"43", b"44"]], "scan_type": [b"x"]}).write_parquet(path)
    assert lines_of(path) == [b'{"kind":"outlet","licence_adcodes":["43","44"]}']


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"weight_g": [{"photo": b"1"}]}, r"column weight_g: struct<photo: \S+> is not text$"),
        ({"key": [b"1"], "value": [b"{}"]}, r"no column is a field of ours: key, value$"),
        (
            {"event_id": ["1"], "\ufeffevent_id": ["2"]},
            r"two columns are named event_id: which of them\? Leave one out$",
        ),
    ],
)
def test_parquet_without_what_is_needed_is_named(tmp_path: Path, columns: dict[str, list[Any]], message: str) -> None:
    path = tmp_path / "scans.parquet"
    pl.DataFrame(columns).write_parquet(path)
    with pytest.raises(FilesError, match=rf"^[^\n]*scans\.parquet: {message}"):
        lines_of(path)


def converted(path: Path, column: Any, name: str) -> list[Any]:
    """What the lines of a file have of that column."""
    pyarrow.parquet.write_table(pyarrow.table({"event_id": ["a"] * len(column), name: column}), path)
    return [json.loads(line)[name] for line in lines_of(path)]


AT = 1_764_000_000_123
ZONED = [datetime.fromtimestamp(AT / 1_000, UTC), None]


@pytest.mark.parametrize(
    ("name", "column", "values"),
    [
        ("weight_g", pyarrow.array([Decimal(5), None], pyarrow.decimal128(10, 0)), [5, None]),
        ("weight_g", pyarrow.array([Decimal("5.00"), None], pyarrow.decimal128(10, 2)), [5, None]),
        ("weight_g", pyarrow.array([Decimal("5.00"), None], pyarrow.decimal256(50, 2)), [5, None]),
        ("weight_g", pyarrow.array([Decimal(5), None]).dictionary_encode(), [5, None]),
        ("scanned_at", pyarrow.array([Decimal(AT), None], pyarrow.decimal128(20, 0)), [AT, None]),
        ("scanned_at", pyarrow.array(ZONED, pyarrow.timestamp("ms", "UTC")), [AT, None]),
        ("scanned_at", pyarrow.array(ZONED, pyarrow.timestamp("us", "Asia/Shanghai")), [AT, None]),
        ("scanned_at", pyarrow.array(ZONED, pyarrow.timestamp("ns", "+08:00")), [AT, None]),
        ("scanned_at", pyarrow.array([AT], pyarrow.timestamp("ms", "Nowhere/None")), [AT]),  # a moment all the same
        ("scanned_at", pyarrow.array([AT // 1_000], pyarrow.timestamp("s", "UTC")), [AT // 1_000 * 1_000]),
        ("device_id", pyarrow.array([None, None], pyarrow.float64()), [None, None]),
        ("\ufeffweight_g", pyarrow.array([5]), [5]),
    ],
    ids=str,
)
def test_columns_become_what_their_fields_are(tmp_path: Path, name: str, column: Any, values: list[Any]) -> None:
    path = tmp_path / "scans.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"event_id": ["a"] * len(column), name: column}), path)
    assert [json.loads(line)[name.removeprefix("\ufeff")] for line in lines_of(path)] == values


@pytest.mark.parametrize(
    "kind", [pyarrow.int8(), pyarrow.uint64(), pyarrow.float64(), pyarrow.decimal128(20, 1)], ids=str
)
def test_0_and_1_are_no_and_yes(tmp_path: Path, kind: Any) -> None:
    column = pyarrow.array([0, 1, None], pyarrow.int64()).cast(kind, safe=False)
    assert converted(tmp_path / "shipments.parquet", column, "agent_submitted") == [False, True, None]


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("weight_g", pyarrow.array([Decimal("5.25")]), r"decimal128\(3, 2\) is not a whole number"),
        ("weight_g", pyarrow.array([Decimal(10**30)]), r"decimal128\(31, 0\) is not a whole number"),
        ("weight_g", pyarrow.array(["5"]), "string is not a whole number"),
        ("weight_g", pyarrow.array([True]), "bool is not a whole number"),
        ("weight_g", pyarrow.array(ZONED), r"timestamp\[us, tz=UTC\] is not a whole number"),
        (
            "weight_g",
            pyarrow.array([1], pyarrow.timestamp("ms", "X/Y")),
            r"timestamp\[ms, tz=X/Y\] is not a whole number",
        ),
        ("goods_name", pyarrow.array([1], pyarrow.timestamp("ms", "X/Y")), r"timestamp\[ms, tz=X/Y\] is not text"),
        ("picked_up_at", pyarrow.array([1], pyarrow.timestamp("ns")), r"timestamp\[ns\] is not epoch milliseconds or"),
        ("picked_up_at", pyarrow.array([1], pyarrow.date32()), r"date32\[day\] is not epoch milliseconds or"),
        ("picked_up_at", pyarrow.array(["2026-01-01"]), "string is not epoch milliseconds or"),
        ("agent_submitted", pyarrow.array([0, 2]), "int64 is not a boolean"),
        ("agent_submitted", pyarrow.array(["true"]), "string is not a boolean"),
        ("waybill_no", pyarrow.array([12345]), "int64 is not text"),
        ("waybill_no", pyarrow.array([Decimal(12345)]), r"decimal128\(5, 0\) is not text"),
    ],
    ids=str,
)
def test_a_column_that_cannot_be_its_field_is_refused(tmp_path: Path, name: str, column: Any, message: str) -> None:
    with pytest.raises(FilesError, match=rf"^[^\n]*shipments\.parquet: column {name}: {message}"):
        converted(tmp_path / "shipments.parquet", column, name)


def test_files_are_found_by_name(tmp_path: Path) -> None:
    for name in ("scans.ndjson", "inspections.parquet", "reference.ndjson", "truth.ndjson"):
        (tmp_path / name).touch()
    (tmp_path / "shipments.ndjson").symlink_to("truth.ndjson")
    assert list(find(tmp_path).items()) == [
        (topics.REFERENCE, tmp_path / "reference.ndjson"),
        (topics.SHIPMENTS, tmp_path / "shipments.ndjson"),
        (topics.SCANS, tmp_path / "scans.ndjson"),
        (topics.INSPECTIONS, tmp_path / "inspections.parquet"),
    ]


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: os.mkfifo(path), "not a regular file"),
        (lambda path: path.symlink_to("gone"), "a link to nothing"),
        (lambda path: path.symlink_to(path.parent), "not a regular file"),
    ],
    ids=["folder", "fifo", "dangling", "link to a folder"],
)
def test_what_is_named_like_a_file_and_is_none_is_told(
    tmp_path: Path, put: Callable[[Path], None], message: str
) -> None:
    (tmp_path / "shipments.ndjson").touch()
    put(tmp_path / "scans.ndjson")
    with pytest.raises(FilesError, match=rf"^[^\n]*/scans\.ndjson: {message}$"):
        find(tmp_path)


@pytest.mark.parametrize("text", [b"", b"a", b"a\n\nb\r\n", b'{"a":"\xe7\xab\x99"}\n' * 100_000], ids=len)
@pytest.mark.parametrize("form", [form for form in FORMS if form != "parquet"])
def test_every_form_gives_the_same_lines(tmp_path: Path, form: str, text: bytes) -> None:
    (tmp_path / "plain.ndjson").write_bytes(text)
    path = pack(tmp_path / f"scans.{form}", text)
    assert find(tmp_path) == {topics.SCANS: path}
    assert lines_of(path) == lines_of(tmp_path / "plain.ndjson")


@pytest.mark.parametrize("form", ["ndjson.gz", "ndjson.zst"])
def test_a_packed_file_of_many_parts_is_read_whole_and_not_kept_whole(tmp_path: Path, form: str) -> None:
    path, part = tmp_path / f"scans.{form}", tmp_path / f"part.{form}"
    one = pack(part, b"x" * 9_000_000 + b"\n").read_bytes()
    path.write_bytes(one * 10)
    lines_of(part, line_bytes_max=10)
    tracemalloc.start()
    lengths = [length for piece in read(path, rows_max=10, line_bytes_max=10) for length in piece.cut.values()]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lengths == [9_000_000] * 10
    assert peak < 8 * reading.BLOCK_BYTES


@pytest.mark.parametrize("form", ["ndjson.gz", "jsonl.zst"])
def test_a_packed_file_that_is_damaged_or_cut_off_is_named(tmp_path: Path, form: str) -> None:
    path = pack(tmp_path / f"scans.{form}", b"".join(b'{"n":%d}\n' % n for n in range(100_000)))
    whole, middle = path.read_bytes(), path.stat().st_size // 2
    for broken in (whole[:middle], whole[:-1], whole[:middle] + bytes(64) + whole[middle + 64 :], b"not packed at all"):
        path.write_bytes(broken)
        with pytest.raises(FilesError, match=rf"^[^\n]*/scans\.{form}: [^\n]+$"):
            lines_of(path)


def archive() -> bytes:
    """A tar archive with one file."""
    out, line = io.BytesIO(), b'{"a":1}\n'
    with tarfile.open(fileobj=out, mode="w") as made:
        info = tarfile.TarInfo("scans.ndjson")
        info.size = len(line)
        made.addfile(info, io.BytesIO(line))
    return out.getvalue()


def test_a_column_that_is_no_field_of_ours_may_be_of_a_zone_that_nobody_knows(tmp_path: Path) -> None:
    zone = pyarrow.timestamp("ms", "Nowhere/None")
    columns = {
        "event_id": ["a"],
        "extra": pyarrow.array([AT], zone),
        "more": pyarrow.array([[AT]], pyarrow.list_(zone)),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "scans.parquet")
    assert lines_of(tmp_path / "scans.parquet") == [b'{"event_id":"a"}']


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scans.ndjson", '{"a":1}\n'.encode("utf-16"), "not UTF-8 but UTF-16"),
        ("scans.ndjson", '{"a":1}\n'.encode("utf-16-le"), "not UTF-8 but UTF-16"),
        ("scans.ndjson", '{"a":1}\n'.encode("utf-16-be"), "not UTF-8 but UTF-16"),
        ("scans.ndjson", '{"a":1}\n'.encode("utf-32"), "not UTF-8 but UTF-16"),
        ("scans.jsonl.gz", gzip.compress('{"a":1}\n'.encode("utf-16"), mtime=0), "not UTF-8 but UTF-16"),
        ("scans.jsonl", gzip.compress(b"{}", mtime=0), "its content is gzip: name it .gz"),
        ("scans.ndjson.gz", b"", "cannot be unpacked: 0 bytes"),
        ("scans.ndjson.zst", b"", "cannot be unpacked: 0 bytes"),
        ("scans.ndjson", bz2.compress(b"{}"), "its content is bzip2"),
        ("scans.ndjson", b"PAR1....PAR1", "its content is Parquet"),
        ("scans.ndjson.gz", gzip.compress(archive(), mtime=0), "its content is a tar archive"),
        ("scans.ndjson", archive(), "its content is a tar archive"),
        ("scans.ndjson.gz", gzip.compress(b"s" + bytes(99) + b"{}", mtime=0), "its content is no text"),
        ("scans.ndjson.gz", gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "it is packed twice"),
        ("scans.jsonl.gz", gzip.compress(b"PK\x03\x04..", mtime=0), "its content is a zip archive"),
        ("scans.ndjson", b'[{"a":1},\n{"a":2}]', "its content is one JSON array"),
    ],
)
def test_what_is_no_text_in_utf_8_is_named_as_what_it_is(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FilesError, match=rf"^[^\n]*/{name}: {message}"):
        lines_of(path)


def test_what_lies_beside_the_events_is_told(tmp_path: Path) -> None:
    for name in ("scans.ndjson", "shipments.csv", "shipments.ndjson.bz2", "Shipments.NDJSON", ".hidden", "out.ndjson"):
        (tmp_path / name).touch()
    (tmp_path / "inspections").mkdir()
    known = [*find(tmp_path).values(), tmp_path / "out.ndjson"]
    assert unread(tmp_path, known) == "Shipments.NDJSON, inspections, shipments.csv, shipments.ndjson.bz2"
    (tmp_path / "scans.ndjson").unlink()
    with pytest.raises(
        FilesError, match=r"no shipments, .* here .*, but Shipments\.NDJSON, .*, shipments\.ndjson\.bz2$"
    ):
        find(tmp_path)
    for number in range(20):
        (tmp_path / f"a{number:02}.csv").touch()
    assert unread(tmp_path, ()).endswith("a03.csv, 20 more")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FilesError, match=r"gone: no such folder$"):
        find(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(FilesError, match=r"file: not a folder$"):
        find(tmp_path / "file")
    with pytest.raises(
        FilesError, match=rf"no {', '.join(EVENTS.values())}, reference here \(\.ndjson or .*\), but file$"
    ):
        find(tmp_path)
    for form in FORMS:
        (tmp_path / f"scans.{form}").write_bytes(b"not parquet")
    with pytest.raises(FilesError, match=r"both scans\.ndjson and scans\.jsonl"):
        find(tmp_path)
    with pytest.raises(FilesError, match=r"^[^\n]*scans\.parquet: not readable as Parquet: [^\n]*$"):
        lines_of(tmp_path / "scans.parquet")
    with pytest.raises(FilesError, match=r"gone\.ndjson: No such file"):
        lines_of(tmp_path / "gone.ndjson")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with writing.whole(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"out.ndjson": b"old"}
    with writing.whole(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"out.ndjson": b"new"}
    with pytest.raises(FilesError, match=r"gone: no such folder"), writing.whole(tmp_path / "gone" / "out"):
        pass
    with pytest.raises(FilesError, match=r"not a regular file"), writing.whole(tmp_path):
        pass


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "dangling"])
def test_a_file_is_written_through_a_link(tmp_path: Path, there: bool) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "to").mkdir()
    target, link = tmp_path / "disk" / "alerts.ndjson", tmp_path / "to" / "link"
    link.symlink_to("../disk/alerts.ndjson")
    if there:
        target.write_bytes(b"old")
    with writing.whole(link) as file:
        file.write(b"new")
        assert target.exists() == there  # not before it is whole
        assert list(link.parent.iterdir()) == [link]  # the part lies where a rename can take it to the target
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]
