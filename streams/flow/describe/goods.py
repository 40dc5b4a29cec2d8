"""Goods names: normal form, powder or liquid, controlled terms, names that say nothing.

A name is brought to one form first (`spelling`), so that 白 糖, 白·糖 and Ｋ粉, k粉 are one word each, and the word
lists (`data/goods/`) need no spellings. Then all lists are searched in one pass. Only a name in which this finds no
controlled term is searched for one in disguise (`disguise`): by sound, in another order, misspelt. A disguise of a term
of three characters or more is as good as the term; one of a shorter term, or mere pinyin, is a hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate
from typing import NamedTuple

import polars as pl

from streams.flow.describe.disguise import Disguises
from streams.flow.describe.lexicon import Hit, Lexicon, read_terms
from streams.flow.describe.sounds import DISGUISED, HINTED, strength
from streams.flow.describe.spelling import breaks, compact, normal_form, read_variants, spaced

DECLARABLE = ("powder", "liquid", "solid", "gas", "mixed")
NAMES_CACHED_MAX = 65_536

POWDER, LIQUID, CONTROLLED, EXCEPTION, PATTERN = "powder", "liquid", "controlled", "exception", "pattern"
_FILES = {kind: f"goods/{kind}.txt" for kind in (POWDER, LIQUID, CONTROLLED)} | {EXCEPTION: "goods/exceptions.txt"}

PATTERN_CHARS_MAX = 12  # of `盐酸*片`: the most between its two parts


class Goods(NamedTuple):
    """What a goods name says."""

    norm: str
    by_words: str
    controlled: bool
    hinted: bool
    vague: bool


def describe_goods(goods_name: pl.Series, goods_form: pl.Series) -> pl.DataFrame:
    """Columns of goods, row by row. None is null.

    goods_norm (String): the name in its normal form (`normal_form`); empty if nothing is left.
    goods_class (String): powder, liquid, solid, gas, mixed or unknown: `goods_form` if declared, else by words.
    goods_controlled (Boolean): holds a term for a drug, a listed precursor, or a reported disguise, plain or disguised.
    goods_hinted (Boolean): holds none, but what may be one: its pinyin, its initials, a short one's homophone.
    goods_vague (Boolean): the name as a whole says nothing (样品, 其他, test), or has no letter in it.
    """
    names = goods_name.cast(pl.String).fill_null("")
    distinct = names.unique()  # names repeat, so each is read once
    said = pl.DataFrame([read(name) for name in distinct.to_list()], schema=_SAID, orient="row")
    numbers = pl.Series(range(len(distinct)), dtype=pl.UInt32)
    described = said[names.replace_strict(distinct, numbers, return_dtype=pl.UInt32)] if len(names) else said
    form = goods_form.cast(pl.String)
    declared = form.is_in(DECLARABLE).fill_null(False)
    return described.with_columns(form.zip_with(declared, described["goods_class"]).alias("goods_class"))


_SAID = {
    "goods_norm": pl.String,
    "goods_class": pl.String,
    "goods_controlled": pl.Boolean,
    "goods_hinted": pl.Boolean,
    "goods_vague": pl.Boolean,
}


@lru_cache(maxsize=NAMES_CACHED_MAX)
def read(name: str) -> Goods:
    """What a name says. Kept for the names met most lately: goods names repeat."""
    text = spaced(name)
    norm = text.replace(" ", "")
    vague = norm in _vague() or not any(map(str.isalpha, norm))
    hits = list(_lexicon().hits(norm, breaks(text)))
    if any(hit.kind == CONTROLLED for hit in hits):
        hits += _pattern_hits(norm)
    found = {CONTROLLED} if any(_standing(norm, hits)) else _in_disguise(text, norm, hits)
    controlled = not found.isdisjoint((CONTROLLED, DISGUISED))
    return Goods(norm, _class_by_words(norm, hits), controlled, not controlled and HINTED in found, vague)


def _in_disguise(text: str, norm: str, hits: list[Hit]) -> set[str]:
    """What a name that holds no controlled term as it is holds of those written to be missed: DISGUISED, HINTED."""
    found: set[str] = set()
    if like := list(_disguises().hits(text)):
        ordinary = _Cover(norm, _ordinary().hits(norm, breaks(text)))
        like = [hit for hit in like if not ordinary.meets(hit)]
        found.update(hit.kind for hit in _standing(norm, [*hits, *_pattern_hits(norm), *like]))
    for other in _disguises().readings(norm):
        read_so = list(_lexicon().hits(other))
        if any(hit.kind == CONTROLLED for hit in read_so):
            names = [other[hit.start : hit.end] for hit in _standing(other, [*read_so, *_pattern_hits(other)])]
            found.update(strength(len(name)) for name in names if name in _names())
    return found


def _class_by_words(norm: str, hits: list[Hit]) -> str:
    """The class of the last word that counts: the head of a Chinese compound is at its end (豆浆粉, 粉底液)."""
    words = [hit for hit in hits if hit.kind in (POWDER, LIQUID)]
    if not words:
        return "unknown"
    # A longer word hides a term inside it. A term that is an exception too (硫酸铜) is powder, but not controlled.
    masks = _Cover(norm, (hit for hit in hits if hit.kind != CONTROLLED))
    patterns = _Cover(norm, (hit for hit in hits if hit.kind == PATTERN))
    counting = [
        hit
        for hit in words
        if not masks.outreaches(hit)
        and not patterns.holds(hit)
        and not _objects().match(norm, hit.end)
        and not _negated(norm, hit.start)
    ]
    return max(counting, key=lambda hit: (hit.end, hit.end - hit.start)).kind if counting else "unknown"


class _Cover:
    """How far hits reach. Names made of hundreds of terms are no reason to hold each against each."""

    def __init__(self, norm: str, hits: Iterable[Hit]) -> None:
        ends = [0] * (len(norm) + 1)
        for hit in hits:
            ends[hit.start] = max(ends[hit.start], hit.end)
        self._reach = list(accumulate(ends, max))  # by place: the furthest end of those that begin up to there

    def holds(self, hit: Hit) -> bool:
        """One of them has `hit` inside it, or is the same piece of text."""
        return self._reach[hit.start] >= hit.end

    def meets(self, hit: Hit) -> bool:
        """One of them has a character in common with `hit`."""
        return self._reach[hit.end - 1] > hit.start

    def outreaches(self, hit: Hit) -> bool:
        """One of them is longer, and has `hit` inside it."""
        return self._reach[hit.start] > hit.end or (hit.start > 0 and self._reach[hit.start - 1] >= hit.end)


def _standing(norm: str, hits: list[Hit]) -> Iterator[Hit]:
    """Terms, plain or not, that no exception, mention or negation undoes."""
    terms = [hit for hit in hits if hit.kind in (CONTROLLED, DISGUISED, HINTED)]
    if not terms:
        return
    exceptions = _Cover(norm, (hit for hit in hits if hit.kind in (EXCEPTION, PATTERN)))
    yield from (
        hit
        for hit in terms
        if not exceptions.holds(hit) and not _mentions().match(norm, hit.end) and not _negated(norm, hit.start)
    )


def _negated(norm: str, start: int) -> bool:
    return norm.endswith(_negations(), 0, start)


def _pattern_hits(norm: str) -> Iterable[Hit]:
    return (Hit(*match.span(1), PATTERN) for match in _patterns().finditer(norm))


@cache
def _lexicon() -> Lexicon:
    terms = {kind: [word for word in read_terms(path) if "*" not in word] for kind, path in _FILES.items()}
    return Lexicon({kind: compact(words) for kind, words in terms.items()})


@cache
def _patterns() -> re.Pattern[str]:
    """`盐酸*片`: 盐酸 where 片 follows soon."""
    tails: dict[str, list[str]] = {}
    for word in read_terms(_FILES[EXCEPTION]):
        head, star, tail = word.partition("*")
        if star:
            tails.setdefault(head, []).append(tail)
    alternatives = (
        rf"{head}(?=[^\d]{{1,{PATTERN_CHARS_MAX}}}?(?:{'|'.join(map(re.escape, its))}))" for head, its in tails.items()
    )
    return re.compile(f"({'|'.join(alternatives)})")


@cache
def _objects() -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(map(re.escape, compact(read_terms('goods/objects.txt'))))})(?![装洗])")


@cache
def _mentions() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, compact(read_terms("goods/mentions.txt")))))


@cache
def _negations() -> tuple[str, ...]:
    return tuple(compact(read_terms("goods/negations.txt")))


@cache
def _vague() -> frozenset[str]:
    return frozenset(compact(read_terms("goods/vague.txt")))


@cache
def _names() -> frozenset[str]:
    return frozenset(compact(read_terms("goods/names.txt")))


@cache
def _disguises() -> Disguises:
    rows = map(str.split, read_terms("goods/parts.txt"))
    return Disguises(
        _names(),
        shapes=read_variants("goods/shapes.txt"),
        parts={normal_form(parts): whole for whole, *its in rows for parts in its},
    )


@cache
def _ordinary() -> Lexicon:
    return Lexicon({EXCEPTION: compact(read_terms("goods/sound_alikes.txt"))})
