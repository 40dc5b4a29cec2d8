"""The desk in Debian's Chromium: by keyboard alone, in both languages, as wide as a phone; and what axe says of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.broker.test_desk import feedback_on
from tests.desk_site import HOSTILE, TOKENS, served

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium; on Debian: apt-get install chromium (as root)"),
]
Scheme = Literal["light", "dark"]
PHONE = ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize(
    ("locale", "queue", "accept", "answer", "found", "waits", "judge", "judged"),
    [
        ("zh-CN", "待办线索", "签收", "反馈结果", "查实违规", "需要第二人复核。", "判定规则", "判定正确的规则"),
        (
            "en-GB",
            "Queue",
            "Accept",
            "Answer",
            "a violation was found",
            "A second person has to confirm the answer.",
            "Judge the rules",
            "rules that were right",
        ),
    ],
)
def test_a_clue_is_answered_with_the_keyboard_alone(
    chromium: Browser,
    fresh_kafka: str,
    locale: str,
    queue: str,
    accept: str,
    answer: str,
    found: str,
    waits: str,
    judge: str,
    judged: str,
) -> None:
    wrong: list[str] = []
    with served(fresh_kafka) as site, chromium.new_context(locale=locale, viewport=PHONE) as context:
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda asked: None if asked.url.startswith(f"{site}/") else wrong.append(asked.url))
        page.goto(site)
        tab_to(page, "summary")
        page.keyboard.press("Enter")
        tab_to(page, "#token")
        page.keyboard.type(TOKENS["u1"])
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text(queue)
        fits(page)
        tab_to(page, "a:has-text('SF:0000000000001')")
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
        expect(page.get_by_text(HOSTILE)).to_be_visible()
        fits(page)
        tab_to(page, "[value=right]")
        page.keyboard.press("Space")
        tab_to(page, f"button:text-is('{judge}')")
        page.keyboard.press("Enter")
        expect(page.get_by_text(judged)).to_be_visible()
    assert wrong == []
    assert [(each.outcome, each.rules) for each in feedback_on(fresh_kafka)] == [
        ("violation", None),
        ("violation", ("identity.many_names",)),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(chromium: Browser, fresh_kafka: str, scheme: Scheme) -> None:
    with (
        served(fresh_kafka) as site,
        chromium.new_context(bypass_csp=True, color_scheme=scheme, locale="zh-CN") as context,
    ):
        page = context.new_page()
        page.goto(site)
        looks_well(page, "h1:text-is('登录')")
        page.locator("summary").click()
        page.locator("#token").fill(TOKENS["u1"])
        page.keyboard.press("Enter")
        looks_well(page, "h1:text-is('待办线索')")
        page.goto(f"{site}/desk?lang=en&tier=huge")
        looks_well(page, "h1:text-is('Cannot be shown')")
        page.goto(f"{site}/desk")
        page.get_by_role("link", name="SF:0000000000001").click()
        looks_well(page, "h1:text-is('SF:0000000000001')")
        page.locator("[name=expects]").first.evaluate("each => each.value = 0")  # as if somebody had come first
        page.get_by_role("button", name="Accept").click()
        looks_well(page, "[role=alert]")
        page.get_by_role("button", name="Accept").click()
        looks_well(page, "[name=outcome]")


def looks_well(page: Page, awaited: str) -> None:
    """Wait for an element of the next page, and let axe look at it."""
    expect(page.locator(awaited)).to_be_visible()
    found = Axe().run(page).response["violations"]
    grave = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], node["html"]) for each in grave for node in each["nodes"]] == []


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
