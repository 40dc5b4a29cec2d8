"""Prose that is read as text, too: no line is longer than 120 characters."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md"), *ROOT.glob("benchmarks/*.md")])


@pytest.mark.parametrize("page", [str(path.relative_to(ROOT)) for path in PAGES])
def test_lines_of_prose_are_short(page: str) -> None:
    """Tables and what stands between fences may be wider."""
    fenced, long = False, []
    for number, line in enumerate((ROOT / page).read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if len(line) > 120 and not fenced and not line.startswith("|"):
            long.append(number)
    assert long == []
