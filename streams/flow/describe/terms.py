"""Controlled terms: the catalogues and street names of `data/goods/controlled/`, one file a kind.

A line of a file is one substance: its names, with ` | ` between them. A mark says how a name counts (`Use`); without
one it counts wherever it stands as a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.spelling import normal_form
from streams.flow.layout import text_ref

# The gravest first: of several terms in a name, that of the first kind is the one that is shown.
KINDS: Final = ("narcotic", "psychotropic", "non_medical", "street_name", "precursor")


class Use(Enum):
    """How a name counts, by its mark in the file."""

    ANYWHERE = ""
    ALONE = "="  # only if it is the whole name of the goods, amounts and forms aside
    HINT_ALONE = "~"  # likewise, and then as a hint: an everyday word
    STEM = "+"  # other substances have it in their names: only where stems.txt lets it


class Term(NamedTuple):
    """A name of a controlled substance or of a known disguise, as its list has it."""

    name: str
    kind: str
    use: Use
    first: bool  # of its script in its line: the name by which the catalogue has the substance

    @property
    def ref(self) -> int:
        """What stands for it in a row: 32 bits that stay the same however the lists change; never 0."""
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
    """The term that `ref` stands for; None for 0, or when the lists of this version have it no more."""
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
