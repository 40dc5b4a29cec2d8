"""The catalogue as pages: whole, sound HTML that asks for nothing, and no text of a rule that becomes markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rules import load_catalogue
from rules.pages.markup import Markup, join, tag
from rules.pages.pages import pages
from rules.pages.wording import lines
from rules.pages.words import word
from schemas.columns import COLUMNS
from schemas.rulefile import LANGUAGES, PROSE, in_language

CATALOGUE = load_catalogue(with_off=True)
PAGES = pages(CATALOGUE, CATALOGUE)
every_page = pytest.mark.parametrize("name", ["rules.zh.html", "rules.en.html"])
EMPTY = {"meta", "br", "hr", "link"}


class Read(HTMLParser):
    """What is on a page: its text, ids and links. Fails if elements do not close in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(name)
        self.attributes |= {key for key, _ in attributes}
        given = dict(attributes)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        self.links += [str(given[key]) for key in ("href", "src") if given.get(key)]
        if name not in EMPTY:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text += data


def english(catalogue: Any) -> list[str]:
    """The English texts that explain the rules."""
    return [squeezed(in_language(getattr(rule, field), "en")) for rule in catalogue.rules for field in PROSE]


def squeezed(text: str) -> str:
    return " ".join(text.split())


@every_page
def test_links_lead_somewhere_and_nothing_is_fetched(name: str) -> None:
    page = Read(PAGES[name])
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert {link for link in page.links if not link.startswith("#")} <= set(PAGES) - {name}
    assert not re.search(r"url\(|@import|https?:", PAGES[name])
    assert not {attribute for attribute in page.attributes if attribute.startswith("on")}


@every_page
def test_all_of_every_rule_is_there(name: str) -> None:
    text = squeezed(Read(PAGES[name]).text)
    language: Any = name.split(".")[1]
    for rule in CATALOGUE.rules:
        parts = [rule.id, *rule.title.values(), *rule.evidence, *rule.limits]
        parts += [in_language(getattr(rule, field), language) for field in PROSE]
        parts += [case.name for case in rule.cases]
        assert [part for part in parts if squeezed(part) not in text] == []
    for column in COLUMNS.values():
        assert column.name in text
        assert column.doc in text
        assert column.null in text


def test_the_chinese_page_explains_no_rule_in_english() -> None:
    zh, en = (squeezed(Read(PAGES[f"rules.{language}.html"]).text) for language in LANGUAGES)
    assert [text for text in english(CATALOGUE) if text in zh] == []
    assert [text for text in english(CATALOGUE) if text not in en] == []


def test_each_language_has_its_own_words() -> None:
    zh, en = Read(PAGES["rules.zh.html"]).text, Read(PAGES["rules.en.html"]).text
    assert '<html lang="zh-CN">' in PAGES["rules.zh.html"]
    assert '<html lang="en">' in PAGES["rules.en.html"]
    for key in ("why", "when", "limits", "case", "column_reference", "hold", "unknown"):
        assert word(key, "zh") != word(key, "en")
    kinds = {line.kind for rule in CATALOGUE.rules for case in rule.cases for line in lines(case)}
    assert [kind for kind in kinds if word(kind, "zh") not in zh or word(kind, "zh") == kind] == []
    for rule in CATALOGUE.rules:
        for action in rule.actions:
            assert word(action, "zh") in zh
            assert word(action, "en") in en
    titles = "".join(rule.title["zh"] for rule in CATALOGUE.rules)
    assert set(re.findall(r"[\u4e00-\u9fff]", en)) <= set(titles + "中文" + _in_cases())


def _in_cases() -> str:
    cases = "".join(str(event) for rule in CATALOGUE.rules for case in rule.cases for event in case.events)
    return cases + "".join(column.doc for column in COLUMNS.values())


@every_page
def test_the_condition_shows_limits_in_force_and_what_the_file_has(name: str) -> None:
    overrides: dict[str, dict[str, Any]] = {
        "sender.velocity": {"parcels_24h_min": 31, "points": 27},
        "route.priority_lane": {"mode": "shadow"},
    }
    changed = load_catalogue(overrides=overrides, with_off=True)
    page = pages(changed, CATALOGUE)[name]
    text = squeezed(Read(page).text)
    language: Any = name.split(".")[1]
    by = word("by_override", language)
    assert "retail AND sender_parcels_24h >= 31" in text
    assert f"31 ({by}20)" in text
    assert f"27 {word('points', language)} ({by}20)" in text
    assert f"{word('shadow', language)} ({by}{word('live', language)})" in text
    assert changed.fingerprint in text
    assert by not in Read(PAGES[name]).text


def test_no_text_of_a_rule_becomes_markup(write: Callable[..., Path]) -> None:
    evil = "<script>alert('1')</script> & \"x\" <b>"
    root = write(
        title={"zh": f"规则 {evil}", "en": f"Rule {evil}"},
        why=evil,
        misses=evil,
        triage=evil,
        limits={"place": "<i>'&\""},
        when="pickup_place <> :place AND carrier_code <> '</code><img src=x>' AND retail",
        evidence=["retail"],
        cases=[
            {"name": evil, "events": [{"shipment": {"goods_name": evil, "waybill_no": "<u>"}}], "expect": {"<u>": "no"}}
        ],
    )
    catalogue = load_catalogue(root)
    for page in pages(catalogue, catalogue).values():
        read = Read(page)
        assert not read.tags & {"i", "u", "img"}
        assert page.count("<script>") == 1
        text = squeezed(read.text)
        assert text.count("<script>alert('1')</script> & \"x\" <b>") >= 6
        assert "pickup_place <> '<i>''&\"' AND carrier_code <> '</code><img src=x>' AND retail" in text


def test_pages_are_the_same_each_time() -> None:
    assert pages(CATALOGUE, CATALOGUE) == PAGES


def test_markup_escapes_text_and_keeps_markup() -> None:
    assert tag("p", "a < b", tag("b", '"&"'), class_="x y", title='"<') == (
        '<p class="x y" title="&quot;&lt;">a &lt; b<b>&quot;&amp;&quot;</b></p>'
    )
    assert tag("br") == "<br>"
    assert tag("a", id="", data_x="1") == '<a data-x="1"></a>'
    assert join(["<", [Markup("<i>")]], (part for part in "&")) == "&lt;<i>&amp;"
    assert tag("p", str(tag("b", "x"))) == "<p>&lt;b&gt;x&lt;/b&gt;</p>"
