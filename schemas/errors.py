"""The root of all errors of this project, and file names as text; every room may import it."""

from __future__ import annotations

from typing import ClassVar


class WaybillError(Exception):
    """An error that a person can correct. The message is one line: what failed, where, and what to do.

    Command line and worker print it as it is. Any other exception is a fault of the program; its text may quote data.
    """

    exit_code: ClassVar[int] = 1


def readable(text: str) -> str:
    r"""The text with bytes of file names that are not UTF-8 written as `\xff`, so that it can be encoded."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unread(error: OSError | UnicodeError) -> str:
    """Why a file cannot be read. Quotes nothing of it: it may hold a key."""
    return (error.strerror or "no such file") if isinstance(error, OSError) else "not UTF-8"
