"""Files to write: whole or not at all, compressed if their name says so, or standard output."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from streams.files.opening import FORMS, FilesError

STANDARD = ("-", "/dev/stdout")
"""Names of standard output."""
# What a name may promise that is not written here: text under it would be taken for something else.
_OTHERS = (
    *(".7z", ".avro", ".br", ".bz2", ".feather", ".lz4", ".lzma", ".orc", ".parquet", ".rar", ".tar"),
    *(".tgz", ".xls", ".xlsx", ".xz", ".z", ".zip", ".zstd"),
)


def standard(path: Path | None) -> bool:
    """Whether a path means standard output."""
    return path is not None and str(path) in STANDARD


def beside(out: Path) -> Path | None:
    """Where the rejects go: alerts.rejects.ndjson for alerts.ndjson, packed alike; None for standard output."""
    if standard(out):
        return None
    form = next((form for form in ("json", *FORMS) if out.name.endswith(f".{form}")), "")
    name = out.name.removesuffix(f".{form}")
    _, dot, packing = form.partition(".")
    return out.with_name(f"{name}.rejects.ndjson{dot}{packing}")


def spare(paths: Mapping[str, Path], targets: Iterable[Path]) -> None:
    """Raise FilesError if what is to be written would replace events to read, or what else is to be written."""
    events = {path.resolve() for path in paths.values()}
    written: set[Path] = set()
    for target in targets:
        real = Path(STANDARD[0]) if standard(target) else target.resolve()
        if real in events:
            raise FilesError(f"{target}: holds events to judge, and would be replaced")
        if real in written:
            raise FilesError(f"{target}: would be written twice, and hold only the latter; name another file")
        written.add(real)


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write that appears under its name when the block ends, complete, or not at all; links stay links.

    `.gz` and `.zst` are compressed. Standard output, devices and pipes get everything as it comes. Raises FilesError
    for a name that promises another format, and for what cannot be written.
    """
    _check_name(path)
    if standard(path):
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as there, _packed(path, there) as lines:
            yield lines
    else:
        with _replaced(path) as file, _packed(path, file) as lines:
            yield lines


@contextmanager
def growing(path: Path) -> Iterator[TextIO]:
    """Text that stands under its name as it comes; compressed, and refused, as by `whole`."""
    _check_name(path)
    with path.open("wb") as file, _packed(path, file) as lines:
        text = io.TextIOWrapper(lines, encoding="utf-8", newline="")
        yield text
        text.flush()
        text.detach()


def _check_name(path: Path) -> None:
    if path.suffix.lower() in _OTHERS:
        raise FilesError(f"{path}: {path.suffix} is not written here; plain, .gz and .zst are")


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    if path.is_symlink():
        path = path.resolve()
    if not path.parent.is_dir():
        raise FilesError(f"{path.parent}: no such folder")
    if path.is_dir():
        raise FilesError(f"{path}: not a regular file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        file = part.open("wb")
    except OSError as error:  # whoever asked has never heard of that name
        raise FilesError(f"{path}: {error.strerror}") from None
    try:
        with file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _packed(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    """What packs as the name of a file says; the same content gives the same bytes."""
    form = path.suffix.lower()
    if form == ".gz":
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            yield cast(BinaryIO, packed)
    elif form == ".zst":
        import pyarrow

        with pyarrow.CompressedOutputStream(pyarrow.PythonFile(file, "w"), "zstd") as packed:
            yield packed
    else:
        yield file
