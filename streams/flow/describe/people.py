"""Senders and recipients: names and mobile numbers in normal form, masked values, placeholders."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

import numpy as np
import opencc
import polars as pl

from streams.flow.describe.courtesy import Courtesy
from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.text import BULLET, STARS, clean, normalised, strange

# A mobile in digits and plus signs. A number with another country's code (+1 380…, 00852…) is not a mobile here.
_MOBILE = r"^(?:\+?(?:00)?86)?(1[3-9][0-9]{9})$"
# North American numbers without a plus sign; Chinese mobiles are not grouped like this.
_NANP = r"(?:^|[^0-9])1[^0-9+]+[2-9][0-9]{2}[^0-9+]+[0-9]{3}[^0-9+]+[0-9]{4}(?:[^0-9]|$)"
_MASKED_PHONE = re.compile(rf"[{STARS}{BULLET}]|([^\s0-9()+./-])\1+(?=[0-9])|(?<=[0-9])([^\s0-9()+./-])\2+")


def describe_names(name: pl.Series) -> pl.DataFrame:
    """Columns of names, row by row.

    name_norm (String): NFKC, without invisible characters and white space, casefold, simplified characters, one dot
    between its parts, without a number that a marketplace appends; stars where a part is hidden; null if empty.
    name_masked (Boolean): part of it is hidden (王*, 王XX). False without a name.
    name_placeholder (Boolean): a full name that names nobody: a word of `data/names/placeholder.txt` (digits and
    punctuation around it do not count), a surname with a form of address, one character repeated, or no letter at all.
    False without a name.
    """
    norm = normalised(name, _plain_name(), _fold_all)
    text = pl.col("norm")
    address = courtesy()
    frame = pl.DataFrame({"norm": norm}).select_seq(
        "norm",
        masked=text.str.contains("*", literal=True).fill_null(False),
        word=text.is_in(list(placeholders())),
        # Few names are checked one by one: those with other characters than letters, or a form of address.
        odd=text.str.contains(rf"[^\p{{L}}*]|{address.maybe}").fill_null(False),
        # A repeated character has equal ends.
        ends=((text.str.head(1) == text.str.tail(1)) & (text.str.len_chars() > 1)).fill_null(False),
    )
    placeholder = frame["word"].fill_null(False).to_numpy().copy()
    rows = np.flatnonzero((frame["odd"] | frame["ends"]).to_numpy() & ~placeholder & ~frame["masked"].to_numpy())
    if len(rows):
        pairs = zip(norm.gather(rows).to_list(), name.gather(rows).to_list(), strict=True)
        placeholder[rows] = [_repeated(text) or _bare(text) or address.says(text, given) for text, given in pairs]
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

    Null are masked numbers (131****1907), landlines, numbers with another country's code, and virtual numbers (mobile
    and extension), which many people share. The shape 1[3-9] and 9 digits is deliberately wider than the ranges
    assigned today: new ones open every year, and history should link them from the first day.
    """
    rows = strange(phone, r"^[0-9]*$")
    if len(rows):
        bare = clean(phone.gather(rows)).str.replace_all("➕", "+")
        digits = bare.str.replace_all(r"[^0-9+]", "").set(bare.str.contains(_NANP).fill_null(False), None)
        hidden = [text is None or _MASKED_PHONE.search(text) is not None for text in bare.to_list()]
        phone = phone.clone().scatter(rows, digits.set(pl.Series(hidden, dtype=pl.Boolean), None))
    return phone.str.extract(_MOBILE)


# --- names ------------------------------------------------------------------------------------------------------------

