"""The root of our own errors, importable from everywhere."""

from __future__ import annotations

from typing import ClassVar


class WaybillError(Exception):
    """What a person can set right. The message is one line: what failed, where, and what to do.

    Command line and worker print it as it is. Any other exception is a fault of the program, whose text may quote data.
    """

    exit_code: ClassVar[int] = 1
