"""House rule on formats: whoever changes a layout raises the number, see CONTRIBUTING.md, “Raise the format”."""

from __future__ import annotations

from typing import Any

import pytest

from streams.state.format import FORMAT, MESSAGES, MESSAGES_READ, OLDEST
from tests.states import layouts

NOTED, PRESENT = layouts.kept(), layouts.present()
_CODES = "codes, which may grow at their ends"


@pytest.mark.parametrize(("number", "rows"), [("format", "state"), ("messages", "rows of messages")])
def test_a_layout_changes_with_its_number_alone(number: str, rows: str) -> None:
    if NOTED[number] == PRESENT[number]:
        same = NOTED[rows] == PRESENT[rows]
        assert same, f"the layout of {_changed(NOTED[rows], PRESENT[rows])} has changed: raise the number of {rows}"
    assert NOTED[number] == PRESENT[number], "the number was raised: run `python -m tests.states`"


def test_codes_keep_their_meaning() -> None:
    """Those at the end may be new."""
    for name, codes in NOTED[_CODES].items():
        found = PRESENT[_CODES][name][: len(codes)]
        assert found == codes or NOTED["format"] != FORMAT, f"codes of {name} mean something else: raise the format"


def test_the_format_before_is_read_and_messages_are_such_that_it_reads_them() -> None:
    assert OLDEST <= FORMAT - 1
    assert MESSAGES in MESSAGES_READ


def _changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    return ", ".join(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)))
