"""The command line without a process of its own, which would take a second of CPU to start.

That it starts, and what its ends and signals do, is tested in tests/streams/cli and tests/broker/test_cli_worker.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from unittest.mock import patch

from streams.cli import run


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def waybill(*arguments: str, env: Mapping[str, str]) -> Done:
    """Run `waybill` with these arguments and this environment; of the machine's variables none of ours reaches it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("WAYBILL_", "DESK_"))}
    out, errors = StringIO(), StringIO()
    with patch.dict(os.environ, {**plain, **env}, clear=True), redirect_stdout(out), redirect_stderr(errors):
        code = run(arguments)
    return Done(code, out.getvalue(), errors.getvalue())
