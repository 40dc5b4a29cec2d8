"""Damage to a state folder: how it is known, and where it is noted."""

from __future__ import annotations

from pathlib import Path

MISSING = "No such file or directory"


class DamagedError(Exception):
    """A folder that cannot be used as it is, and may be thrown away."""


def note_of(path: Path) -> Path:
    """Where damage to the folder is noted: beside it."""
    return path.with_name(f"{path.name}.damaged")


def why_of(error: Exception) -> str:
    """What RocksDB says, in one line; it holds no data."""
    return " ".join(str(error).split())
