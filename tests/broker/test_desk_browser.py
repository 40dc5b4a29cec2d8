"""The desk in a real browser, Debian's Chromium: with the keyboard alone, in both languages, as wide as a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.broker.test_desk import feedback_on
from tests.desk_site import HOSTILE, TOKENS, served

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; on Debian: apt-get install chromium (as root)"),
]
PHONE = ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(
    ("locale", "queue", "accept", "answer", "found", "waits"),
    [
        ("zh-CN", "待办线索", "签收", "反馈结果", "查实违规", "需要第二人复核。"),
        ("en-GB", "Queue", "Accept", "Answer", "a violation was found", "A second person has to confirm the answer."),
    ],
)
def test_a_clue_is_answered_with_the_keyboard_alone(
    chromium: Browser, fresh_kafka: str, locale: str, queue: str, accept: str, answer: str, found: str, waits: str
) -> None:
    wrong: list[str] = []
    with served(fresh_kafka) as site, chromium.new_context(locale=locale, viewport=PHONE) as context:
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda asked: None if asked.url.startswith(f"{site}/") else wrong.append(asked.url))
        page.goto(site)
        tab_to(page, "#token")
        page.keyboard.type(TOKENS["u1"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(queue)
        fits(page)
        tab_to(page, "a:has-text('SF:0000000000001')")
        page.keyboard.press("Enter")
        expect(page.get_by_text(HOSTILE)).to_be_visible()
        fits(page)
        tab_to(page, f"button:text-is('{accept}')")
        page.keyboard.press("Enter")
        tab_to(page, "[name=outcome]")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(page.locator("[name=outcome] option:checked")).to_have_text(found)
        tab_to(page, "[value=right]")
        page.keyboard.press("Space")
        tab_to(page, f"button:text-is('{answer}')")
        page.keyboard.press("Enter")
        expect(page.get_by_text(waits)).to_be_visible()
    assert wrong == []
    assert [(each.outcome, each.rules) for each in feedback_on(fresh_kafka)] == [
        ("violation", ("identity.many_names",))
    ]


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
