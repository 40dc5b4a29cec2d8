"""Sealing what could not be read, so that whoever holds the key can look at it and nobody else.

A Fernet token (AES-128-CBC with HMAC-SHA-256) of the message as it came. The key file holds keys as
`cryptography.fernet.Fernet.generate_key` makes them, one a line: the first one seals, all of them open, so a key is
rotated by putting a new one on top.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from schemas.errors import WaybillError
from streams.settings import Settings

RejectCipher = Callable[[bytes | None], str | None]
RAW_BYTES_MAX = 262_144  # of a message that is kept: sealed, it still fits into one record of Kafka's default size


class CipherError(WaybillError):
    """A key file that cannot be used."""


def cipher_of(settings: Settings) -> RejectCipher:
    """What is kept of a record that cannot be read, by these settings."""
    path = settings.reject_key_file
    return Sealer(path).seal if settings.reject_raw == "encrypt" and path else drop


def drop(raw: bytes | None) -> None:
    """Keep nothing."""


class Sealer:
    """Seals and opens messages. Raises SealError for a file that cannot be read or holds no good key."""

    def __init__(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise CipherError(f"reject_key_file: cannot read {path} ({type(error).__name__})") from None
        try:
            self._keys = MultiFernet([Fernet(line) for line in lines])
        except ValueError:
            raise CipherError(f"reject_key_file: {path} is to hold Fernet keys, one a line") from None

    def seal(self, raw: bytes | None) -> str | None:
        """The message as text; None for none, or one that is too large to keep."""
        return self._keys.encrypt(raw).decode() if raw and len(raw) <= RAW_BYTES_MAX else None

    def open(self, sealed: str) -> bytes:
        """The message in a reject's `raw`. Raises cryptography.fernet.InvalidToken where it cannot be opened."""
        return self._keys.decrypt(sealed)
