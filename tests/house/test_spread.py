"""How a run is spread over processes: what a file has made for its tests is made once."""

from __future__ import annotations

import pytest


def test_the_tests_of_a_file_are_run_by_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist marks them with their group, where the version of pytest lets it."""
    spread = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith(f"@{__file__.removeprefix(f'{request.config.rootpath}/')}") == spread
