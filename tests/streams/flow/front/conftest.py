"""Tests of the native library run where it was built. Where it was not they are left out, and the summary says so."""

from __future__ import annotations

import pytest

from streams import native
from streams.flow.front.tables import fingerprint

_left_out = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.get_closest_marker("native")]
    if ours and native.missing(fingerprint()) == native.NOT_BUILT:
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)
        config.stash[_left_out] = len(ours)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(_left_out, 0):
        terminalreporter.write_line(
            f"NOT RUN: {count} tests of the native front end, which is not built here; {native.ADVICE}", yellow=True
        )
