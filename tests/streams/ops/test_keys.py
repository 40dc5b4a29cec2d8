"""Key files: made for their owner alone, rotated without losing what is there, shown by id only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from streams.cli import run
from streams.flow.describe.tokens import KeyFileError, load_keys
from streams.ops import keys


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "keys" / "publish", tmp_path / "keys" / "state"


def test_new_files_are_private_and_make_tokens(files: tuple[Path, Path]) -> None:
    assert keys.new(*files, "first") == "first"
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    made = load_keys(token_key_file=files[0], token_state_key_file=files[1])
    assert not made.development
    assert made.publish_key_ids == ("first",)


def test_nothing_that_is_there_is_written_over(files: tuple[Path, Path]) -> None:
    keys.new(*files)
    before = [path.read_bytes() for path in files]
    with pytest.raises(KeyFileError, match="is there already"):
        keys.new(*files)
    assert [path.read_bytes() for path in files] == before


def test_rotation_keeps_history_and_older_tokens(files: tuple[Path, Path]) -> None:
    keys.new(*files, "old")
    old = load_keys(token_key_file=files[0], token_state_key_file=files[1])
    assert keys.rotate(*files, "new") == "new"
    new = load_keys(token_key_file=files[0], token_state_key_file=files[1])
    assert new.publish_key_ids == ("new", "old")
    (token,) = old.tokens("id", ["synthetic"]).tolist()
    assert new.tokens("id", ["synthetic"]).tolist() == [token], "the same person in state"
    assert new.publish(token) != old.publish(token)
    assert new.publish(token, "old") == old.publish(token)
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    with pytest.raises(KeyFileError, match="has a key new already"):
        keys.rotate(*files, "new")


def test_keys_of_one_day_have_names_of_their_own(files: tuple[Path, Path]) -> None:
    first = keys.new(*files)
    assert len({first, keys.rotate(*files), keys.rotate(*files)}) == 3


def test_the_command_line_shows_ids_and_never_a_key(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYBILL_TOKEN_KEY_FILE", str(files[0]))
    monkeypatch.setenv("WAYBILL_TOKEN_STATE_KEY_FILE", str(files[1]))
    assert [run(["keys", "new", "--id", "one"]), run(["keys", "rotate", "--id", "two"]), run(["keys", "show"])] == [
        0
    ] * 3
    said = capsys.readouterr().out
    assert said.splitlines()[-2:] == ["two  current", "one"]
    secrets = [line.rpartition(":")[2] for path in files for line in path.read_text().split()]
    assert not any(secret in said for secret in secrets)


def test_files_that_others_can_read_are_known(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    assert not keys.readable_by_others(path)
    path.chmod(0o640)
    assert keys.readable_by_others(path)
    assert not keys.readable_by_others(tmp_path / "missing")
