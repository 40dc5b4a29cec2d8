"""Files packed as their names say."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow


def pack(path: Path, text: bytes) -> Path:
    """A file of that text: plain, or in gzip or zstd where its name ends so."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text))
    elif path.suffix == ".zst":
        with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
            file.write(text)
    else:
        path.write_bytes(text)
    return path
