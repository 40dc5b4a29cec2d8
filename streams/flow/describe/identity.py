"""Identity numbers: normal form, masking, and whether a number can exist.

Resident ID (GB 11643): 6 region + 8 birth date + 3 order + check (ISO 7064 MOD 11-2). The forms of other documents are
lines of `data/documents.csv`, see `streams.flow.describe.documents`. A region counts as assigned if it ever was: people
keep the number of a county that was dissolved, and may get the number of a county that is younger than they are. A
region that is not in the table may exist; whether such a number is valid is not known.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streams.flow.describe.documents import ASSIGNED, IMPOSSIBLE, JUDGED, form_of, known_lengths, regions
from streams.flow.describe.text import BULLET, STARS, clean, strange
from streams.flow.layout import ID_FAULTS

LENGTH = 18
PREFIX = "^([0-9]{14})"  # region and birth date: numbers that are made up together share them
AGE_YEARS_MAX = 110
CHINA_TIME_MS = 8 * 3_600_000  # UTC+8 all year

_FAULT = {name: code for code, name in enumerate(ID_FAULTS)}
_NO_FAULT: Final = len(ID_FAULTS)

# Matches numbers in normal form, masked or not; all others are read one by one.
_PLAIN = r"^(?:[0-9]+X?|[HM][0-9]+|[0-9]{1,16}\*[0-9*]*X?)$"
_SEPARATORS = r"[\s\p{Pd}\x{2043}\x{2212}_·]+"
_DASH_RUN = r"[\p{Pd}\x{2043}\x{2212}_·]{2,}"  # one parts, more hide
# A spreadsheet that took it for a number has lost digits: 3.70102E+17, 370102199001012000.0.
_ROUNDED = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]{1,2}|[0-9]{15,}\.0+")
# Crosses for a final X; and letters of other scripts for those that numbers of documents begin or end with.
_CROSSED = re.compile(r"([0-9]{17})[×✕✖✗✘❌❎╳⨉⨯]")
_LETTERS = str.maketrans("ХΧНΗМΜ", "XXHHMM")
# What people and exports write around a number: 身份证号:440…, ID: 440…, (440…), 440…(身份证), 440…,
_OPEN, _CLOSE = r"[(\[{【<《「]*", r"[)\]}】>》」]*"
_LABEL = r"(?:居民|中国|第?二代|临时)*(?:身[份分][证證]件?|居住[证證]|通行[证證]|[证證]件|护照|護照)[号號]?[码碼]?"
_LATIN = r"(?:(?:ID|IDCARD|SFZ|PASSPORT)(?:NO|NUMBER)?|NO)(?:[:.#=]|(?=[0-9]{17}[0-9X]))"
_LABELLED = re.compile(
    rf"{_OPEN}(?:{_LABEL}[:.#=,]?|{_LATIN})?{_CLOSE}{_OPEN}([^(\[{{【<《「)\]}}】>》」:,;、。\u3400-\u9fff]+?)"
    rf"(?:[,;、。]|(?<!\.)\.)?{_CLOSE}(?:{_OPEN}{_LABEL}{_CLOSE})?"
)
# Words in place of what is hidden: 440103[隐藏]1235.
_HIDING = re.compile(
    rf"{_OPEN}(?:[已被]?(?:隐藏|隱藏|隐去|脱敏|屏蔽|遮挡|加密)|保密|保护|HIDDEN|MASKED|REDACTED){_CLOSE}"
)
_PARTS = re.compile(r"(?<=[0-9])[./](?=[0-9])")  # 440000.19900101.0010
_STAR = re.compile(f"[{STARS}{BULLET}]")
_SIGN_RUN = re.compile(r"([^\dA-Z])\1+")
_LETTER_RUN = re.compile(r"([A-Z])\1+")
_X_RUN_MIN = 4  # of a number that may hold an X: shorter runs occur in numbers of passports and enterprises

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)  # by weighted sum modulo 11
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def describe_ids(id_no: pl.Series, id_type: pl.Series, picked_up_at: pl.Series) -> pl.DataFrame:
    """Columns of identity numbers, row by row. `picked_up_at` is epoch ms UTC.

    id_norm (String): NFKC, without invisible characters, spaces and hyphens, upper case; stars where a part is hidden;
    null if nothing is left.
    id_masked (Boolean): part of it is hidden: a star or what looks like one, or one character repeated that such a
    number cannot hold.
    id_valid (Boolean): the number can exist. Null unless it is given in full and `id_type` is resident_id or
    hmt_permit; also null if its only fault is an unknown region, or if `picked_up_at` is null.
    id_fault (UInt8): what is wrong with a number that cannot exist, as a position of `ID_FAULTS`; null where id_valid
    is not false.
    id_prefix14 (String): region and birth date of a resident ID, valid or not, that begins with 14 digits; else null.
    """
    kind = id_type.cast(pl.String)
    norm = _normal(id_no, kind)
    # One query for everything: at some thousand rows a further query takes as long as its rows.
    frame = pl.DataFrame({"norm": norm, "type": kind}).select_seq(
        "norm",
        masked=pl.col("norm").str.contains("*", literal=True).fill_null(False),
        length=pl.col("norm").str.len_bytes().fill_null(0),
        resident=(pl.col("type") == "resident_id").fill_null(False),
        judged=pl.col("type").is_in(JUDGED).fill_null(False),
        prefix=pl.col("norm").str.extract(PREFIX, 1),
    )
    length = frame["length"].to_numpy()
    judged = frame["judged"].to_numpy() & (length > 0) & ~frame["masked"].to_numpy()

    fault = np.full(len(norm), _NO_FAULT, dtype=np.uint8)
    fault[judged] = _FAULT["length"]
    undecided = ~judged
    rows = np.flatnonzero(judged & (length == LENGTH))
    dated = picked_up_at.is_not_null().to_numpy()
    fault[rows], unknown = _faults(*_matrix(norm.gather(rows)), picked_up_at.fill_null(0).to_numpy()[rows], dated[rows])
    undecided[rows] = unknown
    others = np.flatnonzero(judged & ~undecided & (fault != _NO_FAULT) & (length != LENGTH))
    if len(others):
        fault[others] = _faults_of_forms(norm.gather(others), kind.gather(others), picked_up_at.gather(others))
    return frame.with_columns(fault=pl.Series(fault), undecided=pl.Series(undecided)).select_seq(
        id_norm="norm",
        id_masked="masked",
        id_valid=pl.when(~pl.col("undecided")).then(pl.col("fault") == _NO_FAULT),
        id_fault=pl.when(~pl.col("undecided"), pl.col("fault") != _NO_FAULT).then("fault"),
        id_prefix14=pl.when("resident", ~pl.col("masked")).then("prefix"),
    )


def _normal(id_no: pl.Series, kind: pl.Series) -> pl.Series:
    rows = strange(id_no, _PLAIN)
    if len(rows) == 0:
        return id_no
    bare = clean(id_no.gather(rows)).str.replace_all(_DASH_RUN, "**").str.replace_all(_SEPARATORS, "")
    bare = bare.str.to_uppercase()
    read = [_read(number, its) if number else None for number, its in zip(bare, kind.gather(rows), strict=True)]
    return id_no.clone().scatter(rows, pl.Series(read, dtype=pl.String))


def _read(number: str, kind: str | None) -> str:
    """The normal form of a number without separators."""
    number = _HIDING.sub("**", number.translate(_LETTERS))
    if labelled := _LABELLED.fullmatch(number):
        number = labelled[1]
    if _ROUNDED.fullmatch(number):
        return "*" * len(number)
    number = _PARTS.sub("", number)
    if crossed := _CROSSED.fullmatch(number):
        return crossed[1] + "X"
    number = _SIGN_RUN.sub(_stars, _STAR.sub("*", number))
    if kind in JUDGED:
        return number if form_of(number, kind) else _LETTER_RUN.sub(_stars, number)
    lone = kind != "uscc" and not re.search("[A-WYZ]", number)
    return re.sub(f"X{{{2 if lone else _X_RUN_MIN},}}", _stars, number)


def _stars(run: re.Match[str]) -> str:
    return "*" * len(run[0])


def _matrix(numbers: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Numbers of 18 bytes each as 17 columns of digits (above 9: not a digit) and the check character."""
    if len(numbers) == 0:
        return np.empty((0, LENGTH - 1), dtype=np.uint8), np.empty(0, dtype=np.uint8)
    joined = numbers.str.join("").item().encode()
    matrix = np.frombuffer(joined, dtype=np.uint8).reshape(-1, LENGTH)
    return matrix[:, :-1] - np.uint8(ord("0")), matrix[:, -1]


