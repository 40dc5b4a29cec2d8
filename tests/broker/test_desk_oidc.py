"""Logging in at an OpenID provider that really runs: Canaille, on a port of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest

from desk.web.directory import Directory, Group, Oidc, Proxy
from tests.desk_site import Site, served
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.broker

SECRET = "a secret of the client"
TLS = {"x-desk-secret": "a secret of the proxy", "x-forwarded-proto": "https"}


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> Any:
    """Canaille; its plugin is loaded here, as nobody else needs it."""
    request.config.pluginmanager.register(import_module("pytest_iam"), "provider")
    return request.getfixturevalue("iam_server")


@pytest.fixture
def site(fresh_kafka: str, provider: Any, tmp_path: Path) -> Iterator[Site]:
    """A desk that knows the provider, and the provider knows it."""
    (tmp_path / "secret").write_text(SECRET)
    oidc = Oidc(
        issuer=provider.url.rstrip("/"), client_id="desk", secret_file=str(tmp_path / "secret"),
        scope="openid profile groups",
    )  # fmt: skip
    (tmp_path / "proxy").write_text(TLS["x-desk-secret"])
    proxy = Proxy(peers=("127.0.0.1",), secret_file=str(tmp_path / "proxy"))
    directory = Directory(groups={"analysts": Group(("analyst:44",))}, oidc=oidc, proxy=proxy)
    with served(fresh_kafka, directory=directory) as site:
        client = provider.models.Client(
            client_id="desk", client_secret=SECRET, client_name="desk", client_uri=f"{site}/",
            redirect_uris=[f"{site}/desk/login/oidc/back"], scope=["openid", "profile", "groups"],
            grant_types=["authorization_code"], response_types=["code"],
            token_endpoint_auth_method="client_secret_basic",
        )  # fmt: skip
        provider.backend.save(client)
        provider.backend.update(client, audience=[client])
        provider.backend.save(client)
        yield site
        provider.backend.delete(client)


def known(provider: Any, name: str, group: str) -> Any:
    """A user of the provider, in a group, who is logged in there and lets the desk know."""
    user = provider.random_user(user_name=name)
    provider.random_group(display_name=group, members=[user])
    provider.login(user)
    provider.consent(user)
    return user


def test_who_logs_in_at_the_provider_has_the_roles_of_the_groups_there(site: Site, provider: Any) -> None:
    known(provider, "a1", "analysts")
    with httpx2.Client(base_url=site, timeout=PATIENCE_S) as browser:
        assert 'href="/desk/login/oidc"' in browser.get("/desk/login").text
        by_tls = browser.get("/desk/login/oidc", headers=TLS)
        back_by_tls = httpx2.URL(by_tls.headers["location"]).params["redirect_uri"]
        assert back_by_tls == f"{site.replace('http:', 'https:')}/desk/login/oidc/back"
        cookie = by_tls.headers["set-cookie"].split("; ")
        assert (cookie[0].partition("=")[0], "Secure" in cookie) == ("__Host-desk-login", True)
        sent = browser.get("/desk/login/oidc")
        assert "Secure" not in sent.headers["set-cookie"]
        asked = httpx2.URL(sent.headers["location"]).params
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        back = browser.get(sent.headers["location"])
        assert back.status_code in (302, 303)
        came = browser.get(back.headers["location"])
        assert (came.status_code, came.headers["location"]) == (303, "/desk")
        queue = browser.get("/desk").text
        assert "a1" in queue
        assert "SF:0000000000001" in queue
        assert "SF:0000000000003" not in queue  # which lies in 310115
        again = browser.get(back.headers["location"])  # the answer of the provider counts once
        assert again.status_code == 401


def test_an_answer_for_another_login_or_without_a_role_logs_nobody_in(site: Site, provider: Any) -> None:
    known(provider, "x1", "strangers")
    with (
        httpx2.Client(base_url=site, timeout=PATIENCE_S) as browser,
        httpx2.Client(base_url=site, timeout=PATIENCE_S) as other,
    ):
        back = browser.get(browser.get("/desk/login/oidc").headers["location"]).headers["location"]
        assert other.get(back).status_code == 401  # another browser, which began none
        other.get("/desk/login/oidc")
        assert other.get(back).status_code == 401  # or another one
        refused = browser.get(back)
        assert refused.status_code == 401
        assert "no group of this account gives a role" in refused.text
        assert browser.get("/desk").headers["location"] == "/desk/login"
