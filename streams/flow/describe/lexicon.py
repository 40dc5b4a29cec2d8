"""Word lists: how their files are read, and how their terms are found in a text.

A file is UTF-8 with one term a line. `#` starts a comment; the first lines state source and date of the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import NamedTuple

import ahocorasick

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")


class Hit(NamedTuple):
    """A hit of this kind at text[start:end]: the compact term, and the trick by which it is written."""

    start: int
    end: int
    kind: str
    term: str = ""
    trick: str = ""


class Lexicon:
    """Finds terms of several kinds in compact text: lower case, nothing but letters and digits.

    Chinese needs no word boundaries. A Latin word or a number is found only as a whole (ink not in pink, 0号 not in
    10号), except for a plural s.
    """

    def __init__(self, terms: Mapping[str, Iterable[str]]) -> None:
        """`terms` by kind, compact. One term may be of several kinds."""
        kinds: dict[str, list[str]] = {}
        for kind, words in terms.items():
            for word in words:
                kinds.setdefault(word, []).append(kind)
        self._automaton = ahocorasick.Automaton()
        for word, its in kinds.items():
            self._automaton.add_word(word, (len(word), tuple(its)))
        self._automaton.make_automaton()

    def hits(self, text: str, breaks: frozenset[int] = frozenset()) -> Iterator[Hit]:
        """Every occurrence, also overlapping ones. `breaks`: places in `text` where a space between Latin words was."""
        for last, (length, kinds) in self._automaton.iter(text):
            start, end = last + 1 - length, last + 1
            if not cuts(text, start, end, breaks):
                for kind in kinds:
                    yield Hit(start, end, kind, text[start:end])


def read_terms(path: str) -> list[str]:
    """Terms of a file below `data/`, in its order, comments and blank lines left out."""
    text = (files("streams.flow.describe") / "data" / path).read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def cuts(text: str, start: int, end: int, breaks: frozenset[int]) -> bool:
    """Whether text[start:end] begins or ends within a Latin word or a number."""
    return _cuts_start(text, start, breaks) or _cuts_end(text, end, breaks)


def _cuts_start(text: str, at: int, breaks: frozenset[int]) -> bool:
    if at == 0 or at in breaks:
        return False
    before, after = text[at - 1], text[at]
    # A digit before a letter belongs to it (18k粉钻): units are written so.
    return (after in _LETTERS and (before in _LETTERS or before in _DIGITS)) or (after in _DIGITS and before in _DIGITS)


def _cuts_end(text: str, at: int, breaks: frozenset[int]) -> bool:
    if at == len(text) or at in breaks:
        return False
    before, after = text[at - 1], text[at]
    if before in _DIGITS:
        return after in _DIGITS
    if before not in _LETTERS or after not in _LETTERS:
        return False
    return after != "s" or _cuts_end(text, at + 1, breaks)
