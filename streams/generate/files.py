"""Traffic as files: DIR/shipments, scans, inspections and reference, and truth.ndjson.

Files appear under their names only when all of them are complete; until then they lie in a hidden folder in DIR.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal, Protocol

import msgspec
import polars as pl

from schemas.errors import WaybillError
from schemas.inputs import INPUTS
from streams.generate.flow import Chunk, Traffic

Format = Literal["ndjson", "parquet"]
NAMES: dict[str, str] = {each.kind: each.stem for each in INPUTS}
TRUTH = "truth.ndjson"
HIDDEN = ".generate-"


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written: records by file, bytes altogether."""

    records: dict[str, int]
    size_bytes: int


class NotEmptyError(WaybillError):
    """The folder holds something already."""


def write(
    traffic: Traffic,
    folder: Path,
    *,
    form: Format = "ndjson",
    force: bool = False,
    progress: Callable[[Chunk], None] = lambda chunk: None,
) -> Summary:
    """Write `traffic` into `folder`, which is made if need be.

    Raises NotEmptyError if it holds anything, unless `force`: then files of earlier traffic, in either format, are
    replaced and others left alone. `progress` is called after each chunk. After an error the folder is as it was.
    """
    created = not folder.exists()
    if not created and not force and any(folder.iterdir()):
        raise NotEmptyError(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{HIDDEN}*") if force else ():  # of a run that was killed
        shutil.rmtree(leftover)
    try:
        hidden = Path(mkdtemp(prefix=HIDDEN, dir=folder))
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(folder)) from None
    try:
        counts = _fill(traffic, hidden, form, progress)
        size = sum(file.stat().st_size for file in hidden.iterdir())
        for name in (*NAMES.values(), "reference"):
            for other in ("ndjson", "parquet"):
                if not (hidden / f"{name}.{other}").exists():
                    (folder / f"{name}.{other}").unlink(missing_ok=True)
        # The truth last: where it is, the others are.
        for file in sorted(hidden.iterdir(), key=lambda file: file.name == TRUTH):
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        if created and not any(folder.iterdir()):
            folder.rmdir()
    return Summary(counts, size)


def _fill(traffic: Traffic, folder: Path, form: Format, progress: Callable[[Chunk], None]) -> dict[str, int]:
    counts = dict.fromkeys(NAMES.values(), 0)
    sinks: dict[str, _Sink] = {
        kind: _Ndjson(folder / f"{name}.ndjson") if form == "ndjson" else _Parquet(folder / f"{name}.parquet")
        for kind, name in NAMES.items()
    }
    for chunk in traffic:
        for kind, name in NAMES.items():
            frame = chunk.frame(kind)
            sinks[kind].add(frame)
            counts[name] += len(frame)
        progress(chunk)
    for sink in sinks.values():
        sink.finish()

    reference = traffic.reference
    _lines(folder / "reference.ndjson", reference)
    if form == "parquet":
        pl.read_ndjson(folder / "reference.ndjson", infer_schema_length=None).write_parquet(
            folder / "reference.parquet"
        )
        (folder / "reference.ndjson").unlink()
    counts["reference"] = len(reference)
    truth = traffic.truth
    _lines(folder / TRUTH, truth.to_dicts())
    counts["truth"] = len(truth)
    return counts


class _Sink(Protocol):
    def add(self, frame: pl.DataFrame) -> None: ...
    def finish(self) -> None: ...


class _Ndjson:
    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def add(self, frame: pl.DataFrame) -> None:
        with self._path.open("ab") as file:
            frame.write_ndjson(file)

    def finish(self) -> None:
        pass


class _Parquet:
    """Parts first, then one file made of them as a stream, as a Parquet file cannot be added to."""

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, 0
        self._parts = path.with_suffix(".parts")
        self._parts.mkdir()

    def add(self, frame: pl.DataFrame) -> None:
        frame.write_parquet(self._parts / f"{self._count:06d}.parquet")
        self._count += 1

    def finish(self) -> None:
        pl.scan_parquet(self._parts / "*.parquet").sink_parquet(self._path)
        shutil.rmtree(self._parts)


def _lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
