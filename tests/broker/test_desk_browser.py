"""The desk in Debian's Chromium: by keyboard alone, in both languages, as wide as a phone; and what axe says of it.

With WAYBILL_SCREENSHOTS=1 the pictures in docs/desk are taken anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, TimeoutError, ViewportSize, expect, sync_playwright

from streams.values import CHINA
from tests.broker.test_desk import feedback_on
from tests.desk_site import HOSTILE, TOKENS, served
from tests.schemas.desk_samples import TRACE

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.xdist_group("browser"),  # one Chromium
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; on Debian: apt-get install chromium (as root)"),
]
PHONE = ViewportSize(width=360, height=740)
WIDE = ViewportSize(width=1000, height=740)
AXE_MS = 60_000  # for one page, on a busy machine
PICTURES = Path(__file__).parents[2] / "docs" / "desk"
LANGUAGES = {
    "zh-CN": ("待办线索", "签收", "反馈结果", "查实违规", "需要第二人复核。", "判定规则", "判定正确的规则"),
    "en-GB": ("Queue", "Accept", "Answer", "a violation was found", "A second person has to confirm the answer.",
              "Judge the rules", "rules that were right"),
}  # fmt: skip
# Address of each page of somebody who has a station and judges: its heading in Chinese.
PAGES = {
    "": "待办线索", "/station": "本单位", "/holds": "扣留", "/overdue": "逾期", "/measures?days=7": "成效",
    "/rules": "规则", "/bulk": "批量办理", "/reveals": "查看原始字段",
    "/search": "按记号查找", "?tier=huge": "无法显示",
}  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_a_clue_is_answered_with_the_keyboard_alone_in_both_languages(chromium: Browser, fresh_kafka: str) -> None:
    with served(fresh_kafka) as site:
        for number, (locale, words) in enumerate(LANGUAGES.items(), 1):
            with opened(chromium, site, locale=locale, viewport=PHONE) as page:
                answer_by_keyboard(page, site, f"SF:{number:013d}", *words)
    said = [(each.outcome, each.rules) for each in feedback_on(fresh_kafka)]
    assert said == [("violation", None), ("violation", ("identity.many_names",))] * 2


def answer_by_keyboard(
    page: Page,
    site: str,
    parcel: str,
    queue: str,
    accept: str,
    answer: str,
    found: str,
    waits: str,
    judge: str,
    judged: str,
) -> None:
    page.goto(site)
    tab_to(page, "summary")
    page.keyboard.press("Enter")
    tab_to(page, "#token")
    page.keyboard.type(TOKENS["u1"])
    page.keyboard.press("Enter")
    scripted(page)
    page.goto(f"{site}/desk")
    expect(page.get_by_role("heading", level=1)).to_have_text(queue)
    fits(page)
    tab_to(page, f"a:has-text('{parcel}')")
    page.keyboard.press("Enter")
    fits(page)
    tab_to(page, f"button:text-is('{accept}')")
    page.keyboard.press("Enter")
    tab_to(page, "[name=outcome]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[name=outcome] option:checked")).to_have_text(found)
    tab_to(page, f"button:text-is('{answer}')")
    page.keyboard.press("Enter")
    expect(page.get_by_text(waits)).to_be_visible()
    if parcel.endswith("1"):  # the one with a trace
        expect(page.get_by_text(HOSTILE)).to_be_visible()
    fits(page)
    tab_to(page, "[value=right]")
    page.keyboard.press("Space")
    tab_to(page, f"button:text-is('{judge}')")
    page.keyboard.press("Enter")
    expect(page.get_by_text(judged)).to_be_visible()


def test_single_keys_do_what_the_help_says_and_can_be_switched_off(chromium: Browser, fresh_kafka: str) -> None:
    with served(fresh_kafka) as site, opened(chromium, site, locale="en-GB", viewport=WIDE) as page:
        by_another = {"authorization": f"Bearer {TOKENS['u2']}"}
        assert page.request.post(f"{site}/clues/SF:0000000000002/claim", headers=by_another).ok
        log_in(page, site, "u1")
        page.goto(f"{site}/desk")
        scripted(page)
        page.keyboard.press("n")  # past the one that is claimed
        expect(page.get_by_role("link", name="SF:0000000000001")).to_be_focused()
        page.keyboard.press("k")
        expect(page.get_by_role("link", name="SF:0000000000002")).to_be_focused()
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("SF:0000000000001")
        scripted(page)
        page.keyboard.press("h")
        expect(page.locator("[action$='/hold'] [name=reason]")).to_be_focused()
        page.keyboard.type("a f j ?")  # while somebody types, they are letters
        expect(page.locator("[action$='/hold'] [name=reason]")).to_have_value("a f j ?")
        page.get_by_role("heading", level=1).click()
        page.keyboard.press("a")
        expect(page.locator("[name=outcome]")).to_be_visible()
        scripted(page)
        page.keyboard.press("f")
        expect(page.locator("[name=outcome]")).to_be_focused()
        page.keyboard.press("n")
        expect(page.locator("[name=outcome]")).to_have_value("no_finding")
        expect(page.locator("[action$='/answer'] button")).to_be_focused()
        hold_and_hand_over(page)
        search(page, site)
        page.get_by_role("heading", level=1).click()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_role("checkbox", name="Use shortcuts").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).not_to_be_visible()
        page.goto(f"{site}/desk/station")
        scripted(page)
        page.keyboard.press("j")
        expect(page.locator("body")).to_be_focused()


def hold_and_hand_over(page: Page) -> None:
    page.keyboard.press("h")
    page.keyboard.type("heavier than declared")
    page.keyboard.press("Tab")
    page.keyboard.type("Article 21")
    page.keyboard.press("Tab")
    until = datetime.now(CHINA) + timedelta(hours=12)
    page.locator("[action$='/hold'] [name=until]:focus").fill(f"{until:%Y-%m-%dT%H:%M}")  # typed as Chromium is set up
    tab_to(page, "[action$='/hold'] button")
    page.keyboard.press("Enter")
    expect(page.locator(".notice", has_text="Hold: requested")).to_be_visible()
    scripted(page)
    page.keyboard.press("t")
    expect(page.locator("[action$='/transfer'] [name=to_adcode]")).to_be_focused()
    page.keyboard.type("310115")
    page.keyboard.press("Tab")
    page.keyboard.type("it lies there")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-labelledby=log] tbody")).to_contain_text("it lies there")
    expect(page.locator("[action$='/transfer']")).to_have_count(0)


def search(page: Page, site: str) -> None:
    page.goto(f"{site}/desk/search")
    tab_to(page, "#token")
    for typed in (TRACE["sender_tokens"][0], "SF:0000000000001", "other parcels of this sender"):
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # on the button
    expect(page.locator("main table a")).to_have_text("SF:0000000000001")
    scripted(page)


def test_axe_finds_nothing_serious_on_any_page_and_all_fit_a_phone(chromium: Browser, fresh_kafka: str) -> None:
    with served(fresh_kafka) as site:
        with opened(chromium, site, color_scheme="light", locale="zh-CN", viewport=PHONE) as page:
            log_in(page, site, "u1")
            look_at_all(page, site)
            for path in PAGES:
                page.goto(f"{site}/desk{path}")
                fits(page)
            page.goto(f"{site}/desk")
            page.get_by_role("link", name="SF:0000000000001").click()
            looks_well(page, "h1:text-is('SF:0000000000001')")
            page.locator("[name=expects]").first.evaluate("each => each.value = 0")  # as if somebody had come first
            page.get_by_role("button", name="签收").click()
            looks_well(page, "[role=alert]")
            page.get_by_role("button", name="签收").click()
            looks_well(page, "[name=outcome]")
            page.keyboard.press("?")
            looks_well(page, "#keys")
        with opened(chromium, site, color_scheme="dark", locale="zh-CN", viewport=WIDE) as page:
            page.goto(site)
            looks_well(page, "h1:text-is('登录')")
            log_in(page, site, "u1")
            look_at_all(page, site)
        with opened(chromium, site, color_scheme="light", locale="zh-CN", viewport=PHONE) as page:
            log_in(page, site, "auditor")
            page.goto(f"{site}/desk/audit")
            looks_well(page, "tbody >> nth=0")
            fits(page)
        with opened(chromium, site, color_scheme="light", locale="zh-CN", viewport=PHONE) as page:
            log_in(page, site, "admin")
            looks_well(page, "h1:text-is('账户')")
            fits(page)
        if os.environ.get("WAYBILL_SCREENSHOTS"):
            take_pictures(chromium, site)


def look_at_all(page: Page, site: str) -> None:
    for path, heading in PAGES.items():
        page.goto(f"{site}/desk{path}")
        looks_well(page, f"h1:text-is('{heading}')")


def take_pictures(chromium: Browser, site: str) -> None:
    """The pictures of the documents."""
    PICTURES.mkdir(exist_ok=True)
    for locale in LANGUAGES:
        for name, path, who, size in (
            ("queue", "", "supervisor", WIDE), ("station", "/station", "u1", PHONE),
            ("clue", "/clues/SF:0000000000001", "supervisor", WIDE),
        ):  # fmt: skip
            with opened(chromium, site, locale=locale, viewport=size) as page:
                log_in(page, site, who)
                page.goto(f"{site}/desk{path}")
                page.screenshot(path=PICTURES / f"{name}.{locale[:2]}.png")


@contextmanager
def opened(chromium: Browser, site: str, **given: Any) -> Iterator[Page]:
    """A page of a new context. It may ask nothing of another origin, and not complain."""
    wrong: list[str] = []
    asking = given.get("color_scheme") is not None  # axe is a script of another
    with chromium.new_context(bypass_csp=asking, **given) as context:
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda asked: None if asked.url.startswith(f"{site}/") else wrong.append(asked.url))
        yield page
    refused = [each for each in wrong if "status of" not in each]  # 409 and 422 are pages here
    assert refused == []


def log_in(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}/desk/login")
    page.locator("summary").click()
    page.locator("#token").fill(TOKENS[name])
    page.keyboard.press("Enter")
    scripted(page)


def scripted(page: Page) -> None:
    """Wait until the page's script runs: it shows a button. On the page to log in there is none."""
    expect(page.locator("#keys-open")).to_be_visible()


