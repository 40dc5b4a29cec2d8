"""Synthetic traffic with planted cases: `generate` makes it, `write` puts it into files."""

from streams.generate.files import Format, NotEmptyError, Summary, write
from streams.generate.flow import Chunk, Plan, Traffic, generate

__all__ = ["Chunk", "Format", "NotEmptyError", "Plan", "Summary", "Traffic", "generate", "write"]
