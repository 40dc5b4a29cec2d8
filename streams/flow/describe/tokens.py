"""Tokens: they stand for persons in state and in alerts.

There are two keys, so that rotation loses no history. A *state token* is 8 bytes of keyed BLAKE2s (RFC 7693) under the
state key, which never changes. It links events, never leaves the worker, and takes less than half the time of an HMAC.
A *published token* is HMAC-SHA-256 of the state token under the present publish key, after the id of that key. Rotating
the publish key changes what analysts see from then on, and nothing in state. A plain hash would not protect anyone:
there are so few ID and phone numbers that all can be tried.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.errors import WaybillError, unread
from streams.settings import Settings

KEY_BYTES_MIN = 32
_NOBODY = bytes(8)

DEVELOPMENT_KEY_ID = "dev"
# Well known, so no protection: `doctor` warns about them, and the key id shows them in alerts.
DEVELOPMENT_KEYS: Mapping[str, bytes] = {
    "state": hashlib.sha256(b"waybill-sentinel development state key").digest(),
    DEVELOPMENT_KEY_ID: hashlib.sha256(b"waybill-sentinel development publish key").digest(),
}

_KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


class KeyFileError(WaybillError):
    """Keys that cannot be used. The message names the setting and never shows a part of a key."""


class Tokeniser:
    """Makes tokens. Safe to share between threads; holds no values, only keys."""

    def __init__(self, state_key: bytes, publish_keys: Mapping[str, bytes], publish_key_id: str) -> None:
        """`publish_key_id` names the key of `publish_keys` in use. KeyFileError if it is missing or a key is short."""
        if publish_key_id not in publish_keys:
            raise KeyFileError(f"no publish key has the id {publish_key_id!r}")
        for name, key in (("state", state_key), *publish_keys.items()):
            if len(key) < KEY_BYTES_MIN:
                raise KeyFileError(f"key {name!r}: {len(key)} bytes, at least {KEY_BYTES_MIN} are needed")
        self.publish_key_id = publish_key_id
        self._publish_keys = dict(publish_keys)
        self.publish_key_ids = tuple(sorted(publish_keys, key=lambda key_id: key_id != publish_key_id))
        """Ids of all publish keys that are held, the current one first."""
        self.state_key = hashlib.sha256(state_key).digest()
        """The key as BLAKE2s takes it, for code that makes the same tokens elsewhere."""
        # Keyed once here, and copied for every value.
        self._macs = {key_id: hmac.new(key, digestmod="sha256") for key_id, key in publish_keys.items()}
        self._keyed = hashlib.blake2s(key=self.state_key, digest_size=8)

    @property
    def development(self) -> bool:
        """Whether the well-known keys are in use: good enough for a demo, no protection for persons."""
        return self._publish_keys[self.publish_key_id] == DEVELOPMENT_KEYS[DEVELOPMENT_KEY_ID]

    def tokens(self, domain: str, values: Sequence[str | None]) -> NDArray[np.uint64]:
        """The state token of each value; 0 only for None.

        `domain` separates kinds of value (an ID and a phone of the same digits differ); it holds no control character.
        """
        keyed = self._keyed.copy()
        keyed.update(domain.encode() + b"\x1f")
        start = keyed.copy
        digests: list[bytes] = []
        add = digests.append
        for value in values:
            if value is None:
                add(_NOBODY)
                continue
            token = start()
            token.update(value.encode("utf-8", "surrogatepass"))
            add(token.digest())
        tokens = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
        missing = [position for position, value in enumerate(values) if value is None] if 0 in tokens else []
        tokens[tokens == 0] = 1
        tokens[missing] = 0
        return tokens

    def publish(self, token: int, key_id: str | None = None) -> str:
        """`key_id:32 hex` of a state token, under the current publish key or an older one that is still held.

        Raises ValueError for 0, which is nobody, and KeyError for an unknown key id.
        """
        if not token:
            raise ValueError("0 is not a token")
        key_id = key_id or self.publish_key_id
        mac = self._macs[key_id].copy()
        mac.update(int(token).to_bytes(8, "big"))
        return f"{key_id}:{mac.digest()[:16].hex()}"

    def published(self, token: int) -> tuple[str, ...]:
        """A state token under every publish key that is held, the current one first; nothing for nobody.

        Only who holds the keys and sees the person can say that two published tokens are of one person. Whatever
        carries them all says so to every reader, for as long as an older key is kept.
        """
        return tuple(self.publish(token, key_id) for key_id in self.publish_key_ids) if token else ()


def tokeniser(settings: Settings) -> Tokeniser:
    """As set; with the development keys if none is given. Raises KeyFileError."""
    return load_keys(
        token_key_file=settings.token_key_file,
        token_state_key_file=settings.token_state_key_file,
        token_key=settings.token_key.get_secret_value() if settings.token_key else None,
        token_state_key=settings.token_state_key.get_secret_value() if settings.token_state_key else None,
    )


def load_keys(
    *,
    token_key_file: Path | None = None,
    token_state_key_file: Path | None = None,
    token_key: str | None = None,
    token_state_key: str | None = None,
) -> Tokeniser:
    """The tokeniser for the settings of these names; with the development keys if none is given.

    State key: at least 32 bytes as hex digits. Publish keys: `id:hex`, one per line or separated by commas, the current
    one first, older ones after it for as long as their tokens must be found. `#` starts a comment.
    Raises KeyFileError for a file that cannot be read, a malformed key, or one kind of key without the other.
    """
    state = _text("token_state_key", token_state_key, token_state_key_file)
    publish = _text("token_key", token_key, token_key_file)
    if state is None and publish is None:
        return Tokeniser(
            DEVELOPMENT_KEYS["state"], {DEVELOPMENT_KEY_ID: DEVELOPMENT_KEYS[DEVELOPMENT_KEY_ID]}, DEVELOPMENT_KEY_ID
        )
    if state is None or publish is None:
        raise KeyFileError("token_key and token_state_key: give both, or neither for the development keys")
    if len(state) != 1:
        raise KeyFileError("token_state_key: one key is needed")
    keys: dict[str, bytes] = {}
    for entry in publish:
        key_id, colon, digits = (part.strip() for part in entry.partition(":"))
        if not colon or not _KEY_ID.fullmatch(key_id) or key_id in keys:
            raise KeyFileError("token_key: each key is written id:hex, with an id of its own")
        keys[key_id] = _key(f"token_key {key_id}", digits)
    if not keys:
        raise KeyFileError("token_key: one key at least is needed")
    return Tokeniser(_key("token_state_key", state[0]), keys, next(iter(keys)))


def one_key(name: str, inline: str | None, path: Path | None) -> bytes | None:
    """The one key, at least 32 bytes as hex digits, of a setting given inline or as a file; None: neither is given.

    Raises KeyFileError.
    """
    given = _text(name, inline, path)
    if given is None:
        return None
    if len(given) != 1:
        raise KeyFileError(f"{name}: one key is needed")
    return _key(name, given[0])


def _text(name: str, inline: str | None, path: Path | None) -> list[str] | None:
    """Entries of a setting given inline or as a file, without comments and blanks."""
    if inline is None:
        if path is None:
            return None
        try:
            inline = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{name}_file: cannot read {path}: {unread(error)}") from None
    lines = (line.partition("#")[0] for line in inline.splitlines())
    return [entry.strip() for line in lines for entry in line.split(",") if entry.strip()]


def _key(name: str, digits: str) -> bytes:
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        raise KeyFileError(f"{name}: not hex digits") from None
    if len(key) < KEY_BYTES_MIN:
        raise KeyFileError(f"{name}: {len(key)} bytes, at least {KEY_BYTES_MIN} are needed")
    return key
