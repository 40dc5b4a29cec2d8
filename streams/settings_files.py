"""Settings in files: one TOML file for all, and a file each for secrets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLES = ("kafka", "kafka_files")  # by librdkafka's names, which have dots


def secret(name: str, path: Path) -> str:
    """The text of a file, without blanks around it. Raises ValueError, which names the property and the file."""
    try:
        return path.expanduser().read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"kafka_files.{name}: cannot read {path}: {error}") from None


def in_file(path: Path | None) -> dict[str, Any]:
    """What a file sets. Without quotes TOML reads `security.protocol = "SSL"` as tables, which properties never are."""
    said = {} if path is None else tomllib.loads(path.read_text(encoding="utf-8-sig"))
    return said | {name: dict(_flat(table)) for name, table in said.items() if name in TABLES and type(table) is dict}


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
