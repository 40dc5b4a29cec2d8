"""Damage to a state folder: how it is recognised, and where it is noted."""

from __future__ import annotations

from pathlib import Path

MISSING = "No such file or directory"


class DamagedError(Exception):
    """A folder that cannot be used and may be deleted."""


def note_of(path: Path) -> Path:
    """The file beside the folder in which damage is noted."""
    return path.with_name(f"{path.name}.damaged")


def why_of(error: Exception) -> str:
    """The message of RocksDB on one line; it holds no data."""
    return " ".join(str(error).split())
