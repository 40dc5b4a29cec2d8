"""State that cannot be used, and damage to a folder: how it is recognised, and where it is noted."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import WaybillError

MISSING = "No such file or directory"


class StateError(WaybillError):
    """State cannot be used. The message names the folder and says what to do."""


class DamagedError(Exception):
    """A folder that cannot be used and may be deleted."""


def note_of(path: Path) -> Path:
    """The file beside the folder in which damage is noted."""
    return path.with_name(f"{path.name}.damaged")


def why_of(error: Exception) -> str:
    """The message of RocksDB on one line; it holds no data."""
    return " ".join(str(error).split())
