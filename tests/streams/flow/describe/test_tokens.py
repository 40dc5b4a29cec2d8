"""Tokens: keyed hashes, stable history, rotation, and keys that are refused."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.flow.describe.tokens import DEVELOPMENT_KEY_ID, KeyFileError, Tokeniser, load_keys

STATE, OLD, NEW = b"s" * 32, b"o" * 32, b"n" * 32
tokeniser = Tokeniser(STATE, {"new": NEW, "old": OLD}, "new")


def expected(key: bytes, domain: str, value: str) -> int:
    key = hashlib.sha256(key).digest()
    return int.from_bytes(hashlib.blake2s(f"{domain}\x1f{value}".encode(), key=key, digest_size=8).digest(), "big")


@given(st.lists(st.none() | st.text(max_size=200), max_size=20), st.sampled_from(["id", "phone", ""]))
def test_is_keyed_blake2s(values: list[str | None], domain: str) -> None:
    tokens = tokeniser.tokens(domain, values)
    assert tokens.dtype == np.uint64
    assert tokens.tolist() == [0 if value is None else expected(STATE, domain, value) for value in values]


@pytest.mark.parametrize("size", [32, 63, 64, 65, 200])
def test_keys_of_any_length(size: int) -> None:
    key = bytes(range(256))[:size]
    assert Tokeniser(key, {"k": NEW}, "k").tokens("id", ["a"])[0] == expected(key, "id", "a")


def test_domains_are_apart() -> None:
    assert tokeniser.tokens("id", ["1"])[0] != tokeniser.tokens("phone", ["1"])[0]


def test_published_token_has_the_key_id_and_hides_the_state_token() -> None:
    token = int(tokeniser.tokens("id", ["a"])[0])
    published = tokeniser.publish(token)
    key_id, digest = published.split(":")
    assert (key_id, len(digest)) == ("new", 32)
    assert digest == hmac.digest(NEW, token.to_bytes(8, "big"), "sha256")[:16].hex()
    assert f"{token:016x}" not in published


def test_rotation_changes_what_is_published_and_no_history() -> None:
    before = Tokeniser(STATE, {"old": OLD}, "old")
    token = before.tokens("id", ["a"])[0]
    assert tokeniser.tokens("id", ["a"])[0] == token
    assert tokeniser.publish(token) != before.publish(token)
    assert tokeniser.publish(token, "old") == before.publish(token)


def test_nobody_has_no_published_token() -> None:
    with pytest.raises(ValueError, match="not a token"):
        tokeniser.publish(0)
    with pytest.raises(KeyError):
        tokeniser.publish(1, "unknown")


def test_without_keys_the_development_keys_are_used_and_say_so() -> None:
    development = load_keys()
    assert development.development
    assert development.publish(1).startswith(f"{DEVELOPMENT_KEY_ID}:")
    assert not tokeniser.development


def test_keys_from_files_and_inline(tmp_path: Path) -> None:
    state, publish = tmp_path / "state", tmp_path / "publish"
    state.write_text(f"# never rotated\n{STATE.hex()}\n")
    publish.write_text(f"new:{NEW.hex()}  # since May\nold:{OLD.hex()}\n")
    for loaded in (
        load_keys(token_state_key_file=state, token_key_file=publish),
        load_keys(token_state_key=STATE.hex(), token_key=f"new:{NEW.hex()}, old:{OLD.hex()}"),
    ):
        assert loaded.tokens("id", ["a"]).tolist() == tokeniser.tokens("id", ["a"]).tolist()
        assert loaded.publish(7) == tokeniser.publish(7)
        assert loaded.publish(7, "old") == tokeniser.publish(7, "old")


@pytest.mark.parametrize(
    ("state", "publish", "message"),
    [
        (STATE.hex(), None, "give both"),
        (None, f"new:{NEW.hex()}", "give both"),
        ("secret-not-hex", f"new:{NEW.hex()}", "token_state_key: not hex"),
        (STATE.hex()[:62], f"new:{NEW.hex()}", "31 bytes"),
        ("", f"new:{NEW.hex()}", "one key"),
        (f"{STATE.hex()},{OLD.hex()}", f"new:{NEW.hex()}", "one key"),
        (STATE.hex(), NEW.hex(), "id:hex"),
        (STATE.hex(), f"a b:{NEW.hex()}", "id:hex"),
        (STATE.hex(), f"k:{NEW.hex()},k:{OLD.hex()}", "id:hex"),
        (STATE.hex(), "new:secret", "token_key new: not hex"),
        (STATE.hex(), "# none yet", "one key at least"),
    ],
)
def test_bad_keys_are_refused_without_being_shown(state: str | None, publish: str | None, message: str) -> None:
    with pytest.raises(KeyFileError, match=message) as caught:
        load_keys(token_state_key=state, token_key=publish)
    for secret in ("secret", STATE.hex()[:16], NEW.hex()[:16]):
        assert secret not in str(caught.value)


def test_missing_file_and_unknown_current_key(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="token_key_file: cannot read"):
        load_keys(token_state_key=STATE.hex(), token_key_file=tmp_path / "absent")
    with pytest.raises(KeyFileError, match="no publish key"):
        Tokeniser(STATE, {"a": NEW}, "b")
    with pytest.raises(KeyFileError, match="at least 32"):
        Tokeniser(b"short", {"a": NEW}, "a")
