r"""What commands write to standard output, and to standard error where standard output is taken.

Names of files need not be UTF-8. Python then holds their bytes as halves of surrogate pairs, which no encoder takes:
they are written as `\xff`, and so is whatever else a terminal cannot show as `?`.
"""

from __future__ import annotations

import codecs
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

_BYTES = range(0xDC80, 0xDD00)  # as surrogateescape has them


def make_readable() -> None:
    """Let standard output and standard error write any text."""
    codecs.register_error("waybill", _written)
    for stream in (sys.stdout, sys.stderr):  # None where it is closed
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="waybill")


def json_line(record: Any) -> None:
    """Write a record as one line of JSON."""
    import msgspec

    text = json.dumps(msgspec.to_builtins(record), ensure_ascii=False)
    sys.stdout.write("".join(f"\\\\x{ord(mark) - 0xDC00:02x}" if ord(mark) in _BYTES else mark for mark in text) + "\n")
    sys.stdout.flush()


@contextmanager
def beside(*files: Path | None) -> Iterator[None]:
    """What is printed meanwhile goes to standard error if one of `files` is standard output."""
    from streams.files.writing import standard

    if any(map(standard, files)):
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def _written(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    some = error.object[error.start : error.end]
    return "".join(f"\\x{ord(mark) - 0xDC00:02x}" if ord(mark) in _BYTES else "?" for mark in some), error.end
