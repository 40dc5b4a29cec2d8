"""Goods names: normal form, powder or liquid, controlled terms, names that say nothing.

A name is brought to one form first, so that 白 糖, 白·糖 and Ｋ粉, k粉 are one word each, and the word lists
(`data/goods/`) need no spellings. Then all lists are searched in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Literal, NamedTuple

import opencc
import polars as pl

from streams.describe.lexicon import Hit, Lexicon, read_terms
from streams.describe.text import nfkc

GoodsClass = Literal["powder", "liquid", "solid", "gas", "mixed", "unknown"]
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
    vague: bool


def describe_goods(goods_name: pl.Series, goods_form: pl.Series) -> pl.DataFrame:
    """Columns of goods, row by row. None is null.

    goods_norm (String): the name in its normal form (`normal_form`); empty if nothing is left.
    goods_class (String): powder, liquid, solid, gas, mixed or unknown: `goods_form` if declared, else by words.
    goods_controlled (Boolean): holds a term for a drug, a listed precursor, or a reported disguise.
    goods_vague (Boolean): the name as a whole says nothing (样品, 其他, test), or has no letter in it.
    """
    described = [read(name) for name in goods_name.cast(pl.String).fill_null("").to_list()]
    norm, by_words, controlled, vague = zip(*described, strict=True) if described else ((), (), (), ())
    form = goods_form.cast(pl.String)
    declared = form.is_in(DECLARABLE).fill_null(False)
    return pl.DataFrame(
        [
            pl.Series("goods_norm", norm, dtype=pl.String),
            form.zip_with(declared, pl.Series(by_words, dtype=pl.String)).alias("goods_class"),
            pl.Series("goods_controlled", controlled, dtype=pl.Boolean),
            pl.Series("goods_vague", vague, dtype=pl.Boolean),
        ]
    )


@lru_cache(maxsize=NAMES_CACHED_MAX)
def read(name: str) -> Goods:
    """What a name says. Kept for the names met most lately: goods names repeat."""
    spaced = _spaced(name)
    norm = spaced.replace(" ", "")
    vague = norm in _vague() or not any(map(str.isalpha, norm))
    hits = list(_lexicon().hits(norm, _breaks(spaced)))
    if not hits:
        return Goods(norm, "unknown", False, vague)
    if any(hit.kind == CONTROLLED for hit in hits):
        hits += _pattern_hits(norm)
    return Goods(norm, _class_by_words(norm, hits), _is_controlled(norm, hits), vague)


def normal_form(name: str) -> str:
    """NFKC, casefold, look-alike characters, simplified characters; letters and digits only."""
    return _spaced(name).replace(" ", "")


def _class_by_words(norm: str, hits: list[Hit]) -> str:
    """The class of the last word that counts: the head of a Chinese compound is at its end (豆浆粉, 粉底液)."""
    masks = [hit for hit in hits if hit.kind != CONTROLLED]
    counting = [
        hit
        for hit in masks
        if hit.kind in (POWDER, LIQUID)
        and not any(hit.inside(mask) and _outranks(mask, hit) for mask in masks)
        and not _objects().match(norm, hit.end)
        and not _negated(norm, hit.start)
    ]
    return max(counting, key=lambda hit: (hit.end, hit.end - hit.start)).kind if counting else "unknown"


def _outranks(mask: Hit, hit: Hit) -> bool:
    """A longer word hides a term inside it. A term that is an exception too (硫酸铜) is powder, but not controlled."""
    return mask.kind == PATTERN or mask.end - mask.start > hit.end - hit.start


def _is_controlled(norm: str, hits: list[Hit]) -> bool:
    exceptions = [hit for hit in hits if hit.kind in (EXCEPTION, PATTERN)]
    return any(
        hit.kind == CONTROLLED
        and not any(hit.inside(exception) for exception in exceptions)
        and not _mentions().match(norm, hit.end)
        and not _negated(norm, hit.start)
        for hit in hits
    )


def _negated(norm: str, start: int) -> bool:
    return norm.endswith(_negations(), 0, start)


def _spaced(name: str) -> str:
    """The normal form, but with one space where Latin words or numbers met."""
    text = nfkc(nfkc(name).casefold())
    if not text.isascii():
        text = text.translate(_variants())
    if not text.isalnum():
        text = _SEPARATORS.sub(_between, text)
    return text if text.isascii() else str(_t2s().convert(text))


_SEPARATORS = re.compile(r"(?:[^\w]|_)+")  # what is neither letter nor digit
_HANGUL_FILLERS = "\u115f\u1160\u3164\uffa0"  # letters by class, but nothing is to be seen
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def _between(separators: re.Match[str]) -> str:
    text, start, end = separators.string, separators.start(), separators.end()
    words = start > 0 and end < len(text) and text[start - 1] in _LATIN and text[end] in _LATIN
    return " " if words else ""


def _breaks(spaced: str) -> frozenset[int]:
    """Where the spaces of `spaced` were, as places in the text without them."""
    if " " not in spaced:
        return frozenset()
    places = (place for place, char in enumerate(spaced) if char == " ")
    return frozenset(place - before for before, place in enumerate(places))


def _pattern_hits(norm: str) -> Iterable[Hit]:
    return (Hit(*match.span(1), PATTERN) for match in _patterns().finditer(norm))


@cache
def _lexicon() -> Lexicon:
    terms = {kind: [word for word in read_terms(path) if "*" not in word] for kind, path in _FILES.items()}
    return Lexicon({kind: _compact(words) for kind, words in terms.items()})


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
    return re.compile(rf"(?:{'|'.join(map(re.escape, _compact(read_terms('goods/objects.txt'))))})(?![装洗])")


@cache
def _mentions() -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, _compact(read_terms("goods/mentions.txt")))))


@cache
def _negations() -> tuple[str, ...]:
    return tuple(_compact(read_terms("goods/negations.txt")))


@cache
def _vague() -> frozenset[str]:
    return frozenset(_compact(read_terms("goods/vague.txt")))


@cache
def _variants() -> dict[int, str]:
    rows = (line.split() for line in read_terms("goods/variants.txt"))
    return {ord(variant): standard for standard, *variants in rows for variant in variants} | {
        ord(filler): "" for filler in _HANGUL_FILLERS
    }


@cache
def _t2s() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _compact(words: Iterable[str]) -> list[str]:
    return [normal_form(word) for word in words]
