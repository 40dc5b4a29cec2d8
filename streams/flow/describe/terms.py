"""Controlled terms: the catalogues and street names of `data/goods/controlled/`, one file a kind.

A line of a file is one substance: its names, separated by ` | `. A mark says how a name counts (`Use`); without a mark
it counts wherever it is a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.spelling import normal_form
from streams.flow.layout import text_ref

# The gravest kind first: if a name holds several terms, the one of the first kind is shown.
KINDS: Final = ("narcotic", "psychotropic", "non_medical", "street_name", "precursor")


class Use(Enum):
    """How a name counts, by its mark in the file."""

    ANYWHERE = ""
    ALONE = "="  # only if it is the whole name, apart from amounts and forms
    HINT_ALONE = "~"  # the same, and only as a hint: an everyday word
    STEM = "+"  # part of the names of other substances: only if stems.txt allows it


class Term(NamedTuple):
    """A name of a controlled substance or of a known disguise, as in its list."""

    name: str
    kind: str
    use: Use
    first: bool  # the first of its script in its line: the name of the substance in the catalogue

    @property
    def ref(self) -> int:
        """Its number in rows: 32 bits that stay the same when the lists change; never 0."""
        return text_ref(self.name) & 0xFFFF_FFFF or 1


@cache
def controlled_terms() -> dict[str, Term]:
    """Every term by its normal form."""
    terms: dict[str, Term] = {}
    for kind in KINDS:
        for term in _listed(kind):
            terms[normal_form(term.name)] = term
    return terms


def term_of(ref: int) -> Term | None:
    """The term with this `ref`; None for 0, and if the lists of this version no longer have it."""
    return _by_ref().get(ref)


@cache
def _by_ref() -> dict[int, Term]:
    return {term.ref: term for term in controlled_terms().values()}


def _listed(kind: str) -> Iterator[Term]:
    for line in read_terms(f"goods/controlled/{kind}.txt"):
        scripts = set()
        for name, use in map(_marked, line.split(" | ")):
            yield Term(name, kind, use, name.isascii() not in scripts)
            scripts.add(name.isascii())


def _marked(name: str) -> tuple[str, Use]:
    if name[-1] == Use.STEM.value:
        return name[:-1], Use.STEM
    if name[0] in (Use.ALONE.value, Use.HINT_ALONE.value):
        return name[1:], Use(name[0])
    return name, Use.ANYWHERE
