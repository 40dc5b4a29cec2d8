"""Which files of events are read, and opening them: plain or compressed, always UTF-8."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from schemas.errors import WaybillError

TEXTS = ("ndjson", "jsonl")
PACKINGS = ("gz", "zst")
PARQUET = "parquet"
FORMS = (*TEXTS, *(f"{text}.{packing}" for text in TEXTS for packing in PACKINGS), PARQUET)
READ = ".ndjson or .jsonl, also with .gz or .zst behind it, or .parquet"
_UNPACKED = 10  # times as large as the file, as JSON packs, and as Parquet does
_HEAD_BYTES = 512  # a block of tar, whose mark lies at 257
_PADDING = b"\0" * 16  # as archives and tables have it; a damaged line has fewer
_TEXT_STARTS = b"{ \t\r\n\xef"  # of a line, or of a byte order mark
_PACKED = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_STARTS = {
    b"\x1f\x8b": "gzip: name it .gz behind its name",
    b"\x28\xb5\x2f\xfd": "zstd: name it .zst behind its name",
    b"PAR1": "Parquet: name it .parquet",
    b"BZh": "bzip2: unpack it, or pack it as .gz or .zst",
    b"\xfd7zX": "xz: unpack it, or pack it as .gz or .zst",
    b"PK\x03\x04": "a zip archive or a workbook: unpack it, or export it as NDJSON",
    b"\xd0\xcf\x11\xe0": "a workbook: export it as NDJSON",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
    b"\x04\x22\x4d\x18": "lz4: unpack it, or pack it as .gz or .zst",
    b"ARROW1": "an Arrow file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet or NDJSON",
    b"ORC": "an ORC file: write it as Parquet",
    b"SQLite format 3": "a database of SQLite: export it as NDJSON",
    b"%PDF": "a PDF",
    b"[{": "one JSON array: `jq -c '.[]'` makes lines of it",
    b"[\n": "one JSON array: `jq -c '.[]'` makes lines of it",
}


class FilesError(WaybillError):
    """Files that cannot be read; the message is one line and names the file or folder."""


def form_of(path: Path) -> str | None:
    """Which of `FORMS` the name of a file says; None: none of them."""
    return next((form for form in FORMS if path.name.endswith(f".{form}")), None)


def stem_of(path: Path) -> str:
    """The name of a file without its form."""
    return path.name.removesuffix(f".{form_of(path)}")


def packed(path: Path) -> bool:
    """Whether a file is compressed."""
    return path.name.endswith(tuple(f".{packing}" for packing in PACKINGS))


def text_bytes(path: Path) -> int:
    """About how many bytes of lines a file holds, to plan memory by."""
    return path.stat().st_size * (_UNPACKED if packed(path) or form_of(path) == PARQUET else 1)


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """The lines of a file, unpacked as they are read, and a function that says how many bytes of the file are read.

    Raises FilesError for a file that is damaged, is not UTF-8, or is something else than its name says.
    """
    with path.open("rb", buffering=0) as raw:
        if not packed(path):
            text = io.BufferedReader(raw)
            _check(path, text)
            yield text, raw.tell
            return
        if not path.stat().st_size:  # a transfer that broke off; gzip would call it the end
            raise FilesError(f"{path}: cannot be unpacked: 0 bytes")
        import pyarrow  # takes long

        try:
            if path.name.endswith(".gz"):
                file = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)))
            else:
                file = io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.PythonFile(raw, "r"), "zstd"))
            _check(path, file)
            yield file, raw.tell
        except (gzip.BadGzipFile, EOFError, zlib.error, pyarrow.ArrowException) as error:
            raise FilesError(f"{path}: cannot be unpacked: {str(error).splitlines()[0]}") from error


def _check(path: Path, file: io.BufferedReader[Any]) -> None:
    head = file.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if packed(path) and head.startswith(_PACKED):
        raise FilesError(f"{path}: it is packed twice: unpack it once")
    if fault := _fault(head):
        raise FilesError(f"{path}: {fault}")


def _fault(head: bytes) -> str | None:
    """What a file is that starts like this, if it is no text in UTF-8."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{", b"\0\0\0{", b"\0\0\xfe\xff")):
        return "not UTF-8 but UTF-16 or UTF-32: `iconv -f UTF-16 -t UTF-8` makes it readable"
    if head[257:262] == b"ustar":
        return "its content is a tar archive: unpack it"
    is_other = next((what for start, what in _STARTS.items() if head.startswith(start)), None)
    if is_other is None and _PADDING in head and head[:1] not in _TEXT_STARTS:
        is_other = "no text: a line of it is a JSON object"
    return f"its content is {is_other}" if is_other else None
