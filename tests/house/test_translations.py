"""Documents in two languages: the Chinese one has the headings, commands and names of the English one, in its order."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import pytest

from rules import load_catalogue
from schemas.rulefile import Rule

ROOT = Path(__file__).resolve().parents[2]
# What analysts and stations need, and those who upgrade, plan, or are on duty.
PAGES = (
    "desk",
    "rules",
    "clues",
    "reports",
    "security",
    "upgrading",
    "runbooks",
    "sizing",
    "lifecycle",
    "opentelemetry",
)
PAIRS = {"README.md": "README.zh.md", **{f"docs/{page}.md": f"docs/zh/{page}.md" for page in PAGES}}

_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CATEGORIES = {"compliance": "合规", "suspicion": "嫌疑"}
_NAME = re.compile(r"`([^`\n]+)`")


def rule_row(page: str, rule: Rule) -> str:
    """The row of a rule in the table of rules as shipped."""
    zh = "/zh/" in page
    shadow, category = ("试运行", _CATEGORIES[rule.category]) if zh else ("shadow", rule.category)
    points = rule.points if rule.mode == "live" else shadow
    return f"| `{rule.id}` | {rule.title['zh' if zh else 'en']} | {category} | {points} |"


def headings(text: str) -> list[str]:
    """The marks of its headings, without their words."""
    return re.findall(r"^(#+) ", _BLOCK.sub("", text), re.MULTILINE)


def commands(text: str) -> list[str]:
    """What its blocks tell to type, without remarks."""
    lines = [line for block in _BLOCK.findall(text) for line in block.splitlines() if line.startswith(("$ ", "> "))]
    return [re.sub(r"\s+#.*", "", line).rstrip() for line in lines]


def rows(text: str) -> list[int]:
    """How many rows each table has."""
    tables = re.findall(r"(?:^\|.*\n)+", _BLOCK.sub("", text), re.MULTILINE)
    return [table.count("\n") for table in tables]


@pytest.mark.parametrize("english", PAIRS)
def test_the_chinese_document_has_all_that_the_english_one_has(english: str) -> None:
    ours, theirs = ((ROOT / name).read_text(encoding="utf-8") for name in (english, PAIRS[english]))
    pairs = [*zip_longest(commands(ours), commands(theirs))]
    assert [f"{PAIRS[english]}: {a!r} is {b!r}" for a, b in pairs if a != b] == []
    missing = set(_NAME.findall(_BLOCK.sub("", ours))) - set(_NAME.findall(_BLOCK.sub("", theirs)))
    assert {f"{PAIRS[english]} does not name {name}" for name in missing} == set()
    assert headings(theirs) == headings(ours)
    assert rows(theirs) == rows(ours)


@pytest.mark.parametrize("page", ["docs/rules.md", "docs/zh/rules.md"])
def test_the_page_of_rules_has_each_rule_as_it_is_shipped(page: str) -> None:
    listed = [line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    wanted = [rule_row(page, rule) for rule in load_catalogue().rules]
    assert [f"{page} lacks {row}" for row in wanted if row not in listed] == []
    assert [f"{page} has {row}, which is no rule" for row in listed if row not in wanted] == []
