"""Documents in two languages: the Chinese one has the headings, commands and names of the English one, in its order."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAIRS = {"README.md": "README.zh.md", "docs/desk.md": "docs/zh/desk.md", "docs/clues.md": "docs/zh/clues.md"}

_BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"`([^`\n]+)`")


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
