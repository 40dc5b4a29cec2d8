"""Key files of tokens: made, rotated and looked at, without a key ever being shown."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase

from streams.flow.describe.tokens import KEY_BYTES_MIN, KeyFileError, load_keys

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_PRIVATE = 0o600


def new(token_key_file: Path, token_state_key_file: Path, key_id: str | None = None) -> str:
    """Write both files, which must not be there; the id of the publish key. Raises KeyFileError."""
    for path in (token_key_file, token_state_key_file):
        if path.exists():
            raise KeyFileError(f"{path} is there already; `waybill keys rotate` adds a publish key to such files")
    name = key_id or _today(())
    _write(token_key_file, f"{name}:{secrets.token_hex(KEY_BYTES_MIN)}\n")
    _write(token_state_key_file, f"{secrets.token_hex(KEY_BYTES_MIN)}\n")
    return name


def rotate(token_key_file: Path, token_state_key_file: Path, key_id: str | None = None) -> str:
    """Put a new publish key before those that are there; its id. Raises KeyFileError."""
    held = held_in(token_key_file, token_state_key_file)
    name = key_id or _today(held)
    if name in held:
        raise KeyFileError(f"{token_key_file} has a key {name} already; give the new one another id")
    before = token_key_file.read_text(encoding="utf-8-sig")
    _write(token_key_file, f"{name}:{secrets.token_hex(KEY_BYTES_MIN)}\n{before}")
    return name


def new_order_key(path: Path) -> None:
    """Write the key of the random arm; the file must not be there. Raises KeyFileError."""
    if path.exists():
        raise KeyFileError(f"{path} is there already; with another key other parcels would be drawn")
    _write(path, f"{secrets.token_hex(KEY_BYTES_MIN)}\n")


def held_in(token_key_file: Path, token_state_key_file: Path) -> tuple[str, ...]:
    """Ids of the publish keys, the current one first. Raises KeyFileError."""
    return load_keys(token_key_file=token_key_file, token_state_key_file=token_state_key_file).publish_key_ids


def readable_by_others(path: Path) -> bool:
    """Whether anyone but its owner may read, write or enter it; False where there is nothing."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _today(taken: Sequence[str]) -> str:
    """The day as an id, with a letter behind it from the second key of a day on."""
    day = f"{datetime.now(UTC):%Y%m%d}"
    names = (day, *(f"{day}{letter}" for letter in ascii_lowercase[1:]))
    return next(name for name in names if name not in taken)


def _write(path: Path, text: str) -> None:
    """Write whole or not at all, for its owner alone. Raises KeyFileError."""
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
