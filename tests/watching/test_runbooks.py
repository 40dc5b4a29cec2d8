"""Every alert leads to its page, in both languages, and every command on a page exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from streams.cli import build
from tests.prometheus import alerts

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "runbooks.md": ("**Symptom.**", "**Meaning.**", "**Look at.**", "**Run.**"),
    "zh/runbooks.md": ("**现象。**", "**含义。**", "**查看。**", "**处理。**"),
}
_COMMAND = re.compile(r"^\$ (waybill .+)$|`(waybill [^`]+)`", re.MULTILINE)
WAYBILL: Any = typer.main.get_command(build())


@pytest.mark.parametrize("page", PAGES)
def test_each_alert_has_its_page_and_no_page_is_of_none(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == [alert.name for alert in alerts()]
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert [lead for lead in PAGES[page] if lead not in part] == [], part.splitlines()[0]


@pytest.mark.parametrize("page", [*PAGES, "sizing.md", "zh/sizing.md"])
def test_each_command_is_one_that_is_there(page: str) -> None:
    path = DOCS / page
    found = [line or inline for line, inline in _COMMAND.findall(path.read_text(encoding="utf-8"))]
    assert found
    assert [wrong for command in found if (wrong := unknown(command))] == []


def test_a_command_that_is_not_there_is_found() -> None:
    assert unknown("waybill offsets reset --topic T:1 --to 5") == ""
    assert all(map(unknown, ("waybill offsets shew", "waybill offsets show --all", "waybill nothing")))


def unknown(command: str) -> str:
    """What a command line names that does not exist; empty: nothing."""
    node, (_, *words) = WAYBILL, shlex.split(command, comments=True)
    while words and hasattr(node, "commands"):
        if words[0] not in node.commands:
            return f"{command}: no command {words[0]}"
        node = node.commands[words.pop(0)]
    options = {option for parameter in node.params for option in parameter.opts}
    strange = [word for word in words if word.startswith("-") and word not in options]
    return f"{command}: no option {strange[0]}" if strange else ""
