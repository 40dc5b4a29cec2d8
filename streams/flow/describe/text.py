"""Text normalisation for codes and for the columns on persons.

Nearly all values of a stream are in normal form already. One pattern finds those that are not, and only they are
rebuilt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import polars as pl

# Invisible: Unicode's default-ignorable characters (variation selectors, fillers, tags among them), formats, controls.
_INVISIBLE = r"[[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]--\s]"
# U+2800 looks blank, and its class is symbol.
_SPACE = r"[\s\x{2800}]+"
# Exports put this around a value so that spreadsheets treat it as text: '440…, "440…", ="440…".
_QUOTES = r"[\s\p{Quotation_Mark}`´′‵ʹʻʼˈ｀]+"
_EXPORT = rf"^{_QUOTES[:-2]}=＝]+|{_QUOTES}$"

# The star and its replacements by carriers and keyboards: asterisks, crosses, stars, circles, squares, blocks. Used
# inside a character class.
STARS = (
    "*∗⁎⁑⁂٭꙳※⊛⋆"
    "✢✣✤✥✱✲✳✴✵✶✷✸✹✺✻✼✽❂❃❇❈❉❊❋⚹🞯🞰🞱🞲🞳🞴🞵🞶🞷🞸🞹🞺🞻🞼🞽🞾🞿"
    "×✕✖✗✘❌❎╳⨉⨯"
    "★☆✡✦✧✩✪✫✬✭✮✯✰⭐⭑⭒"
    "\u2580-\u25e5\u25e7-\u25ff⚪⚫⬛⬜⬤⭕⭘⚬🔴🔵🔲🔳🟠🟡🟢🟣🟤🟥🟦🟧🟨🟩🟪🟫"
)


BULLET = "•"  # also a star, except in names, where it may be a dot


def clean(text: pl.Series) -> pl.Series:
    """The normal form that all others start from, row by row.

    NFKC, without invisible characters and without the quotes of an export; single spaces, and none at the ends. Empty
    becomes null.
    """
    return (
        text.str.replace_all(_INVISIBLE, "")
        .str.replace_all(_EXPORT, "")
        .str.normalize("NFKC")
        .str.replace_all(_SPACE, " ")
        .str.strip_chars(" ")
        .replace("", None)
    )


def cleaned(text: str) -> str:
    """`clean` of one value; empty if nothing is left."""
    if _PLAIN_CODE.match(text):
        return text
    return str(clean(pl.Series([text], dtype=pl.String)).item() or "")


_PLAIN_CODE = re.compile(r"^[!#-&(-<>-_a-~]+\Z")  # printable ASCII without spaces and quotes


def codes(text: pl.Series) -> pl.Series:
    """`clean` for codes such as outlet_id, nearly all of which are in normal form already. A code that would become
    empty stays as it is."""
    return normalised(text, r"^[!#-&(-<>-_a-~]+$", lambda dirty: dirty).fill_null(text)


def code(text: str) -> str:
    """`codes` of one value."""
    return cleaned(text) or text


def normalised(text: pl.Series, plain: str, finish: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`text` with each value that does not match `plain` put through `clean` and `finish`; empty becomes null."""
    rows = strange(text, plain)
    if len(rows) == 0:
        return text
    repaired = finish(clean(text.gather(rows))).replace("", None)
    return repaired.alias(text.name) if len(rows) == len(text) else text.clone().scatter(rows, repaired)


def strange(text: pl.Series, plain: str) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Rows whose value does not match `plain`."""
    return np.flatnonzero((~text.str.contains(plain)).fill_null(False).to_numpy())


def nfkc(text: str) -> str:
    """NFKC; ASCII is its own normal form."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
