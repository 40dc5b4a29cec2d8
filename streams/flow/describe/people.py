"""Senders and recipients: names and mobile numbers in normal form, masked values, placeholders."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import polars as pl

from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.text import MASK, MASK_NAME, nfkc, normalised

_MOBILE = r"^(?:0086|86)?(1[3-9][0-9]{9})$"


def describe_names(name: pl.Series) -> pl.DataFrame:
    """Columns of names, row by row.

    name_norm (String): NFKC, white space removed, casefold; null if nothing is left.
    name_masked (Boolean): part of it is hidden (王*). False without a name.
    name_placeholder (Boolean): a name in full that names nobody: a word of `data/names/placeholder.txt` (digits and
    punctuation around it do not count), one character repeated, or no letter at all. False without a name.
    """
    norm = normalised(name, r"^[a-z0-9*·\x{4E00}-\x{9FFF}]+$", _fold)
    text = pl.col("norm")
    frame = pl.DataFrame({"norm": norm}).select_seq(
        "norm",
        masked=text.str.contains(MASK_NAME).fill_null(False),
        word=text.is_in(list(placeholders())),
        mixed=(text.str.contains(r"[^\p{L}]") & ~text.str.contains(MASK_NAME)).fill_null(False),
        # One character repeated has equal ends; few other names do, so that only those are looked at one by one.
        ends=((text.str.head(1) == text.str.tail(1)) & (text.str.len_chars() > 1)).fill_null(False),
    )
    placeholder = frame["word"].fill_null(False).to_numpy().copy()
    for column, test in (("ends", _repeated), ("mixed", _bare_placeholder)):
        rows = np.flatnonzero(frame[column].to_numpy())
        if len(rows):
            placeholder[rows] |= [test(name) for name in norm.gather(rows).to_list()]
    placeholder &= ~frame["masked"].to_numpy()
    return pl.DataFrame(
        [
            norm.alias("name_norm"),
            frame["masked"].alias("name_masked"),
            pl.Series("name_placeholder", placeholder, dtype=pl.Boolean),
        ]
    )


def mobiles(phone: pl.Series) -> pl.Series:
    """Mobile numbers in one form, row by row (String): 11 digits, without +86 or 0086; null for anything else.

    That is a masked number (131****1907), a landline, or a virtual number (mobile and extension), which stands for many
    people. The shape 1[3-9] and 9 digits is deliberately wider than the ranges assigned today: new ones open every
    year, and history should link them from the first day.
    """
    norm = normalised(phone, r"^[0-9]+$", nfkc)
    masked = norm.str.contains(MASK).fill_null(False)
    return norm.str.replace_all(r"[^0-9]", "").str.extract(_MOBILE).set(masked, None)


def _fold(name: str) -> str:
    return "".join(nfkc(name).casefold().split())


def _repeated(name: str) -> bool:
    return len(set(name)) == 1


# Rare characters of names are written with private-use codes where no font has them.
_NOT_LETTERS = re.compile(r"[^\w\ue000-\uf8ff]|[\d_]")


def _bare_placeholder(name: str) -> bool:
    """Without digits and punctuation nothing is left, or a placeholder word is (测试01, N/A)."""
    letters = _NOT_LETTERS.sub("", name)
    return not letters or letters in placeholders()


@cache
def placeholders() -> frozenset[str]:
    """Words that name nobody, without what is not a letter."""
    return frozenset(_NOT_LETTERS.sub("", _fold(word)) for word in read_terms("names/placeholder.txt"))
