"""Tests of the native library run where it was built. Where it was not they are left out, and the summary says so."""

from __future__ import annotations

import pytest

from streams import native
from streams.flow.front.tables import fingerprint


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.get_closest_marker("native")]
    if ours and native.missing(fingerprint()) == native.NOT_BUILT:
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=f"the native front end is not built here; {native.ADVICE}"))
