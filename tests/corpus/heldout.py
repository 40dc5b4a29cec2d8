"""Variants that nothing was tuned on: written by rules from names that everybody knows, and only counted.

The names and the rules were written down before the search was run on them, without its lists; what is not found is
not looked at, so that the figure says how it does on someone else's tricks. Change neither to better the figure.
"""

from __future__ import annotations

import random
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache

import opencc
from pypinyin import Style, lazy_pinyin

PER_RULE = 60

_words = str.split

CHINESE = _words(
    "冰毒 大麻 鸦片 吗啡 罂粟 海洛因 可卡因 氯胺酮 甲基苯丙胺 摇头丸 麻古 芬太尼 依托咪酯 甲卡西酮 三唑仑 杜冷丁 "
    "美沙酮 曲马多 可待因 安非他命 麻黄素 麻黄碱 羟亚胺 安钠咖 丁丙诺啡 艾司唑仑 阿普唑仑 氟硝西泮 地西泮 右美沙芬 "
    "苯丙胺 恰特草 高锰酸钾 邻氯苯基环戊酮 大麻叶 罂粟壳"
)
LATIN = _words(
    "heroin cocaine ketamine fentanyl methamphetamine amphetamine morphine codeine cannabis marijuana etomidate "
    "mephedrone diazepam alprazolam tramadol oxycodone ephedrine carfentanil"
)

_HALVES = dict(
    pair.split("=")
    for pair in _words(
        "冰=冫水 海=氵每 洛=氵各 胺=月安 酮=酉同 吗=口马 啡=口非 鸦=牙鸟 麻=广林 酯=酉旨 咪=口米 托=扌乇 唑=口坐 "
        "碱=石咸 氯=气录 羟=羊圣 粟=西米 仑=人匕 钾=钅甲 锰=钅孟 酸=酉夋 摇=扌䍃 芬=艹分 古=十口 冷=冫令 钠=钅内"
        " 咖=口加"
    )
)
_LOOK = {"a": "@4а", "o": "0о", "i": "1і", "e": "3е", "s": "5$", "c": "с", "p": "р", "t": "7", "l": "1"}
_GAPS = " .-_*/|·、~+=#^&:;,'\"!?()<>[]{}…—～。，《》「」■●▲→\u200b\u200c\u2060\ufeff\u00ad\u3000"
_PICTURES = "🔥💊🌿✨❤⭐🍀🎈🚚📦🐎☘"
_AROUND = ("{}", "{}", "{}", "{} 5g", "{}10克", "纯{}", "出{}", "{}样品", "1包{}", "{}（散）")


def heldout() -> Iterator[tuple[str, str]]:
    """Variants with the rule that each is written by. The same ones each time."""
    rng = random.Random(729)
    for rule, names in RULES.items():
        seen: set[str] = set()
        for _ in range(PER_RULE * 30):
            name = rng.choice(names)
            variant = rule(rng, name)
            if variant.casefold() != name and variant not in seen:
                seen.add(variant)
                yield rule.__name__, rng.choice(_AROUND).format(variant)
            if len(seen) == PER_RULE:
                break


def one_homophone(rng: random.Random, name: str) -> str:
    place = rng.randrange(len(name))
    others = sorted(_by_sound()[_sound(name[place])] - {name[place]})
    return name[:place] + rng.choice(others) + name[place + 1 :] if others else name


def pinyin_whole(rng: random.Random, name: str) -> str:
    joint = rng.choice(("", "", " ", "-", "."))
    cased = rng.choice((str.lower, str.upper, str.title))
    return cased(joint.join(lazy_pinyin(name, style=rng.choice((Style.NORMAL, Style.NORMAL, Style.TONE)))))


def one_in_pinyin(rng: random.Random, name: str) -> str:
    place = rng.randrange(len(name))
    return name[:place] + rng.choice((str.lower, str.upper))(_sound(name[place])) + name[place + 1 :]


def halves(rng: random.Random, name: str) -> str:
    places = [place for place, char in enumerate(name) if char in _HALVES]
    if not places:
        return name
    chosen = set(rng.sample(places, rng.randint(1, len(places))))
    return "".join(_HALVES[char] if place in chosen else char for place, char in enumerate(name))


def old_characters(rng: random.Random, name: str) -> str:
    return str(_traditional().convert(name))


def gaps(rng: random.Random, name: str) -> str:
    return rng.choice(_GAPS).join(name) if rng.random() < 0.5 else "".join(char + rng.choice(_GAPS) for char in name)


def pictures(rng: random.Random, name: str) -> str:
    place = rng.randrange(1, len(name))
    return name[:place] + rng.choice(_PICTURES) + name[place:]


def figures_between(rng: random.Random, name: str) -> str:
    place = rng.randrange(1, len(name))
    return name[:place] + rng.choice("0123456789xXvVaAoO") + name[place:]


def backwards(rng: random.Random, name: str) -> str:
    return name[::-1]


def wide(rng: random.Random, name: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in name.upper())


def look_alikes(rng: random.Random, name: str) -> str:
    return "".join(rng.choice(_LOOK[char]) if char in _LOOK and rng.random() < 0.5 else char for char in name)


def accents(rng: random.Random, name: str) -> str:
    return "".join(unicodedata.normalize("NFC", char + rng.choice("\u0301\u0300\u0308\u0327")) for char in name)


def one_letter_off(rng: random.Random, name: str) -> str:
    place = rng.randrange(1, len(name))
    letter = rng.choice("aeiouylnmrst")
    return rng.choice((name[:place] + letter + name[place:], name[:place] + name[place + 1 :]))


def by_ear(rng: random.Random, name: str) -> str:
    for written, heard in (("ph", "f"), ("c", "k"), ("y", "i"), ("x", "ks"), ("ne", "n")):
        name = name.replace(written, heard)
    return name


def gap_and_homophone(rng: random.Random, name: str) -> str:
    return gaps(rng, one_homophone(rng, name))


def old_and_gap(rng: random.Random, name: str) -> str:
    return gaps(rng, old_characters(rng, name))


_LONG = [name for name in CHINESE if len(name) > 2]
_LONG_LATIN = [name for name in LATIN if len(name) > 6]

RULES: dict[Callable[[random.Random, str], str], list[str]] = {
    one_homophone: CHINESE, pinyin_whole: CHINESE, one_in_pinyin: CHINESE, halves: CHINESE, old_characters: CHINESE,
    gaps: CHINESE + LATIN, pictures: CHINESE + LATIN, figures_between: CHINESE, backwards: CHINESE + LATIN, wide: LATIN,
    look_alikes: LATIN, accents: LATIN, one_letter_off: _LONG_LATIN, by_ear: LATIN, gap_and_homophone: _LONG,
    old_and_gap: CHINESE,
}  # fmt: skip


def _sound(char: str) -> str:
    return lazy_pinyin(char)[0]


@cache
def _by_sound() -> dict[str, set[str]]:
    """The characters of level 1 of GB 2312 by their sound: those that a phone offers first."""
    by_sound: dict[str, set[str]] = defaultdict(set)
    for lead in range(0xB0, 0xD8):
        for trail in range(0xA1, 0xFF):
            if char := bytes((lead, trail)).decode("gb2312", errors="ignore"):
                by_sound[_sound(char)].add(char)
    return by_sound


@cache
def _traditional() -> opencc.OpenCC:
    return opencc.OpenCC("s2hk")
