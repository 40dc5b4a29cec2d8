"""Sessions: they outlive the process, and end by time, by logging out, and when the account is no longer the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from desk.store.database import Database
from desk.store.sessions import SessionStore
from desk.web.directory import Directory, Group, Proxy
from desk.web.roles import Grant
from desk.web.sessions import IDLE_MS, SESSION_MS, Sessions
from desk.web.users import User, Users, write
from tests.desk_accounts import account

A1 = User("a1", None, (Grant("analyst", "44"),))
MINUTE_MS = 60_000
DIRECTORY = Directory(groups={"g": Group(("viewer",))}, proxy=Proxy(peers=("127.0.0.1",), secret_file="none"))


class Desk:
    """A desk's sessions with a clock to turn, on files that outlive it."""

    def __init__(self, folder: Path) -> None:
        self.file, self.now = folder / "users", 10**12
        write(self.file, [account("a1", "x" * 40, None, "analyst:44"), account("a2", "y" * 40, None, "admin")])
        self._url = f"sqlite:///{folder}/desk.sqlite"
        self.cookie = ""
        self.start()

    def start(self) -> None:
        self.database = Database(self._url)
        self.users = Users.of(self.file)
        self.sessions = Sessions(SessionStore(self.database), self.users, DIRECTORY, lambda: self.now)

    def restart(self) -> None:
        self.database.engine.dispose()
        self.start()

    def request(self) -> Request:
        headers = [(b"host", b"desk"), (b"cookie", f"desk={self.cookie}".encode())]
        return Request({"type": "http", "method": "GET", "scheme": "http", "path": "/", "headers": headers})

    def log_in(self, user: User = A1, groups: tuple[str, ...] | None = None) -> None:
        answer = Response()
        self.sessions.begin(user, self.request(), answer, groups)
        self.cookie = answer.headers.getlist("set-cookie")[-1].partition("=")[2].partition(";")[0]

    def who(self, *, active: bool = True) -> User | None:
        return asyncio.run(self.sessions.user(self.request(), active=active))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.database.engine.dispose()


def test_a_session_outlives_the_process_and_its_cookie_is_nowhere_on_the_disk(desk: Desk, tmp_path: Path) -> None:
    desk.log_in()
    assert desk.who() == A1
    desk.restart()
    assert desk.who() == A1
    for path in tmp_path.rglob("*"):
        assert desk.cookie.encode() not in path.read_bytes()
    answer = Response()
    desk.sessions.end(desk.request(), answer)
    assert desk.who() is None
    desk.restart()
    assert desk.who() is None


def test_behind_tls_a_cookie_is_for_this_host_alone_and_no_script_reads_it(desk: Desk) -> None:
    request, answer = desk.request(), Response()
    request.scope["scheme"] = "https"
    desk.sessions.begin(A1, request, answer)
    name, *rest = answer.headers.getlist("set-cookie")[-1].split("; ")
    assert name.startswith("__Host-desk=")
    assert {each.lower() for each in rest} == {
        "httponly",
        f"max-age={SESSION_MS // 1_000}",
        "path=/",
        "samesite=lax",
        "secure",
    }


def test_a_session_ends_when_nobody_is_there_and_after_eight_hours(desk: Desk) -> None:
    desk.log_in()
    desk.now += IDLE_MS - 1
    assert desk.who(active=False) == A1  # an open queue
    desk.now += 1
    assert desk.who(active=False) is None
    desk.log_in()
    begun = desk.now
    while desk.now < begun + SESSION_MS - IDLE_MS // 2:
        desk.now += IDLE_MS // 2
        assert desk.who() == A1
    desk.now = begun + SESSION_MS - 1
    assert desk.who() == A1
    desk.now += 1
    assert desk.who() is None
    desk.restart()
    assert desk.who() is None


def test_who_logs_in_anew_has_another_cookie_and_the_old_one_is_worth_nothing(desk: Desk) -> None:
    desk.log_in()
    first = desk.cookie
    desk.log_in()
    assert desk.cookie != first
    desk.cookie = first
    assert desk.who() is None


def test_what_the_file_of_accounts_says_holds_at_once(desk: Desk) -> None:
    desk.log_in()
    write(desk.file, [account("a1", "x" * 40, None, "viewer:4401")])
    assert desk.who() == User("a1", None, (Grant("viewer", "4401"),))
    write(desk.file, [account("a2", "y" * 40, None, "admin")])
    assert desk.who() is None
    write(desk.file, [account("a1", "x" * 40, None, "analyst:44")])
    assert desk.who() == A1
    write(desk.file, [account("a1", "z" * 40, None, "analyst:44")])  # another token: whoever had the old one is out
    assert desk.who() is None


def test_a_file_that_is_spoiled_leaves_accounts_as_they_were(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.log_in()
    whole = desk.file.read_bytes()
    for spoiled in (b"{", b"\xff\xfe", b'{"user":"a1","roles":["king"]}\n'):
        desk.file.write_bytes(spoiled)
        assert desk.who() == A1
    assert len(caplog.records) == 3
    desk.file.unlink()
    assert desk.who() == A1
    desk.file.write_bytes(whole.replace(b"analyst:44", b"viewer"))
    assert desk.who() == User("a1", None, (Grant("viewer"),))


def test_groups_of_others_are_asked_anew(desk: Desk) -> None:
    desk.log_in(User("o1", None, (Grant("viewer"),)), ("g", "h"))
    assert desk.who() == User("o1", None, (Grant("viewer"),))
    desk.log_in(User("o1", None, (Grant("viewer"),)), ("h",))  # no group that gives a role any more
    assert desk.who() is None
