"""The queue as it is open in a browser: news over a stream that is lost and found again, and a broker that is away."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import expect, sync_playwright
from starlette.testclient import TestClient

from desk.clues.dispatch import of_alert
from desk.log import ClueLog
from desk.verbs import Accept, Note
from desk.web.app import application
from desk.web.directory import Directory, Group, Proxy
from desk.web.users import Users
from schemas.records import Alert
from streams.kafka import admin
from streams.ops.broker.private import PrivateKafka
from tests.broker.test_desk import alert_on, do, now_ms
from tests.desk_site import ACCOUNTS, TOKENS, desk_of, served, three_clues
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.broker

PATIENCE_MS = PATIENCE_S * 1_000
CHROMIUM = shutil.which("chromium")
OWN = {"Sec-Fetch-Site": "same-origin"}
FIRST, THIRD = alert_on(1).alert_id, alert_on(3).alert_id


class Browser:
    """Somebody who is logged in, with a queue open."""

    def __init__(self, site: str, name: str) -> None:
        self.client = httpx2.Client(base_url=site, follow_redirects=True, timeout=PATIENCE_S, headers=OWN)
        assert self.client.post("/desk/login", data={"token": TOKENS[name]}).status_code == 200
        self.page = self.client.get("/desk?lang=en").text
        found = re.search(r'data-live="([^"]+)"', self.page)
        assert found is not None
        self.address = unescape(found[1])

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @contextmanager
    def stream(self, last: str | None = None) -> Iterator[Iterator[dict[str, Any]]]:
        """Messages as a browser's EventSource reads them; last: the id of the last one that it has."""
        headers = {} if last is None else {"Last-Event-ID": last}
        with self.client.stream("GET", self.address, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield messages(answer.iter_lines())


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield {**fields, "data": json.loads(fields["data"])}
            fields = {}


def rows_of(message: dict[str, Any]) -> list[str]:
    assert message["event"] == "rows"
    return [row["id"] for row in message["data"]["rows"]]


def opened(log: ClueLog, alert: Alert) -> None:
    act = of_alert(None, alert, 40, now_ms())
    assert act is not None
    log.add([act.event(None, "dispatcher", None, now_ms())])


@pytest.fixture
def site(fresh_kafka: str) -> Iterator[str]:
    with served(fresh_kafka) as address:
        yield address


def test_news_come_where_they_belong_and_again_after_a_loss(site: str, fresh_kafka: str) -> None:
    with (
        Browser(site, "supervisor") as everyone, Browser(site, "station") as station, ClueLog(fresh_kafka, {}) as log
    ):  # fmt: skip
        log.catch_up()
        with everyone.stream() as news, station.stream() as own:
            opened(log, alert_on(7))
            message = next(news)
            assert rows_of(message) == [alert_on(7).alert_id]
            assert "SF:0000000000007" in message["data"]["rows"][0]["html"]
            do(log, THIRD, Accept())  # of another station
            changed = next(news)
            assert (rows_of(changed), "accepted" in changed["data"]["rows"][0]["html"]) == ([THIRD], True)
            do(log, FIRST, Accept())
            mine = next(own)
            assert rows_of(mine) == [FIRST]
            assert "One ID number" not in mine["data"]["rows"][0]["html"]  # a station sees the reasons after its answer
            last = next(news)["id"]
        do(log, FIRST, Note(note="while nobody listened"))
        opened(log, alert_on(8))
        with everyone.stream(last) as news:
            missed: list[str] = []
            while len(missed) < 2:
                missed += rows_of(next(news))
            assert missed == [FIRST, alert_on(8).alert_id]
        with everyone.stream("otherwise-1") as news:
            assert next(news)["event"] == "reload"
        with Browser(site, "supervisor") as anew:
            assert anew.page.count("data-clue=") == 5


def test_a_row_that_fits_no_longer_is_said_to(site: str, fresh_kafka: str) -> None:
    with Browser(site, "supervisor") as browser, ClueLog(fresh_kafka, {}) as log:
        log.catch_up()
        browser.address += "&state=dispatched"
        with browser.stream() as news:
            do(log, FIRST, Accept())
            (row,) = next(news)["data"]["rows"]
            assert (row["id"], row["out"]) == (FIRST, True)


def test_who_has_logged_out_hears_no_more(site: str) -> None:
    with Browser(site, "supervisor") as browser:
        with browser.stream() as news:
            browser.client.post("/desk/logout")
            assert next(news)["event"] == "ended"
        assert 'name="token"' in browser.client.get(browser.address).text
        browser.client.headers["accept"] = "text/event-stream"  # as a browser asks that was away meanwhile
        with browser.stream() as news:
            assert next(news)["event"] == "ended"


def test_who_comes_through_a_proxy_hears_news_too(fresh_kafka: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a secret of the proxy")
    proxy = Proxy(peers=("127.0.0.1",), secret_file=str(tmp_path / "secret"))
    directory = Directory(groups={"g": Group(("supervisor",))}, proxy=proxy)
    said = {"x-desk-secret": "a secret of the proxy", "x-forwarded-user": "o1", "x-forwarded-groups": "g"}
    with (
        served(fresh_kafka, directory=directory) as site, ClueLog(fresh_kafka, {}) as log,
        httpx2.Client(base_url=site, timeout=PATIENCE_S, headers=said) as client,
        client.stream("GET", "/desk/live?since=otherwise-1") as first,
    ):  # fmt: skip
        last = next(line for line in first.iter_lines() if line.startswith("id: "))[4:]
        log.catch_up()
        with client.stream("GET", "/desk/live", headers={"Last-Event-ID": last}) as answer:
            do(log, FIRST, Accept())
            assert rows_of(next(messages(answer.iter_lines()))) == [FIRST]


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; on Debian: apt-get install chromium (as root)")
def test_nothing_moves_under_the_cursor_and_new_rows_wait(site: str, fresh_kafka: str) -> None:
    wrong: list[str] = []
    with sync_playwright() as playwright, ClueLog(fresh_kafka, {}) as log:
        log.catch_up()
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page(locale="en-GB")
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(site)
        page.locator("summary").click()
        page.locator("#token").fill(TOKENS["supervisor"])
        page.keyboard.press("Enter")
        link = page.get_by_role("link", name="SF:0000000000001")
        link.focus()
        places = page.locator("tr[data-clue] a").all_inner_texts()
        do(log, FIRST, Accept())
        row = page.locator("tr[data-clue]", has=link)
        expect(row).to_contain_text("accepted", timeout=PATIENCE_MS)
        expect(link).to_be_focused()
        opened(log, alert_on(7))
        opened(log, alert_on(8))
        expect(page.get_by_role("status")).to_have_text("2 new", timeout=PATIENCE_MS)
        assert page.locator("tr[data-clue] a").all_inner_texts() == places
        page.locator("#show-news").focus()
        page.keyboard.press("Enter")
        expect(page.locator("tr[data-clue]")).to_have_count(5, timeout=PATIENCE_MS)
        expect(page.locator("tr.new")).to_have_count(2)
        expect(page.locator("tr.new a").first).to_be_focused()
        chromium.close()
    assert wrong == []


def test_an_act_that_is_not_read_back_in_time_is_marked_as_being_written(
    fresh_kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_clues(fresh_kafka)
    bearer = {"Authorization": f"Bearer {TOKENS['u1']}"}
    with desk_of(fresh_kafka) as desk, TestClient(application(desk, Users(ACCOUNTS)), headers=OWN) as browser:
        browser.post("/desk/login", data={"token": TOKENS["u1"]})
        with monkeypatch.context() as slow:
            slow.setattr(desk.projection, "applied", lambda *_: None)
            slow.setattr("desk.web.core.READ_BACK_S", 0.1)
            answer = browser.post(f"/clues/{FIRST}/accept", headers=bearer)
            assert (answer.status_code, answer.json()["state"]) == (202, "dispatched")
            assert browser.get("/desk?lang=en").text.count("being written") == 1
        assert browser.post(f"/clues/{THIRD}/note", headers=bearer, json={"note": "called"}).status_code == 200
        until(lambda: "being written" not in browser.get("/desk?lang=en").text)
        assert browser.get(f"/clues/{FIRST}", headers=bearer).json()["state"] == "accepted"


@pytest.mark.chaos
def test_the_desk_outlasts_a_broker_that_is_away(tmp_path: Path) -> None:
    with PrivateKafka(tmp_path / "kafka", heap_mb=300) as kafka:
        admin.create(kafka.bootstrap_servers)
        with served(kafka.bootstrap_servers) as site, Browser(site, "u1") as browser:
            accept = f"/clues/{FIRST}/accept"
            bearer = {"Authorization": f"Bearer {TOKENS['u1']}"}
            with browser.stream() as news:
                with away(kafka):
                    assert "SF:0000000000001" in browser.client.get("/desk").text
                    assert browser.client.post(accept, headers=bearer).status_code == 503
                done: list[int] = []

                def accepted() -> bool:
                    done.append(browser.client.post(accept, headers=bearer).status_code)
                    return done[-1] in (200, 409)  # 409: the first one was written after all

                until(accepted, lambda: str(done))
                assert FIRST in rows_of(next(news))


@contextmanager
def away(kafka: PrivateKafka) -> Iterator[None]:
    """The broker does not answer, as behind a cut cable."""
    os.kill(kafka.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka.pid, signal.SIGCONT)
