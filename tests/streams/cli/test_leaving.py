"""A worker's process ends though a call of one of its threads never returns."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CODE = """
import time
from concurrent.futures import ThreadPoolExecutor
from streams.cli.worker import _leave_within
ThreadPoolExecutor(1).submit(time.sleep, {hangs_s})
_leave_within(1.0)
"""


@pytest.mark.parametrize(("hangs_s", "code"), [(60, 1), (0, 0)])
def test_a_hanging_call_does_not_keep_the_process(hangs_s: int, code: int) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(hangs_s=hangs_s)], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == code, done.stderr
    assert ("does not return" in done.stderr) == bool(code)
    assert time.monotonic() - started < 20
