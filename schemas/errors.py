"""The root of our own errors, and text that may name any file; importable from everywhere."""

from __future__ import annotations

from typing import ClassVar


class WaybillError(Exception):
    """What a person can set right. The message is one line: what failed, where, and what to do.

    Command line and worker print it as it is. Any other exception is a fault of the program, whose text may quote data.
    """

    exit_code: ClassVar[int] = 1


def readable(text: str) -> str:
    r"""Text that may hold names of files which are not UTF-8: their bytes as `\xff`, as no encoder takes them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
