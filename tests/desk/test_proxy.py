"""Behind a proxy that ends TLS: cookies and addresses are those of TLS, if the proxy is one to believe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from starlette.testclient import TestClient

from desk.pen import Pen
from desk.rulebook import Rulebook
from desk.store.database import Database
from desk.store.projection import Projection
from desk.store.reading import Store
from desk.store.sessions import SessionStore
from desk.web.app import application
from desk.web.core import Desk, now
from desk.web.directory import Directory, Group, Proxy
from desk.web.sources import Sources
from desk.web.users import Users
from streams.metrics import DeskMetrics
from tests.desk_accounts import account

SECRET, TOKEN = "a secret of the proxy", "a1-" + "x" * 40
TLS = {"x-desk-secret": SECRET, "x-forwarded-proto": "https"}
Open = Callable[[str], TestClient]


@pytest.fixture
def metrics() -> DeskMetrics:
    return DeskMetrics()


@pytest.fixture
def desk_from(tmp_path: Path, metrics: DeskMetrics) -> Iterator[Open]:
    """A desk whose projection is never built, as it is seen from an address."""
    (tmp_path / "secret").write_text(SECRET)
    proxy = Proxy(peers=("10.0.0.5",), secret_file=str(tmp_path / "secret"))
    database, projection, sources = Database(f"sqlite:///{tmp_path}/desk.sqlite"), Projection(), Sources("", {}, now)
    no_rules = cast(Rulebook, None)  # no page here asks for rules
    sessions = SessionStore(database)
    desk = Desk(Store(database, projection), projection, Pen("", {}), no_rules, sources, sessions, metrics)
    users = Users([account("a1", TOKEN, None, "analyst")])
    app = application(desk, users, Directory(groups={"g": Group(("viewer",))}, proxy=proxy))
    yield lambda peer: TestClient(app, "http://desk.example", client=(peer, 1234), follow_redirects=False)
    sources.close()
    database.engine.dispose()


def cookies_and_address(client: TestClient, headers: dict[str, str]) -> tuple[list[tuple[str, bool]], str]:
    """Cookies of choosing a language, of logging in and out, each with whether it is for TLS alone; a redirect."""
    own = {**headers, "sec-fetch-site": "same-origin"}
    answers = [
        client.get("/desk/login?lang=en", headers=headers),
        client.post("/desk/login", headers=own, data={"token": TOKEN}),
        client.post("/desk/logout", headers=own),
    ]
    cookies = [each.headers["set-cookie"].split("; ") for each in answers]
    moved = client.get("/overdue/", headers=headers).headers["location"]
    return [(each[0].partition("=")[0], "Secure" in each) for each in cookies], moved


def test_behind_tls_cookies_are_for_tls_and_addresses_too(desk_from: Open) -> None:
    safe = [("lang", True), ("__Host-desk", True), ("__Host-desk", True)]
    assert cookies_and_address(desk_from("10.0.0.5"), TLS) == (safe, "https://desk.example/overdue")


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.6", TLS),
        ("10.0.0.5", {**TLS, "x-desk-secret": "another secret of it"}),
        ("10.0.0.5", {"x-forwarded-proto": "https"}),
        ("10.0.0.5", {**TLS, "x-forwarded-proto": "http"}),
        ("10.0.0.5", {**TLS, "x-forwarded-proto": "ftp"}),
        ("10.0.0.5", {"x-desk-secret": SECRET}),
    ],
)
def test_without_such_a_proxy_a_request_is_what_it_is(desk_from: Open, peer: str, headers: dict[str, str]) -> None:
    plain = [("lang", False), ("desk", False), ("desk", False)]
    assert cookies_and_address(desk_from(peer), headers) == (plain, "http://desk.example/overdue")


def test_who_is_not_let_in_is_counted_by_the_way_that_was_tried(desk_from: Open, metrics: DeskMetrics) -> None:
    client, own = desk_from("10.0.0.6"), {"sec-fetch-site": "same-origin"}
    client.post("/desk/login", headers=own, data={"token": TOKEN})
    client.post("/desk/login", headers=own, data={"token": "x" * 40})
    for _ in range(2):
        client.post("/desk/login", headers=own, data={"user": "a1", "password": "not his"})
    client.get("/clues")
    page = metrics.render().decode()
    for way, count in {"token": 1, "password": 2, "bearer": 1, "provider": 0}.items():
        assert f'waybill_desk_logins_refused_total{{way="{way}"}} {count}.0' in page
    assert 'waybill_desk_requests_total{method="POST",route="/desk/login",status="401"} 3.0' in page
    assert "a1" not in page
