"""Text normalisation shared by the columns on persons.

Nearly all values of a stream are already in normal form. One pattern finds those that are not; only they are rebuilt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import numpy as np
import polars as pl

# The star, and what carriers and keyboards put in its place. U+2022 is left out: in names it is also a letter's dot.
_STARS = "*×∗⁎✱✲✳✻✽●○◯■□█▇★☆"
MASK = f"[{re.escape(_STARS)}•]"
# In a name U+2022 often stands for the middle dot between its parts: only doubled or at an end it hides something.
MASK_NAME = f"[{re.escape(_STARS)}]|••|^•|•$"


def normalised(text: pl.Series, clean: str, repair: Callable[[str], str]) -> pl.Series:
    """`text` with each value that does not match `clean` put through `repair`; empty becomes null."""
    dirty = ~text.str.contains(clean)
    rows = np.flatnonzero(dirty.fill_null(False).to_numpy())
    if len(rows) == 0:
        return text
    repaired = [repair(value) or None for value in text.gather(rows).to_list()]
    if len(rows) == len(text):
        return pl.Series(text.name, repaired, dtype=pl.String)
    return text.clone().scatter(rows, pl.Series(repaired, dtype=pl.String))


def nfkc(text: str) -> str:
    """NFKC; ASCII is its own normal form."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)
