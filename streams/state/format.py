"""The version of all stored values and internal messages: the first byte of each."""

from typing import Final

FORMAT: Final = 11
"""Raise it with every change of a layout in `streams.flow.layout`. Readers refuse other versions."""
