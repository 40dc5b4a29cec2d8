"""Synthetic persons: name, phone and ID number as functions of a slot number, so nothing is stored or drawn twice.

No value can belong to anyone: phones lie in the ranges 154 and 168, which were never assigned to subscribers, and ID
numbers have the region of a whole province, which is never issued to a person. Both pass the checks of form and check
digit. Distinct slots have distinct phones (up to 200 million) and ID numbers (up to 600 million).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Slots = NDArray[np.int64]

# The most common surnames; given characters share none with them, so that no full name repeats one character.
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红梅建国志文辉鹏飞宇浩然欣怡子轩梓涵雨婷佳琪思远晨阳博雅俊豪诗晓云海春秋冬夏青松柏荣庆德仁义信诚嘉慧"  # noqa: E501

PROVINCES = np.array(
    [11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
     64, 65],
    dtype=np.int64,
)  # fmt: skip
BIRTH_FIRST = np.datetime64("1950-01-01")
BIRTH_DAYS = 20_000  # until 2004-10; later dates are left to planted cases
ORDERS = 999
PHONES = 200_000_000

_ID_WEIGHTS = np.array([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], dtype=np.int64)  # GB 11643
_ID_CHECK = np.array(list("10X98765432"))
# Multipliers without a common factor with the sizes of the two spaces, so that slot -> number is one to one.
_PHONE_STEP = 73_939_133
_ID_STEP = 452_930_477


def mix(slots: Slots, salt: int) -> NDArray[np.uint64]:
    """64 well-mixed bits per slot (splitmix64); another salt gives unrelated bits."""
    x = slots.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def choose(slots: Slots, salt: int, count: int) -> NDArray[np.int64]:
    """One of `count` per slot, evenly."""
    return (mix(slots, salt) % np.uint64(count)).astype(np.int64)


def unit(slots: Slots, salt: int) -> NDArray[np.float64]:
    """One number in [0, 1) per slot, evenly."""
    return (mix(slots, salt) >> np.uint64(11)).astype(np.float64) / float(2**53)


class People:
    """The population of one seed.

    first: added to every slot. Populations of one seed whose slots do not meet share no phone and no ID number.
    """

    def __init__(self, seed: int, first: int = 0) -> None:
        self._seed = seed
        self._first = first
        self._offset = int(mix(np.array([seed], dtype=np.int64), 1)[0] % np.uint64(PHONES))
        self._surnames = pl.Series(list(SURNAMES))
        self._given = pl.Series([*GIVEN, ""])

    def phones(self, slots: Slots) -> pl.Series:
        """Mobile numbers, 11 digits."""
        number = ((slots + self._first) * _PHONE_STEP + self._offset) % PHONES
        digits = pl.Series(number % 100_000_000).cast(pl.String).str.zfill(8)
        return pl.Series(np.where(number < 100_000_000, "154", "168")) + digits

    def ids(self, slots: Slots) -> pl.Series:
        """Resident ID numbers, 18 characters, valid by GB 11643."""
        number = ((slots + self._first) * _ID_STEP + self._offset) % (len(PROVINCES) * BIRTH_DAYS * ORDERS)
        order = number % ORDERS + 1
        day = number // ORDERS % BIRTH_DAYS
        province = PROVINCES[number // ORDERS // BIRTH_DAYS]
        return id_numbers(province * 10_000, BIRTH_FIRST + day.astype("timedelta64[D]"), order)

    def names(self, slots: Slots) -> pl.Series:
        """Full names of two or three characters."""
        slots = slots + self._first
        salt = self._seed + 2
        last = len(self._given) - 1
        second = np.where(unit(slots, salt + 2) < 0.8, choose(slots, salt + 3, last), last)
        return (
            self._surnames.gather(choose(slots, salt, len(self._surnames)))
            + self._given.gather(choose(slots, salt + 1, last))
            + self._given.gather(second)
        )


def id_numbers(region: NDArray[np.int64], birth: NDArray[np.datetime64], order: NDArray[np.int64]) -> pl.Series:
    """18-character resident ID numbers with the right check digit (GB 11643, ISO 7064 MOD 11-2).

    region: six digits; birth: dates; order: 1..999.
    """
    date = pl.Series(birth.astype("datetime64[D]")).dt.strftime("%Y%m%d").cast(pl.Int64).to_numpy()
    body = region * 10**11 + date * 1_000 + order
    digits = body[:, None] // 10 ** np.arange(16, -1, -1, dtype=np.int64) % 10
    return pl.Series(body).cast(pl.String) + pl.Series(_ID_CHECK[digits @ _ID_WEIGHTS % 11])


def masked_names(names: pl.Expr) -> pl.Expr:
    """Names as waybills show them: 王**."""
    return names.str.slice(0, 1) + "**"


def masked_phones(phones: pl.Expr) -> pl.Expr:
    """Phones as waybills show them: 154****1907."""
    return phones.str.slice(0, 3) + "****" + phones.str.slice(7)


def masked_ids(ids: pl.Expr) -> pl.Expr:
    """ID numbers as some registers show them: 440000********1234."""
    return ids.str.slice(0, 6) + "********" + ids.str.slice(14)
