"""Goods names: normal form, powder or liquid, controlled terms, names that say nothing.

First a name gets one normal form (`spelling`): 白 糖 and 白·糖 become the same word, and so do Ｋ粉 and k粉. So the
word lists (`data/goods/`) need no other spellings. Then all lists are searched in one pass, and hits are weighed by
their context (`context`). If no controlled term is found, the name is searched for a disguised one (`disguise`): by
sound, in another order, misspelt. At last each entry of a list (大麻、袜子) is read by itself. docs/goods.md has the
rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import polars as pl

from streams.flow.describe.context import CONTROLLED, Context, found_in, gravity, is_alone
from streams.flow.describe.disguise import Disguises
from streams.flow.describe.lexicon import Hit, read_terms
from streams.flow.describe.sounds import CHARS_SURE, DISGUISED, HINTED
from streams.flow.describe.spelling import breaks, compact, normal_form, read_variants, spaced
from streams.flow.describe.terms import Term, Use, controlled_terms
from streams.flow.layout import GOODS_TRICKS

DECLARABLE = ("powder", "liquid", "solid", "gas", "mixed")
NAMES_CACHED_MAX = 65_536

LOOKED_FOR_CHARS_MIN = 4  # of a Chinese name in the catalogues: searched in disguise without being in names.txt
LOOKED_FOR_LETTERS_MIN = 8

_ENTRIES = re.compile(r"[、，,；;。|｜/／+＋&＆·・•—～\t\r\n]+")
ENTRIES_MAX = 32  # of a list of goods that are read by themselves
ENTRY_CHARS_MAX = 24


class Goods(NamedTuple):
    """What a goods name says."""

    norm: str
    by_words: str
    controlled: bool
    hinted: bool
    vague: bool
    term: int  # `Term.ref` of the gravest term found or hinted at; 0: none
    trick: int  # how it is written: a position in GOODS_TRICKS


def describe_goods(goods_name: pl.Series, goods_form: pl.Series) -> pl.DataFrame:
    """Columns of goods, row by row. None is null.

    goods_norm (String): the name in its normal form (`normal_form`); empty if nothing is left.
    goods_class (String): powder, liquid, solid, gas, mixed or unknown: `goods_form` if declared, else by words.
    goods_controlled (Boolean): holds a term for a drug, a listed precursor, or a reported disguise, plain or disguised.
    goods_hinted (Boolean): holds no term, but hints at one: by its initials, or a homophone of a short one.
    goods_vague (Boolean): the whole name says nothing (样品, 其他, test), or has no letter.
    goods_term (UInt32): the term that it holds or hints at (`terms.term_of`); 0 for none.
    goods_trick (UInt8): how the term is written, as a position in GOODS_TRICKS.
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
    "goods_term": pl.UInt32,
    "goods_trick": pl.UInt8,
}


@lru_cache(maxsize=NAMES_CACHED_MAX)
def read(name: str) -> Goods:
    """What a name says. Cached for the latest names, because goods names repeat."""
    text = spaced(name)
    norm = text.replace(" ", "")
    vague = norm in _vague() or not any(map(str.isalpha, norm))
    spaces = breaks(text)
    context = Context(norm, found_in(norm, spaces))
    hit = next(context.standing(), None) or _in_disguise(text, context, spaces)
    if hit is None or hit.kind == HINTED:
        hit = _entered(name) or hit
    by_words = context.class_by_words()
    if hit is None:
        return Goods(norm, by_words, False, False, vague, 0, 0)
    controlled = hit.kind in (CONTROLLED, DISGUISED)
    trick = hit.trick or _spelling(name, hit.term)
    term = controlled_terms()[hit.term]
    return Goods(norm, by_words, controlled, not controlled, vague, term.ref, GOODS_TRICKS.index(trick))


def _entered(name: str) -> Hit | None:
    """The gravest term that is a whole entry of a list; the other entries are other goods.

    Not if the goods are a test or are about such a term: 大麻、吗啡、冰毒三合一检测试纸.
    """
    entries = [entry for entry in _ENTRIES.split(name) if entry.strip()]
    found: list[Hit] = []
    about = False
    for entry in reversed(entries[:ENTRIES_MAX] if len(entries) > 1 else []):
        if len(entry) > ENTRY_CHARS_MAX:
            about = False
            continue
        text = spaced(entry)
        spaces = breaks(text)
        norm = text.replace(" ", "")
        context = Context(norm, found_in(norm, spaces))
        hit = next(context.standing(), None) or _in_disguise(text, context, spaces)
        if hit is None or hit.kind == HINTED or not context.is_no_more_than(hit):
            about = context.is_about_terms() or any(word in norm for word in _tests())
        elif not about:
            found.append(hit)
    return min(found, key=gravity, default=None)


def _in_disguise(text: str, context: Context, spaces: frozenset[int]) -> Hit | None:
    """The gravest disguised term of a name without a plain one."""
    like = [*context.standing_like(_disguises().hits(text, context.norm, spaces)), *_otherwise_read(context.norm)]
    return min(like, key=gravity) if like else None


def _otherwise_read(norm: str) -> Iterator[Hit]:
    """Terms in a name after its parts are put together: 氯月安酮, 大x麻, 冰冰毒毒."""
    for other, trick in _disguises().readings(norm):
        for hit in Context(other, found_in(other, frozenset())).standing():
            if hit.term in _looked_for() and hit.term not in norm:
                sure = len(hit.term) >= CHARS_SURE or is_alone(other, hit)
                yield hit._replace(kind=DISGUISED if sure else HINTED, trick=trick)
                break


def _spelling(name: str, term: str) -> str:
    """How a term that the normal form holds was written."""
    written, listed = name.casefold(), controlled_terms()[term].name
    if listed in written or term in written:
        return "plain"
    return "separated" if term in re.sub(r"[\W_]+", "", written) else "characters"


@cache
def _tests() -> tuple[str, ...]:
    return tuple(compact(read_terms("goods/tests.txt")))


@cache
def _vague() -> frozenset[str]:
    return frozenset(compact(read_terms("goods/vague.txt")))


@cache
def _listed_names() -> frozenset[str]:
    return frozenset(compact(read_terms("goods/names.txt")))


@cache
def _looked_for() -> frozenset[str]:
    """Terms that are searched in disguise: those of names.txt, and the long official names of drugs."""
    long = (norm for norm, term in controlled_terms().items() if _is_long_name(norm, term))
    return _listed_names() | frozenset(long)


def _is_long_name(norm: str, term: Term) -> bool:
    if not term.first or term.use is not Use.ANYWHERE or term.kind in ("street_name", "precursor"):
        return False
    if not norm.isalpha():
        return False
    if norm.isascii():
        return len(norm) >= LOOKED_FOR_LETTERS_MIN and " " not in term.name
    return len(norm) >= LOOKED_FOR_CHARS_MIN and not any(map(str.isascii, norm))


@cache
def _disguises() -> Disguises:
    rows = map(str.split, read_terms("goods/parts.txt"))
    return Disguises(
        _looked_for(),
        _listed_names(),
        shapes=read_variants("goods/shapes.txt"),
        parts={normal_form(parts): whole for whole, *its in rows for parts in its},
    )
