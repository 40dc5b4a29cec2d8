"""Ways to write a goods name, drawn by a seeded generator: `SPELLINGS` keep its characters, `DISGUISES` do not.

None of them is made from the pipeline's tables, so that what they prove is not merely that a table has an inverse:
other characters of the same sound come from the common characters of GB 2312, wrong letters from chance.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import opencc
from pypinyin import Style, lazy_pinyin

Trick = Callable[[random.Random, str], str]

_LATIN_STYLES = (0x1D400, 0x1D468, 0x1D5A0, 0x1D5D4, 0x1D608, 0x1D670)  # mathematical capitals; small: +26
_TWINS = {"a": "аɑα", "c": "сϲ", "d": "ԁ", "e": "еε", "h": "һн", "i": "іι", "k": "кκ", "m": "м", "n": "п", "o": "оοσ",
          "p": "рρ", "s": "ѕ", "t": "тτ", "u": "υ", "v": "ν", "x": "хχ", "y": "уγ"}  # fmt: skip
_MARKS = "\u0300\u0301\u0302\u0303\u0308\u0323\u0327\u0331\u0335\u0336\u0338\u20dd\ufe0f"
_SEPARATORS = (
    " ",
    "　",
    ".",
    "·",
    "-",
    "—",
    "_",
    "/",
    "*",
    "|",
    "、",
    "~",
    "#",
    "+",
    "，",
    "=",
    "…",
    "★",
    "】【",
    " . ",
)
_UNSEEN = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u3164", "\u180e", "\u2063", "\u202e", "\u034f")
_EMOJI = ("❄️", "🔥", "💊", "🌿", "😀", "👍🏻", "❤️", "🧪", "👨‍👩‍👧", "✨", "🍁", "1️⃣"[1:], "☠️", "➕")  # fmt: skip
_BEFORE = ("", "", "", "", "纯", "代发", "高品质", "【特价】", "进口", "5g ")
_AFTER = ("", "", "", "", "5克", " 10g", "*2", "样", "（散装）", " 1包", "，勿压")
_HAN = re.compile(r"[\u3400-\u9fff]")


def full_width(rng: random.Random, name: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in _cased(rng, name))


def other_alphabet(rng: random.Random, name: str) -> str:
    first = rng.choice(_LATIN_STYLES)
    return "".join(chr(first + 26 + ord(char) - ord("a")) if "a" <= char <= "z" else char for char in name)


def traditional(rng: random.Random, name: str) -> str:
    return str(_opencc(rng.choice(("s2t", "s2tw", "s2hk"))).convert(name))


def twin_letters(rng: random.Random, name: str) -> str:
    return "".join(rng.choice(_TWINS[char]) if char in _TWINS and rng.random() < 0.6 else char for char in name)


def marked(rng: random.Random, name: str) -> str:
    return "".join(char + rng.choice(_MARKS) if rng.random() < 0.7 else char for char in name)


def separated(rng: random.Random, name: str) -> str:
    return _between(rng, name, _SEPARATORS)


def unseen(rng: random.Random, name: str) -> str:
    return _between(rng, name, _UNSEEN)


def emoji(rng: random.Random, name: str) -> str:
    return _between(rng, name, _EMOJI)


def homophone(rng: random.Random, name: str) -> str:
    """One character in three, but at least one, becomes another common one of the same sound."""
    for place in rng.sample(range(len(name)), max(1, len(name) // 3)):
        others = _common_by_sound()[_sound(name[place])]
        if others - {name[place]}:
            name = name[:place] + rng.choice(sorted(others - {name[place]})) + name[place + 1 :]
    return name


def pinyin(rng: random.Random, name: str) -> str:
    style = rng.choice((Style.NORMAL, Style.NORMAL, Style.TONE, Style.TONE3))
    return _cased(rng, rng.choice(("", " ", " ", "-", "'")).join(lazy_pinyin(name, style=style)))


def half_pinyin(rng: random.Random, name: str) -> str:
    place = rng.randrange(len(name))
    return name[:place] + _cased(rng, _sound(name[place])) + name[place + 1 :]


def initials(rng: random.Random, name: str) -> str:
    return _cased(rng, "".join(lazy_pinyin(name, style=Style.FIRST_LETTER)))


def swapped(rng: random.Random, name: str) -> str:
    place = rng.randrange(len(name) - 1)
    return name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def filled(rng: random.Random, name: str) -> str:
    return _between(rng, name, ("x", "1", "a", "0", "K", "v", "00"))


def doubled(rng: random.Random, name: str) -> str:
    return "".join(char * rng.choice((1, 2, 2)) for char in name)


def misspelt(rng: random.Random, name: str) -> str:
    """One letter wrong, left out, too many, or swapped with the next."""
    place = rng.randrange(len(name) - 1)
    letter = rng.choice("abcdefghijklmnopqrstuvwxyz")
    kept, rest = name[:place], name[place + 1 :]
    return rng.choice((kept + letter + rest, kept + rest, kept + letter + name[place:], swapped(rng, name)))


def digits_for_letters(rng: random.Random, name: str) -> str:
    twins = {"o": "0", "i": "1", "e": "3", "a": "4", "s": "5"}
    return "".join(twins[char] if char in twins and rng.random() < 0.6 else char for char in name)


def in_words(rng: random.Random, name: str) -> str:
    """With what people write around a name."""
    return rng.choice(_BEFORE) + name + rng.choice(_AFTER)


SPELLINGS: tuple[Trick, ...] = (
    full_width, other_alphabet, traditional, twin_letters, marked, separated, unseen, emoji,
)  # fmt: skip
DISGUISES: tuple[Trick, ...] = (homophone, pinyin, half_pinyin, initials, swapped, filled, doubled)
DISGUISES_LATIN: tuple[Trick, ...] = (misspelt, digits_for_letters, swapped)


def _between(rng: random.Random, name: str, what: tuple[str, ...]) -> str:
    one = rng.choice(what)
    gaps = [one if rng.random() < 0.7 else "" for _ in name[1:]]
    if gaps and not any(gaps):
        gaps[0] = one
    return name[:1] + "".join(gap + char for gap, char in zip(gaps, name[1:], strict=True))


def _cased(rng: random.Random, name: str) -> str:
    return rng.choice((name, name.upper(), name.title()))


def _sound(char: str) -> str:
    return lazy_pinyin(char)[0] if _HAN.match(char) else char


@cache
def _common_by_sound() -> dict[str, set[str]]:
    """The 3,755 characters of level 1 of GB 2312, by their sound."""
    by_sound: dict[str, set[str]] = defaultdict(set)
    for row in range(0xB0, 0xD8):
        for cell in range(0xA1, 0xFF):
            char = bytes((row, cell)).decode("gb2312", errors="ignore")
            if char:
                by_sound[_sound(char)].add(char)
    return by_sound


@cache
def _opencc(name: str) -> opencc.OpenCC:
    return opencc.OpenCC(name)
