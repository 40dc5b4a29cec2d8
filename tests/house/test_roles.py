"""The table of roles in docs/security.md, in both languages, has what `waybill acl` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from schemas.topics import TOPICS
from streams.kafka.rights import Right
from streams.kafka.roles import ROLES, Role, role

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "docs/security.md": ("all of `worker`", "every topic"),
    "docs/zh/security.md": ("`worker` 的全部权限", "每个主题"),
}


def cells(each: Role, words: tuple[str, str]) -> list[str]:
    """What the row of a role has behind its name and its work: topics without `waybill.`, groups, transactional ids."""
    rights, worker = each.rights("GROUP"), role("worker").rights("GROUP")
    whole = each.name != "worker" and set(worker) <= set(rights)
    own = [right for right in rights if not (whole and right in worker)]
    kinds = [[right for right in own if right.kind == kind] for kind in ("topic", "group", "transactional id")]
    topics, groups, ids = ([*_grouped(found, words[1])] for found in kinds)
    return ["; ".join([words[0]] * whole + topics), "; ".join(groups), "; ".join(ids)]


def _grouped(rights: Iterable[Right], every: str) -> Iterable[str]:
    by: dict[str, list[str]] = {}
    for right in rights:
        by.setdefault(right.operation, []).append(f"`{right.name.removeprefix('waybill.')}{'*' * right.prefixed}`")
    for operation, names in by.items():
        yield f"`{operation}` {every if len(names) == len(TOPICS) else ', '.join(names)}"


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_each_role_as_it_is(page: str) -> None:
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    shown = {name: [cell.strip() for cell in row.strip("|").split("|")][2:] for name, row in rows.items()}
    wanted = {each.name: cells(each, PAGES[page]) for each in ROLES}
    assert [f"{page}: {name}: {' | '.join(row)}" for name, row in wanted.items() if shown.get(name) != row] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_page_says_who_can_read_what(page: str) -> None:
    """Rows whose first cell has topics and whose last one has roles."""
    names = {each.name for each in ROLES}
    checked = set()
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if line.startswith("| `waybill.")):
        first, *_, last = (set(re.findall("`([^`]+)`", cell)) for cell in line.strip("|").split("|"))
        topics = first & {topic.name for topic in TOPICS}
        if topics:
            readers = {
                each.name for each in ROLES
                if any(right.operation == "READ" and right.name in topics for right in each.rights("GROUP"))
            }  # fmt: skip
            assert last & names == readers, f"{page}: {line}"
            checked |= topics
    assert checked >= {"waybill.shipments", "waybill.reference", "waybill.alerts", "waybill.clues", "waybill.access"}
