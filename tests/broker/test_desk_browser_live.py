"""A page that stays open in Debian's Chromium: readers logged out, time that goes on, a desk started again, focus."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from desk.access import Reads
from desk.log import ClueLog
from desk.pen import Pen
from desk.reveals import SHOWN_MS, Reveals
from desk.traces.door import opened as door_opened
from desk.traces.records import ShipmentRecords
from desk.verbs import Accept
from desk.web.serving import Server, desk_on
from desk.web.users import Users, write
from streams.flow.decode import Limits
from streams.kafka import admin
from streams.ops.broker.private import PrivateKafka
from streams.settings import Settings
from tests.broker.test_desk import alert_on, do, now_ms
from tests.broker.test_desk_browser import LANGUAGES, PHONE, WIDE, fits, log_in, looks_well, opened, scripted
from tests.broker.test_desk_live import away
from tests.broker.test_desk_live import opened as clue_opened
from tests.broker.test_desk_reveals import alerted
from tests.desk_accounts import account
from tests.desk_site import ACCOUNTS, TOKENS, served, three_clues
from tests.persons import SENDER_ID
from tests.repetition import LONG
from tests.waiting import PATIENCE_S, until

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.xdist_group("browser"),  # one Chromium
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; on Debian: apt-get install chromium (as root)"),
]
PATIENCE_MS = PATIENCE_S * 1_000
FIRST, SECOND = (f"SF:{number:013d}" for number in (1, 2))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def desk(servers: str, folder: Path, port: int = 0) -> Iterator[str]:
    """A desk whose database and accounts are in a folder, so that another one can go on; its address."""
    with desk_on(servers, {}, f"sqlite:///{folder}/desk.sqlite", Settings()) as running:
        server = Server(running, Users.of(folder / "users"), "127.0.0.1", port)
        thread = threading.Thread(target=server.run)
        thread.start()
        until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def rows(page: Page) -> list[str]:
    return page.locator("tr[data-clue] a").all_inner_texts()


def test_an_open_queue_is_left_when_its_reader_is_logged_out_or_has_other_roles(
    chromium: Browser, fresh_kafka: str, tmp_path: Path
) -> None:
    three_clues(fresh_kafka)
    others = [each for each in ACCOUNTS if each.user != "analyst"]
    write(tmp_path / "users", ACCOUNTS)
    with desk(fresh_kafka, tmp_path) as site, opened(chromium, site, locale="en-GB", viewport=WIDE) as page:
        log_in(page, site, "analyst")
        page.goto(f"{site}/desk")
        expect(page.locator("tr[data-clue]")).to_have_count(3)
        write(tmp_path / "users", [*others, account("analyst", TOKENS["analyst"], None, "viewer:31")])
        expect(page.locator("tr[data-clue]")).to_have_count(1, timeout=PATIENCE_MS)  # by itself
        write(tmp_path / "users", others)
        expect(page.locator("#password")).to_be_visible(timeout=PATIENCE_MS)
        write(tmp_path / "users", ACCOUNTS)
        log_in(page, site, "analyst")
        page.goto(f"{site}/desk")
        expect(page.locator("tr[data-clue]")).to_have_count(3)
        beside = page.context.new_page()
        beside.goto(f"{site}/desk/rules")
        beside.get_by_role("button", name="Log out").click()
        expect(page.locator("#password")).to_be_visible(timeout=PATIENCE_MS)


def test_a_desk_that_starts_again_finds_its_readers_logged_in_and_its_queue_goes_on(
    chromium: Browser, fresh_kafka: str, tmp_path: Path
) -> None:
    three_clues(fresh_kafka)
    write(tmp_path / "users", ACCOUNTS)
    wrong: list[str] = []
    with chromium.new_context(locale="en-GB", viewport=WIDE) as context, ClueLog(fresh_kafka, {}) as log:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        log.catch_up()
        with desk(fresh_kafka, tmp_path) as site:
            log_in(page, site, "supervisor")
            page.goto(f"{site}/desk")
            expect(page.locator("tr[data-clue]")).to_have_count(3)
        expect(page.locator("#link")).to_have_text("Not connected; trying again.", timeout=PATIENCE_MS)
        do(log, alert_on(1).alert_id, Accept())  # while it is away
        clue_opened(log, alert_on(7))
        with desk(fresh_kafka, tmp_path, int(site.rpartition(":")[2])):
            row = page.locator("tr[data-clue]", has=page.get_by_role("link", name=FIRST))
            expect(row).to_contain_text("accepted", timeout=PATIENCE_MS)
            expect(page.get_by_role("status")).to_have_text("1 new", timeout=PATIENCE_MS)
            expect(page.locator("#link")).to_have_text("")
            page.locator("#show-news").click()
            expect(page.locator("tr[data-clue]")).to_have_count(4)
    assert wrong == []


def test_of_two_desks_that_race_the_second_is_told_who_came_first(
    chromium: Browser, fresh_kafka: str, tmp_path: Path
) -> None:
    three_clues(fresh_kafka)
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "users", ACCOUNTS)
    with (
        desk(fresh_kafka, tmp_path / "one") as one, desk(fresh_kafka, tmp_path / "other") as other,
        opened(chromium, one, locale="en-GB", viewport=WIDE) as first,
        opened(chromium, other, locale="zh-CN", viewport=PHONE) as second,
    ):  # fmt: skip
        for page, site, name in ((first, one, "u1"), (second, other, "u2")):
            log_in(page, site, name)
            page.goto(f"{site}/desk/clues/{FIRST}")
            expect(page.locator("form[action$='/accept']")).to_be_visible()
        first.get_by_role("button", name="Accept").click()
        expect(first.locator("[name=outcome]")).to_be_visible()
        second.get_by_role("button", name="签收").click()
        expect(second.get_by_role("alert")).to_contain_text("他人先办理了。线索现在是“已接”")
        expect(second.locator("[name=outcome]")).to_be_visible()
        fits(second)


def test_the_time_that_is_left_goes_on_and_the_focus_comes_back(chromium: Browser, fresh_kafka: str) -> None:
    with served(fresh_kafka) as site, opened(chromium, site, locale="en-GB", viewport=WIDE) as page:
        page.clock.install()
        log_in(page, site, "u1")
        page.goto(f"{site}/desk?station=ST-1")
        due = page.locator("tr[data-clue]", has=page.get_by_role("link", name=SECOND)).locator("[data-by]")
        expect(due).to_have_text(re.compile("accept: (10|9) min left"))
        page.clock.fast_forward("05:00")
        expect(due).to_have_text(re.compile("accept: [45] min left"))
        expect(due).to_have_class("calm")
        page.clock.fast_forward("03:00")
        expect(due).to_have_class("soon")
        page.clock.fast_forward("05:00")
        expect(due).to_have_text(re.compile("accept: [23] min late"))
        expect(due).to_have_class("late")

        page.get_by_role("link", name=FIRST).focus()  # the help, by keyboard
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("link", name=FIRST)).to_be_focused()
        page.keyboard.press("Enter")  # a clue, and back to its row, with the filter
        scripted(page)
        page.get_by_role("link", name="Back to the queue").click()
        expect(page).to_have_url(re.compile(r"/desk\?station=ST-1#clue-"))
        expect(page.get_by_role("link", name=FIRST)).to_be_focused()
        page.keyboard.press("Enter")
        scripted(page)
        page.keyboard.press("a")
        expect(page.locator("[name=outcome]")).to_be_visible()
        expect(page.get_by_role("heading", name="Act", exact=True)).to_be_focused()
        page.goto(f"{site}/desk/station")  # an answer at the counter
        article = page.locator("article", has=page.get_by_role("link", name=SECOND))
        article.get_by_role("button", name="Accept").click()
        expect(article.locator("[name=outcome]").first).to_be_visible()
        expect(page.get_by_role("link", name=SECOND)).to_be_focused()


def test_several_are_chosen_in_the_queue_and_stay_chosen_while_rows_change(chromium: Browser, fresh_kafka: str) -> None:
    with (
        served(fresh_kafka) as site, ClueLog(fresh_kafka, {}) as log,
        opened(chromium, site, locale="en-GB", viewport=PHONE, color_scheme="light") as page,
    ):  # fmt: skip
        log.catch_up()
        log_in(page, site, "u1")
        page.goto(f"{site}/desk?station=ST-1")
        for parcel in (FIRST, SECOND):
            page.get_by_role("checkbox", name=parcel).check()
        box = page.get_by_role("checkbox", name=FIRST)
        box.focus()
        do(log, alert_on(1).alert_id, Accept())
        row = page.locator("tr[data-clue]", has=page.get_by_role("link", name=FIRST))
        expect(row).to_contain_text("accepted", timeout=PATIENCE_MS)
        expect(box).to_be_checked()
        expect(box).to_be_focused()
        looks_well(page, "#chosen")
        fits(page)
        page.get_by_role("button", name="Act on those chosen").click()
        expect(page.locator("[name=clue]:checked")).to_have_count(2)
        page.get_by_role("button", name="Accept").click()
        expect(page.get_by_role("status").locator("li")).to_have_count(2)
        expect(page.locator("li .refused")).to_have_count(1)  # the one that was accepted already
        with opened(chromium, site, locale="en-GB", viewport=WIDE) as other:
            log_in(other, site, "viewer")
            other.goto(f"{site}/desk")
            expect(other.locator("tr[data-clue]").first).to_be_visible()
            expect(other.locator("[name=clue]")).to_have_count(0)  # who may do nothing chooses nothing


def test_two_persons_see_a_field_and_the_page_leaves_by_itself(
    chromium: Browser, fresh_kafka: str, tmp_path: Path
) -> None:
    at = [now_ms()]  # the tracer's clock, which stands still
    records, pen = ShipmentRecords(fresh_kafka, {}, Limits()), Pen(fresh_kafka, {}, "waybill-sentinel.door-test")
    reveals = Reveals(Reads(pen), records, lambda: at[0])
    path = tmp_path / "door" / "tracer"
    with door_opened(path, reveals), served(fresh_kafka, door=path) as site:
        alerted(fresh_kafka)
        for locale in LANGUAGES if LONG else ("en-GB",):  # the longer words
            with (
                opened(chromium, site, locale=locale, viewport=PHONE, color_scheme="light") as asker,
                opened(chromium, site, locale=locale, viewport=PHONE, color_scheme="dark") as second,
            ):
                log_in(asker, site, "analyst")
                asker.goto(f"{site}/desk/clues/{FIRST}")
                asker.locator("a[href^='/desk/reveals?clue=']").click()
                asker.locator("#field").select_option("sender_id_no")
                asker.locator("#why").fill("to compare with the file")
                asker.keyboard.press("Enter")
                looks_well(asker, "article[aria-labelledby^='reveal-']")
                fits(asker)
                log_in(second, site, "supervisor")
                second.goto(f"{site}/desk/reveals")
                looks_well(second, "form[action$='/grant']")
                fits(second)
                second.locator("form[action$='/grant'] button").first.press("Enter")
                expect(second.locator("form[action$='/grant']")).to_have_count(0)
                asker.goto(f"{site}/desk/reveals")
                asker.locator("form[action$='/show'] button").press("Enter")
                looks_well(asker, "[data-person]")
                asker.goto(f"{site}/desk/reveals")
                at[0] += SHOWN_MS - 2_000
                asker.locator("form[action$='/show'] button").press("Enter")
                expect(asker.locator("[data-person]")).to_contain_text(SENDER_ID)
                fits(asker)
                expect(asker).to_have_url(f"{site}/desk/reveals", timeout=PATIENCE_MS)
                expect(asker.locator("[data-person]")).to_have_count(0)
                with suppress(Error):  # Chromium would ask whether to send the form again
                    asker.go_back()
                expect(asker.get_by_text(SENDER_ID)).to_have_count(0)
                at[0] += SHOWN_MS
    records.close()


@pytest.mark.long
def test_a_page_outlasts_a_broker_that_is_away_for_half_a_minute(chromium: Browser, tmp_path: Path) -> None:
    with PrivateKafka(tmp_path / "kafka", heap_mb=300) as kafka:
        admin.create(kafka.bootstrap_servers)
        with served(kafka.bootstrap_servers) as site, opened(chromium, site, locale="en-GB", viewport=WIDE) as page:
            page.set_default_timeout(PATIENCE_MS)
            log_in(page, site, "u1")
            page.goto(f"{site}/desk")
            row = page.locator("tr[data-clue]", has=page.get_by_role("link", name=FIRST))
            other = page.context.new_page()
            other.set_default_timeout(PATIENCE_MS)
            with away(kafka):
                time.sleep(30)  # so long the fault lasts
                expect(row).to_contain_text("dispatched")
                other.goto(f"{site}/desk/clues/{FIRST}")  # nobody reads a clue without an entry
                expect(other.get_by_text("Try again soon.")).to_be_visible()
                other.goto(f"{site}/desk")
                expect(other.get_by_role("link", name=FIRST)).to_be_visible()

            def accepted() -> bool:
                other.goto(f"{site}/desk/station")
                article = other.locator("article", has=other.get_by_role("link", name=FIRST))
                button = article.get_by_role("button", name="Accept")
                if button.count():
                    button.click()
                return article.locator("[name=outcome]").count() > 0

            until(accepted)
            expect(row).to_contain_text("accepted", timeout=PATIENCE_MS)  # by itself
