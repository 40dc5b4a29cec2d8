"""Encrypts messages that could not be read, so that only a holder of the key can look at them.

The result is a Fernet token (AES-128-CBC with HMAC-SHA-256) of the message as it came. The key file holds keys as
`cryptography.fernet.Fernet.generate_key` makes them, one a line. The first key encrypts, all of them decrypt; to rotate
the key, put a new one on top.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from schemas.errors import WaybillError, unread
from streams.settings import Settings

RejectCipher = Callable[[bytes | None], str | None]
RAW_BYTES_MAX = 262_144  # of a message that is kept: encrypted, it still fits into one record of Kafka's default size


class CipherError(WaybillError):
    """A key file that cannot be used."""


def cipher_of(settings: Settings) -> RejectCipher:
    """How these settings keep the bytes of a record that cannot be read."""
    path = settings.reject_key_file
    return FernetKeys(path).encrypt if settings.reject_raw == "encrypt" and path else drop


def drop(raw: bytes | None) -> None:
    """Keep nothing."""


class FernetKeys:
    """Encrypts and decrypts messages. Raises CipherError for a file that cannot be read or holds no good key."""

    def __init__(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8-sig").split()
        except (OSError, UnicodeDecodeError) as error:
            raise CipherError(f"reject_key_file: cannot read {path}: {unread(error)}") from None
        try:
            self._keys = MultiFernet([Fernet(line) for line in lines])
        except ValueError:
            raise CipherError(f"reject_key_file: {path} must hold Fernet keys, one a line") from None

    def encrypt(self, raw: bytes | None) -> str | None:
        """The message as text; None for no message, or one that is too large to keep."""
        return self._keys.encrypt(raw).decode() if raw and len(raw) <= RAW_BYTES_MAX else None

    def decrypt(self, raw: str) -> bytes:
        """The message in a reject's `raw`. Raises cryptography.fernet.InvalidToken if none of the keys decrypts it."""
        return self._keys.decrypt(raw)
