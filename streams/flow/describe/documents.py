"""Identity documents: the forms of their numbers, and the regions that a number can name.

Each form is a dated line of `data/documents.csv`. Only kinds of document with lines there are judged: numbers of
passports, military and other documents have no form that all issuers follow.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from streams.flow.describe.place import CODES, assigned_regions

JUDGED = ("resident_id", "hmt_permit")
# States of a region.
IMPOSSIBLE, UNKNOWN, ASSIGNED = 0, 1, 2

_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class _Document:
    """One line: documents of these sender_id_types, and their numbers from `since` until before `until`.

    check: `form`, the whole number has the form `number`; `gb11643`, it is of 18 characters with a check character, and
    its first six have that form; `adcodes`, these are a code of `adcodes.csv`.
    """

    kinds: frozenset[str]
    check: str
    number: re.Pattern[str]
    lengths: frozenset[int]  # a number of another form and another length has the wrong length
    since: float  # epoch ms
    until: float


def form_of(number: str, kind: str | None, at: int | None = None) -> bool:
    """Whether documents of this sender_id_type have such numbers at `at` (epoch ms; None: at any time).

    Numbers by GB 11643 are not checked here.
    """
    return any(
        kind in document.kinds
        and document.check == "form"
        and (at is None or document.since <= at < document.until)
        and document.number.fullmatch(number)
        for document in _documents()
    )


@cache
def known_lengths(kind: str) -> frozenset[int]:
    """Possible numbers of characters in the numbers of documents of this sender_id_type."""
    return frozenset().union(*(document.lengths for document in _documents() if kind in document.kinds))


@cache
def regions() -> NDArray[np.uint8]:
    """By six-digit code whether a number may begin with it: IMPOSSIBLE, UNKNOWN or ASSIGNED.

    A code that is not in the tables is UNKNOWN if its province exists.
    """
    assigned = assigned_regions()
    province = np.zeros(100, dtype=np.bool_)
    province[assigned[assigned < 900_000] // 10_000] = True
    code = np.arange(CODES)
    known = province[code // 10_000]
    table = np.where(known, UNKNOWN, IMPOSSIBLE).astype(np.uint8)
    for document in _documents():
        if document.check == "gb11643":  # codes of a province are in the tables if numbers begin with them
            table[_of_form(document.number.pattern) & ~known] = ASSIGNED
    # 9 and the province. Nationalities are not checked: a card may outlive its country.
    table[900_000:][~province[code[:100_000] // 1_000]] = IMPOSSIBLE
    table[assigned] = ASSIGNED
    return table


def _of_form(pattern: str) -> NDArray[np.bool_]:
    """Which six-digit codes have this form: six places, each a digit or a class of digits.

    Place by place, as to match all million codes takes a fifth of a second at each start.
    """
    places = re.findall(r"\[[0-9-]+\]|[0-9]", pattern)
    codes = np.zeros((10,) * 6, dtype=np.bool_)
    codes[np.ix_(*([digit for digit in range(10) if re.fullmatch(place, str(digit))] for place in places))] = True
    return codes.reshape(CODES)


@cache
def _documents() -> tuple[_Document, ...]:
    text = (files("streams.flow.describe") / "data" / "documents.csv").read_text(encoding="utf-8")
    return tuple(
        _Document(
            kinds=frozenset(line["sender_id_types"].split()),
            check=line["check"],
            number=re.compile(line["number"], re.ASCII),
            lengths=frozenset(map(int, line["lengths"].split())),
            since=_ms(line["since"], -np.inf),
            until=_ms(line["until"], np.inf),
        )
        for line in csv.DictReader(text.splitlines())
    )


def _ms(day: str, otherwise: float) -> float:
    """The midnight in China at which a day begins, epoch ms; `otherwise` if there is no day."""
    return datetime.fromisoformat(day).replace(tzinfo=_CHINA).timestamp() * 1000 if day else otherwise
