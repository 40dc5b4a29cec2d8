"""Rejects that keep what they refuse, for whoever holds the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from schemas import topics
from schemas.records import encode
from streams.flow.batches import Batch
from streams.flow.reject_cipher import RAW_BYTES_MAX, CipherError, FernetKeys
from tests.workbench import workbench

SECRET = b'{"sender_name": "\xe5\xbc\xa0\xe4\xb8\x89'


def keys(path: Path, *found: bytes) -> Path:
    path.write_bytes(b"\n".join(found) + b"\n")
    return path


def test_a_reject_holds_the_message_for_the_key_and_for_nobody_else(tmp_path: Path) -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    path = keys(tmp_path / "keys", old)
    with workbench(tmp_path / "state", reject_raw="encrypt", reject_key_file=path) as bench:
        (reject,) = bench.worker.parcels.step([Batch(topics.SHIPMENTS, 0, [5], [SECRET], [-1])], 0).rejects
    assert reject.raw is not None
    assert b"sender_name" not in encode(reject)
    rotated = FernetKeys(keys(tmp_path / "rotated", new, old))
    assert rotated.decrypt(reject.raw) == SECRET
    with pytest.raises(InvalidToken):
        FernetKeys(keys(tmp_path / "other", new)).decrypt(reject.raw)


def test_by_default_nothing_is_kept(tmp_path: Path) -> None:
    with workbench(tmp_path) as bench:
        (reject,) = bench.worker.parcels.step([Batch(topics.SHIPMENTS, 0, [5], [SECRET], [-1])], 0).rejects
    assert reject.raw is None


def test_what_is_no_message_or_too_large_is_not_kept(tmp_path: Path) -> None:
    keys_of = FernetKeys(keys(tmp_path / "keys", Fernet.generate_key()))
    assert [keys_of.encrypt(raw) for raw in (None, b"", b"x" * (RAW_BYTES_MAX + 1))] == [None] * 3


@pytest.mark.parametrize("content", [b"", b"secret", b"\xff"])
def test_a_file_without_a_good_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(CipherError, match=r"reject_key_file: .*keys") as refusal:
        FernetKeys(path)
    assert "secret" not in str(refusal.value)
    with pytest.raises(CipherError, match="cannot read"):
        FernetKeys(tmp_path / "none")
