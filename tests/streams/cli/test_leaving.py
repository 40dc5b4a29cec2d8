"""A worker's process ends though a call of one of its threads never returns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[3]
CODE = """
import time
from concurrent.futures import ThreadPoolExecutor
from streams.cli.worker import _leave_within
ThreadPoolExecutor(1).submit(time.sleep, {hangs_s})
_leave_within(1.0)
"""


@pytest.mark.parametrize(("hangs_s", "code"), [(10 * PATIENCE_S, 1), (0, 0)])
def test_a_hanging_call_does_not_keep_the_process(hangs_s: float, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(hangs_s=hangs_s)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == code, done.stderr
    assert ("does not return" in done.stderr) == bool(code)
