"""The version of everything that is kept: the first byte of each stored value and of each internal message."""

from typing import Final

FORMAT: Final = 10
"""Raise it with every change of a layout in `streams.flow.layout`. A reader refuses another version."""
