"""Identity numbers: normal form, masking, and whether a number can exist.

Resident ID (GB 11643): 6 region + 8 birth date + 3 order + check (ISO 7064 MOD 11-2). Of the same form are the
residence permits of Hong Kong, Macau and Taiwan residents (810000, 820000, 830000) and the foreigner's permanent
residence card (9 + 2 province + 3 nationality). A region that was ever assigned is assigned: people keep the number of
a county that was dissolved, and are renumbered into one that is younger than they are.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.flow.describe.place import CODES, assigned_regions
from streams.flow.describe.text import MASK, nfkc, normalised

LENGTH = 18
PREFIX = "^([0-9]{14})"  # region and birth date: what numbers made up in one sitting share
AGE_YEARS_MAX = 110
CHINA_TIME_MS = 8 * 3_600_000  # UTC+8 all year

RESIDENCE_PERMITS = (810_000, 820_000, 830_000)
# Travel permits: Hong Kong and Macau H/M and 8 digits, with 2 of the issue on older ones; Taiwan 8 digits, formerly 10.
TRAVEL_PERMIT = r"^(?:[HM][0-9]{8}(?:[0-9]{2})?|[0-9]{8}|[0-9]{10})$"

# Unicode's dashes and spaces, the minus, the soft and bullet hyphens, and what is a space by name but not by class.
_SEPARATORS = re.compile(
    r"[\s\-\u00ad\u058a\u05be\u1400\u1806\u180e\u200b\u200c\u200d\u2010-\u2015\u2043\u2060\u2212\u2e17\u2e1a\u2e3a\u2e3b"
    r"\u2e40\u2e5d\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\ufeff\uff0d\U00010d6e\U00010ead]+"
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)  # by weighted sum modulo 11
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def describe_ids(id_no: pl.Series, id_type: pl.Series, picked_up_at: pl.Series) -> pl.DataFrame:
    """Columns of identity numbers, row by row. `picked_up_at` is epoch ms UTC.

    id_norm (String): NFKC, spaces and hyphens removed, upper case; null if nothing is left.
    id_masked (Boolean): part of it is hidden.
    id_valid (Boolean): the number can exist. Null unless it is given in full and `id_type` is resident_id or
    hmt_permit; also null if all but its age is right and `picked_up_at` is null.
    id_prefix14 (String): region and birth date of a resident ID, valid or not, that begins with 14 digits; else null.
    """
    norm = normalised(id_no, r"^[0-9A-Z*]+$", _repair)
    # One query for all that polars does: at batches of some thousand rows each further one costs as much as its rows.
    frame = pl.DataFrame({"norm": norm, "type": id_type.cast(pl.String)}).select_seq(
        "norm",
        masked=pl.col("norm").str.contains(MASK).fill_null(False),
        length=pl.col("norm").str.len_bytes().fill_null(0),
        resident=(pl.col("type") == "resident_id").fill_null(False),
        permit=(pl.col("type") == "hmt_permit").fill_null(False),
        prefix=pl.col("norm").str.extract(PREFIX, 1),
    )
    length = frame["length"].to_numpy()
    given = (length > 0) & ~frame["masked"].to_numpy()
    resident = frame["resident"].to_numpy() & given
    permit = frame["permit"].to_numpy() & given

    rows = np.flatnonzero((resident | permit) & (length == LENGTH))
    digits, check = _matrix(norm.gather(rows))
    pickup = picked_up_at.gather(rows)
    can_exist = _number_exists(digits, check)
    valid = np.zeros(len(norm), dtype=np.bool_)
    valid[rows] = can_exist & _age_possible(digits, pickup.fill_null(0).to_numpy())
    if permit.any():
        valid |= permit & norm.str.contains(TRAVEL_PERMIT).fill_null(False).to_numpy()
    undecided = ~(resident | permit)
    if pickup.null_count():
        undecided[rows[can_exist & pickup.is_null().to_numpy()]] = True
    return frame.with_columns(valid=pl.Series(valid), undecided=pl.Series(undecided)).select_seq(
        id_norm="norm",
        id_masked="masked",
        id_valid=pl.when(~pl.col("undecided")).then("valid"),
        id_prefix14=pl.when("resident", ~pl.col("masked")).then("prefix"),
    )


def _repair(number: str) -> str:
    # Upper case can undo NFKC only outside ASCII, where no valid number lives.
    return _SEPARATORS.sub("", nfkc(number)).upper()


def _matrix(numbers: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Numbers of 18 bytes each as 17 columns of digits (above 9: not a digit) and the check character."""
    if len(numbers) == 0:
        return np.empty((0, LENGTH - 1), dtype=np.uint8), np.empty(0, dtype=np.uint8)
    joined = numbers.str.join("").item().encode()
    matrix = np.frombuffer(joined, dtype=np.uint8).reshape(-1, LENGTH)
    return matrix[:, :-1] - np.uint8(ord("0")), matrix[:, -1]


def _number_exists(digits: NDArray[np.uint8], check: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Characters, region, calendar date and check character are right."""
    numeric: NDArray[np.bool_] = np.all(digits <= 9, axis=1)
    safe = np.where(numeric[:, None], digits, 0)
    right = _CHECKS[(safe @ np.array(_WEIGHTS, dtype=np.int64)) % 11] == check
    year, month, day = _birth(safe)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _MONTH_DAYS[np.where(month <= 12, month, 0)] + (leap & (month == 2))
    real = (day >= 1) & (day <= days)
    exists: NDArray[np.bool_] = numeric & right & real & regions()[_value(safe[:, :6])]
    return exists


def _age_possible(digits: NDArray[np.uint8], picked_up_at: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Born not after the pickup's date in China, and not more than 110 years before it."""
    date = (picked_up_at + CHINA_TIME_MS).astype("datetime64[ms]").astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    months = month.astype(np.int64)
    # Dates as the number YYYYMMDD: their order is that of time, and 110 years are 1,100,000.
    pickup = (1970 + months // 12) * 10_000 + (months % 12 + 1) * 100 + (date - month).astype(np.int64) + 1
    year, month_no, day = _birth(digits)
    birth = year * 10_000 + month_no * 100 + day
    possible: NDArray[np.bool_] = (birth <= pickup) & (birth + AGE_YEARS_MAX * 10_000 >= pickup)
    return possible


def _birth(digits: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    return _value(digits[:, 6:10]), _value(digits[:, 10:12]), _value(digits[:, 12:14])


def _value(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Rows of decimal digits as numbers."""
    value: NDArray[np.int64] = digits @ 10 ** np.arange(digits.shape[1] - 1, -1, -1)
    return value


@cache
def regions() -> NDArray[np.bool_]:
    """For each six-digit code, whether a number may begin with it."""
    assigned = assigned_regions()
    table = np.zeros(CODES, dtype=np.bool_)
    table[assigned] = True
    table[list(RESIDENCE_PERMITS)] = True
    # Nationalities are not checked against today's list: countries end, and a card outlives them.
    provinces = np.unique(assigned[assigned < 900_000] // 10_000)
    table[(900_000 + provinces[:, None] * 1_000 + np.arange(1_000)).ravel()] = True
    return table
