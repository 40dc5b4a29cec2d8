"""One spelling for goods names: their normal form, without the different ways to write the same letters.

It removes width, case, traditional and variant characters, letters of other scripts that look Latin, marks on letters,
and anything written between characters. So the word lists need only one spelling.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache

import opencc

from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.text import nfkc

LATIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")

_SEPARATORS = re.compile(r"(?:[^\w]|_)+")  # what is neither letter nor digit
_HANGUL_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters by class, but invisible
_UNSEEN = ("Cf", "Mn", "Me")
# Members of classes that are controlled whole are named so: cyclopentylfentanyl.
_CLASS = re.compile(r"(?<=[a-z])(?:fentanyl|nitazene)")
_NAMED = re.compile(r"LATIN (?:SMALL LETTER|CAPITAL LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .*)?")
_ENCLOSED_A = (0x1F150, 0x1F170, 0x1F1E6)  # white on a black disc, on a black square, and the halves of flags
_PLANES = (range(0x80, 0x11000), range(0x1F100, 0x1F200), range(0xE0000, 0xE01F0))  # of odd letters


def spaced(name: str) -> str:
    """The normal form, with one space between Latin words or numbers."""
    text = nfkc(name)
    if not text.isascii():
        text = text.translate(_alike())
    text = nfkc(text.casefold())
    if not text.isalnum():
        text = _SEPARATORS.sub(_between, text)
    return text if text.isascii() else str(_t2s().convert(text))


def normal_form(name: str) -> str:
    """NFKC, casefold, look-alike characters, simplified characters; letters and digits only."""
    return spaced(name).replace(" ", "")


def breaks(text: str) -> frozenset[int]:
    """Where words begin in `spaced` text, as places in the text without spaces: at spaces, and where a class begins."""
    places = (place for place, char in enumerate(text) if char == " ")
    classes = (found.start() for found in _CLASS.finditer(text.replace(" ", "")))
    return frozenset((*(place - before for before, place in enumerate(places)), *classes))


def compact(words: Iterable[str]) -> list[str]:
    """Normal forms of a word list."""
    return [normal_form(word) for word in words]


def read_variants(path: str) -> dict[int, str]:
    """A file of lines `standard variant variant`, as a table for `str.translate`."""
    rows = (line.split() for line in read_terms(path))
    return {ord(variant): standard for standard, *variants in rows for variant in variants}


def _between(separators: re.Match[str]) -> str:
    text, start, end = separators.string, separators.start(), separators.end()
    words = start > 0 and end < len(text) and text[start - 1] in LATIN and text[end] in LATIN
    return " " if words else ""


@cache
def _alike() -> dict[int, str]:
    return (
        dict(_by_unicode())
        | {ord(filler): "" for filler in _HANGUL_FILLERS}
        | {first + place: chr(ord("a") + place) for first in _ENCLOSED_A for place in range(26)}
        | read_variants("goods/lookalikes.txt")
        | read_variants("goods/variants.txt")
    )


def _by_unicode() -> Iterator[tuple[int, str]]:
    """Replacements by Unicode class or name: invisible characters, digits, Latin letters with marks."""
    for code in (code for plane in _PLANES for code in plane):
        char = chr(code)
        digit = unicodedata.digit(char, None)
        if unicodedata.category(char) in _UNSEEN:
            yield code, ""
        elif digit is not None:
            yield code, str(digit)
        elif named := _NAMED.fullmatch(unicodedata.name(char, "")):
            yield code, named[1].lower()


@cache
def _t2s() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")
