"""Accounts of the desk: the file, passwords, roles, and the commands that write it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from desk.limits import Limiter
from desk.web.roles import MAY, Grant
from desk.web.users import Account, Users, UsersError, hashed, read
from streams.cli import run

PASSWORD = "correct horse battery"


def user(*words: str) -> int:
    return run(["desk", "user", *words])


def test_an_account_is_added_used_listed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, secret = tmp_path / "users", tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    given = ("--users", str(file))
    roles = ("--role", "station", "--role", "analyst:4401", "--station", "ST-1")
    assert user("add", "u1", *roles, "--password-file", str(secret), *given) == 0
    assert user("add", "m1", "--role", "viewer", "--token", *given) == 0
    token = capsys.readouterr().err.split()[-1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    assert PASSWORD not in text
    assert token not in text
    assert "$argon2id$" in text
    users = Users.of(file)
    found = users.of_password("u1", PASSWORD)
    assert found is not None
    assert (found.name, found.station, found.grants) == ("u1", "ST-1", (Grant("station"), Grant("analyst", "4401")))
    assert (found.scope.prefixes, found.scope.stations) == (("4401",), ("ST-1",))
    machine = users.of_token(token)
    assert machine is not None
    assert machine.name == "m1"
    for name, password in (("u1", "wrong"), ("u1", ""), ("m1", ""), ("m1", PASSWORD), ("nobody", PASSWORD)):
        assert users.of_password(name, password) is None
    assert user("list", *given) == 0
    assert capsys.readouterr().out == "u1 ST-1 station analyst:4401\nm1 - viewer\n"
    assert user("remove", "u1", *given) == 0
    assert [each.user for each in read(file)] == ["m1"]


@pytest.mark.parametrize(
    "words",
    [
        ("--role", "chief"), ("--role", "station"), ("--role", "auditor:44"), ("--role", "analyst:044"),
        ("--role", "analyst:1234567"), ("--role", "viewer", "--station", "x" * 500),
    ],
)  # fmt: skip
def test_an_account_that_would_be_refused_is_not_written(words: tuple[str, ...], tmp_path: Path) -> None:
    assert user("add", "u1", *words, "--token", "--users", str(tmp_path / "users")) != 0
    assert not (tmp_path / "users").exists()


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("eleven char")
    with_file = ("--password-file", str(tmp_path / "short"), "--users", str(tmp_path / "users"))
    assert user("add", "u1", "--role", "viewer", *with_file) != 0


GOOD = f'{{"user":"u1","roles":["viewer"],"token":"{hashed("x" * 40)}"}}'


@pytest.mark.parametrize(
    "text",
    ["", "\n", "u1 ST-1 secret", '{"user":"u1"}', '{"user":"u1","roles":[],"token":"secret"}', f"{GOOD}\n{GOOD}\n"],
)
def test_a_file_of_accounts_that_lets_nobody_act_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(UsersError, match="users") as refused:
        Users.of(file)
    assert "secret" not in str(refused.value)


def test_an_auditor_and_an_admin_see_no_clue() -> None:
    for role in ("auditor", "admin"):
        (account,) = Users([Account(user="u1", roles=(role,), token=hashed("x" * 40))]).accounts
        found = Users([account]).of_token("x" * 40)
        assert found is not None
        assert found.scope.prefixes == ()
        assert not MAY["auditor"] & MAY["admin"]


def test_a_limit_ends_with_its_time() -> None:
    now = [0.0]
    limit = Limiter(2, 10, lambda: now[0])
    for at in (0.0, 5.0):
        now[0] = at
        assert limit.allows("a")
        limit.note("a")
    assert not limit.allows("a")
    assert limit.allows("b")
    now[0] = 10.0
    assert limit.allows("a")