def _faults(
    digits: NDArray[np.uint8], check: NDArray[np.uint8], picked_up_at: NDArray[np.int64], dated: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The first fault of each number of 18 characters, and which have no known fault but are not fully known.

    picked_up_at: epoch ms where `dated`; elsewhere the age is not checked.
    """
    numeric = np.all(digits <= 9, axis=1)
    safe = np.where(numeric[:, None], digits, 0)
    expected = _CHECKS[(safe @ np.array(_WEIGHTS, dtype=np.int64)) % 11]
    year, month, day = _birth(safe)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _MONTH_DAYS[np.where(month <= 12, month, 0)] + (leap & (month == 2))
    # Dates as the number YYYYMMDD: they sort by time, and 110 years are 1,100,000.
    birth, pickup = year * 10_000 + month * 100 + day, _china_date(picked_up_at)
    region = regions()[_value(safe[:, :6])]
    wrong = {
        "characters": ~numeric | ~((check - np.uint8(ord("0")) <= 9) | (check == ord("X"))),
        "region": region == IMPOSSIBLE,
        "date": (day < 1) | (day > days),
        "future": dated & (birth > pickup),
        "too_old": dated & (birth + AGE_YEARS_MAX * 10_000 < pickup),
        "check_digit": expected != check,
    }
    fault = np.select(list(wrong.values()), [_FAULT[name] for name in wrong], _NO_FAULT).astype(np.uint8)
    return fault, (fault == _NO_FAULT) & ((region != ASSIGNED) | ~dated)


def _faults_of_forms(numbers: pl.Series, kinds: pl.Series, picked_up_at: pl.Series) -> list[int]:
    """The faults of numbers with another length than 18, by the forms of their kind of document at pickup."""
    faults = []
    for number, kind, at in zip(numbers, kinds, picked_up_at, strict=True):
        if form_of(number, kind, at):
            faults.append(_NO_FAULT)
        else:
            faults.append(_FAULT["characters" if len(number) in known_lengths(kind) else "length"])
    return faults


def _china_date(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """The date in China at these times (epoch ms), as the number YYYYMMDD."""
    date = (at + CHINA_TIME_MS).astype("datetime64[ms]").astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    months = month.astype(np.int64)
    day: NDArray[np.int64] = (date - month).astype(np.int64) + 1
    return (1970 + months // 12) * 10_000 + (months % 12 + 1) * 100 + day


def _birth(digits: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    return _value(digits[:, 6:10]), _value(digits[:, 10:12]), _value(digits[:, 12:14])


def _value(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Rows of decimal digits as numbers."""
    value: NDArray[np.int64] = digits @ 10 ** np.arange(digits.shape[1] - 1, -1, -1)
    return value