# Dots between the parts of Uyghur, Kazakh and foreign names, as keyboards have them.
_DOTS = ".·•‧∘∙⋅⁃◦⦁⸰⸱⸳・。ꞏ᛫ᐧ𐄁\u119e"  # the last is NFKC of a letter that Korean keyboards have for a dot
_DOT_ABOVE = " \u0307"  # NFKC of ˙
_DOT = "·"
_DASHES = "‐-―−-"
_ALIKE = str.maketrans({**dict.fromkeys("’‘ʼʻʹ′`´", "'"), **dict.fromkeys("‐‑‒–−", "-")})
_LETTER = r"[^\W\d_]"
_HAN = r"[\u3400-\u9fff\U00020000-\U0003ffff]"
# What a marketplace appends so that the courier can dial a virtual number: [7839], 【4位7839】, (7839), 转7839, -7839.
# The native library knows the last character of each (`BEFORE_APPENDED`).
_BEFORE_NUMBER = (
    r"(?:(?:[转轉]接?|ext\.?|(?:手机|手機|电话|電話)?(?:(?:分机|分機)[号號]?|尾[号號数數])"
    r"|(?:虚拟|虛擬|隐私|隱私|中间|中間|临时|臨時|安全|小)(?:[号號][码碼]?|电话|電話)|[后後末]?[0-9四]位"
    rf"|[#:+~|^{_DASHES}])\s*)"
)
_APPENDED = re.compile(
    rf"(?<={_LETTER})[\s,;:_]*(?:[\[({{<【〔〖《〈「『]\s*{_BEFORE_NUMBER}{{0,3}}[0-9]{{1,8}}\s*[\])}}>】〕〗》〉」』]"
    rf"|(?:{_BEFORE_NUMBER}{{1,3}}|[_,/]|(?<=\s))\s*[0-9]{{3,6}})+$",
    re.IGNORECASE,
)
_MASKS = frozenset("*#?_")
_STAR = re.compile(f"[{STARS}]")
_DOT_RUN = re.compile(f"[{re.escape(_DOTS)}]+")
# Signs that hide a part of a name: a bullet at an end, two other dots or dashes there, any other sign twice, a word of
# x in a Latin name, a repeated Latin letter in a Chinese name (王xx).
_HIDDEN = [
    re.compile(pattern)
    for pattern in (
        rf"^(?:•|[{re.escape(_DOTS)}]{{2,}}|[{_DASHES}]{{2,}})(?=.)|(?<=.)(?:•|[{re.escape(_DOTS)}]{{2,}}|[{_DASHES}]{{2,}})$",
        rf"([^\w\s'{re.escape(_DOTS)}{_DASHES}]|[_〇])\1+",
        rf"(?<={_LETTER}\s)xx+(?!{_LETTER})|(?<!{_LETTER})xx+(?=\s{_LETTER})|(?<=\b[a-z])xxx+(?!{_LETTER})",
        rf"(?<=[a-z])[{re.escape(_DOTS)}]{{2,}}(?=\s)",
        rf"(?<={_HAN})\s?([a-z])(?:\s?\1)+(?![a-z])|(?<![a-z])([a-z])(?:\s?\2)+\s?(?={_HAN})",
    )
]


@cache
def _plain_name() -> str:
    """Matches names in normal form: simplified characters, a dot between parts, stars at the end."""
    cuts = [0x4DFF, *sorted(code for code in simplified() if 0x4E00 <= code < 0xA000), 0xA000]
    runs = ((before + 1, after - 1) for before, after in pairwise(cuts) if after - before > 1)
    plain = "".join(f"{chr(first)}-{chr(last)}" for first, last in runs)
    return rf"^[{plain}]+(?:{_DOT}[{plain}]+)*\**$"


@cache
def simplified() -> dict[int, str]:
    """From traditional to simplified characters, one by one, because a name gives no phrase to choose a form."""
    han = [chr(code) for code in (*range(0x3400, 0xA000), *range(0x20000, 0x2A6E0))]
    folded = opencc.OpenCC("t2s").convert("\n".join(han)).split("\n")
    return {ord(before): after for before, after in zip(han, folded, strict=True) if before != after}


def _fold_all(names: pl.Series) -> pl.Series:
    return pl.Series(names.name, [_fold(name) if name else None for name in names.to_list()], dtype=pl.String)


def _fold(name: str) -> str:
    """The normal form of a name in the form of `clean`."""
    name = _STAR.sub("*", _APPENDED.sub("", name.replace(_DOT_ABOVE, _DOT)).casefold().translate(_ALIKE))
    if any(map(str.isalpha, name)) or not _MASKS.isdisjoint(name):  # dots alone hide nothing
        for hidden in _HIDDEN:
            name = hidden.sub(_stars, name)
    name = _PARTED.sub(_DOT, _ENDS.sub("", name) or name)
    folded = "".join(_DOT_RUN.sub(_DOT, name).split())
    return (folded.strip(_DOT) or folded).translate(simplified())


# Between the parts of a name that is longer than Chinese ones are: a space or a dash, where others write a dot.
_PARTED = re.compile(
    rf"(?<={_HAN}{{2}})(?:\s|\s?[{_DASHES}]\s?)(?={_HAN}{{3}})|(?<={_HAN}{{3}})(?:\s|\s?[{_DASHES}]\s?)(?={_HAN}{{2}})"
)
_ENDS = re.compile(r"^[\s,;:!、]+|[\s,;:!、]+$")


def _stars(run: re.Match[str]) -> str:
    return "*" * len(run[0])


def _repeated(name: str) -> bool:
    return len(name) > 1 and len(set(name)) == 1


# Rare characters of names are written with private-use codes if fonts lack them.
_NOT_LETTERS = re.compile(r"[^\w\ue000-\uf8ff]|[\d_]")


def _bare(name: str) -> bool:
    """Whether nothing, or only a placeholder word, is left without digits and punctuation (测试01, N/A)."""
    letters = _NOT_LETTERS.sub("", name)
    return not letters or letters in placeholders()


@cache
def placeholders() -> frozenset[str]:
    """Words that name nobody; only their letters."""
    return frozenset(_NOT_LETTERS.sub("", _fold(word)) for word in read_terms("names/placeholder.txt"))


@cache
def courtesy() -> Courtesy:
    """Forms of address in place of names."""
    words = [word for word in placeholders() if not word.isascii()]
    return Courtesy(read_terms("names/surnames.txt"), read_terms("names/titles.txt"), words)