def looks_well(page: Page, awaited: str) -> None:
    """Wait for an element of the next page, and let axe look at it."""
    expect(page.locator(awaited)).to_be_visible()
    grave = [each for each in axe_on(page) if each["impact"] in ("serious", "critical")]
    assert [(each["id"], node["html"]) for each in grave for node in each["nodes"]] == []


def axe_on(page: Page) -> list[dict[str, Any]]:
    """What axe finds. A run that never says so, as where the page was changed under it, is begun anew."""
    for _ in range(3):
        page.evaluate(AXE_SCRIPT)
        page.evaluate("() => { axe.run({resultTypes: ['violations']}).then(said => { window.axeSaid = said }) }")
        with suppress(TimeoutError):
            page.wait_for_function("window.axeSaid", polling=100, timeout=AXE_MS)
            found: list[dict[str, Any]] = page.evaluate("axeSaid.violations")
            return found
    pytest.fail(f"axe says nothing of {page.url}")


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this has the focus."""
    wanted = page.locator(selector).first
    expect(wanted).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    pytest.fail(f"60 presses of Tab do not reach {selector}")


def fits(page: Page) -> None:
    """A phone does not scroll sideways."""
    wide = page.locator("html").evaluate("each => each.scrollWidth")
    assert wide <= PHONE["width"]
