"""Accounts that others keep: which files are refused, what groups give, and whose headers are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from desk.web.directory import Directory, DirectoryError, Proxy, read
from desk.web.proxy import Headers
from desk.web.roles import Grant

GROUPS = {"a": {"roles": ["analyst:4401"]}, "s": {"roles": ["station"], "station": "ST-1"}}
SECRET = "a secret of the proxy"


def written(tmp_path: Path, **fields: Any) -> Path:
    path = tmp_path / "directory.json"
    (tmp_path / "secret").write_text(SECRET)
    path.write_bytes(msgspec.json.encode({"groups": GROUPS, **fields}))
    return path


def proxy(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    return {"peers": ["10.0.0.5", "10.1.0.0/16"], "secret_file": str(tmp_path / "secret"), **fields}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"proxy": {"secret_file": "secret"}},
        {"proxy": {"peers": [], "secret_file": "secret"}},
        {"proxy": {"peers": ["10.0.0.5"]}},
        {"oidc": {"issuer": "http://id.example.org", "client_id": "desk", "secret_file": "secret"}},
        {"groups": {"x": {"roles": ["chief"]}}},
        {"groups": {"x": {"roles": ["station"]}}},
        {"groups": {}},
        {"more": 1},
    ],
)
def test_a_file_that_would_let_in_whoever_comes_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    given = fields if "groups" not in fields else {**fields, "proxy": proxy(tmp_path)}
    with pytest.raises(DirectoryError, match=r"directory\.json"):
        read(written(tmp_path, **given))


def test_a_proxy_without_a_secret_or_with_peers_that_are_no_addresses_does_not_start(tmp_path: Path) -> None:
    for fields in ({"secret_file": str(tmp_path / "short")}, {"peers": ["proxy.example.org"]}):
        (tmp_path / "short").write_text("short")
        found = read(written(tmp_path, proxy=proxy(tmp_path, **fields)))
        assert found.proxy is not None
        with pytest.raises(DirectoryError):
            Headers(found, found.proxy)


def test_groups_give_roles_and_a_station(tmp_path: Path) -> None:
    directory = read(written(tmp_path, proxy=proxy(tmp_path)))
    user = directory.user("u1", ["other", "s", "a"])
    assert (user.name, user.station, user.grants) == ("u1", "ST-1", (Grant("station"), Grant("analyst", "4401")))
    for name, groups in (("u1", ["other"]), ("u1", []), ("", ["a"]), (None, ["a"]), ("x" * 65, ["a"])):
        with pytest.raises(DirectoryError):
            directory.user(name, groups)


def asking(peer: str, **headers: str) -> Request:
    given = {"x-desk-secret": SECRET, "x-forwarded-user": "u1", "x-forwarded-groups": "a, other", **headers}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    return Request({"type": "http", "headers": raw, "client": (peer, 1234)})


def test_headers_are_believed_from_named_peers_with_the_secret_alone(tmp_path: Path) -> None:
    directory = read(written(tmp_path, proxy=proxy(tmp_path)))
    assert isinstance(directory, Directory)
    assert isinstance(directory.proxy, Proxy)
    headers = Headers(directory, directory.proxy)
    for peer in ("10.0.0.5", "10.1.2.3"):
        user = headers.user(asking(peer))
        assert user is not None
        assert (user.name, user.grants) == ("u1", (Grant("analyst", "4401"),))
    assert headers.user(asking("10.0.0.6")) is None
    assert headers.user(asking("127.0.0.1", **{"x-forwarded-for": "10.0.0.5"})) is None
    for wrong in ("", "a secret of the prox", "wrong"):
        assert headers.user(asking("10.0.0.5", **{"x-desk-secret": wrong})) is None
    assert headers.user(asking("10.0.0.5", **{"x-forwarded-groups": "other"})) is None
    assert headers.user(asking("10.0.0.5", **{"x-forwarded-user": ""})) is None
