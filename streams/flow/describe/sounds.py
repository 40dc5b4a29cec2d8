"""Terms by their sound: homophones, pinyin, and both mixed with the characters of the term (氯按铜, lv an tong, 冰du).

A name is rewritten in letters: each Chinese character as its most common reading without tone, each Latin letter as it
is. Then it is searched for the pinyin of the terms. Sound alone is weak evidence, because there are few syllables (冰毒
and 病毒 sound alike); `_worth` says how much it counts.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import ahocorasick

from streams.flow.describe.lexicon import Hit, cuts
from streams.flow.describe.spelling import LATIN, breaks

# What finding something is worth: it is the term; it may be, and is if it is all there is to the name; it is the term,
# or may be, if it is all there is to the name, and else it is nothing.
DISGUISED, HINTED, ALONE, FAINT = "disguised", "hinted", "alone", "faint"

_TONES = re.compile(r"(?<=[aeiouvng])[1-5](?=[a-z ]|$)")  # bing4du2
_WORD = re.compile(r"[a-z]+")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_TELLING = frozenset("氯胺酮咪酯唑仑羟哌啶啡")  # of the names of drugs; hardly ever of anything else's
# Sounds that southern dialects, and input methods for them, do not distinguish. One per term.
_NEAR = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("l", "n"), ("f", "h"))
_NEAR_ENDS = (("ang", "an"), ("eng", "en"), ("ing", "in"))
INITIALS_MIN = 4  # shorter ones often mean something else (LAT, MST)
_CHINESE_FROM = "\u3007"  # nothing before it has a reading, and looking for one costs more than all else
CHARS_SURE = 3  # of a term: a disguise of a shorter one is only a hint
NEAR_SHARED_MIN = 2


def strength(size: int) -> str:
    """How much a disguise of a term of `size` characters counts."""
    return DISGUISED if size >= CHARS_SURE else ALONE


class Spoken(NamedTuple):
    """A term in syllables. `shared_min`: how many of its characters must be written as they are."""

    term: str
    syllables: tuple[str, ...]
    shared_min: int


class Sounds:
    """Finds text that sounds like a term of Chinese characters."""

    def __init__(self, terms: Iterable[str], initialled: frozenset[str]) -> None:
        """`terms`: compact. `initialled`: those that are also searched by their initials."""
        self._syllables = _Syllables()
        spoken: dict[str, list[Spoken]] = {}
        for term in terms:
            for ways in self._ways(term):
                spoken.setdefault("".join(ways.syllables), []).append(ways)
        self._automaton = ahocorasick.Automaton()
        for letters, ways_of in spoken.items():
            self._automaton.add_word(letters, tuple(ways_of))
        self._automaton.make_automaton()
        first = (
            ("".join(syllable[0] for syllable in way.syllables), way.term)
            for ways_of in spoken.values()
            for way in ways_of
            if way.term in initialled
        )
        self._initials = {letters: term for letters, term in first if len(letters) >= INITIALS_MIN}

    def hits(self, text: str, norm: str, spaces: frozenset[int]) -> Iterator[Hit]:
        """Places in `norm` that sound like a term. `text`: the same text with its spaces, which are at `spaces`."""
        yield from self._heard(norm, spaces)
        if (toneless := _TONES.sub("", text)) != text:
            for hit in self._heard(toneless.replace(" ", ""), breaks(toneless)):
                yield hit._replace(start=0, end=len(norm))  # its place in `norm` is not known
        if (word := _WORD.search(norm)) and (term := self._initials.get(word[0])):
            yield Hit(*word.span(), FAINT, term, "initials")

    def _heard(self, norm: str, spaces: frozenset[int]) -> Iterator[Hit]:
        syllables = [self._syllables[char] for char in norm]
        letters = "".join(syllables)
        ends: list[int] = []
        for last, ways_of in self._automaton.iter(letters):
            ends = ends or list(accumulate(map(len, syllables)))
            for spoken in ways_of:
                first = last + 1 - sum(map(len, spoken.syllables))
                end = bisect_left(ends, last + 1)
                start = bisect_left(ends, first) + 1 if first else 0
                if ends[end] != last + 1 or (first and ends[start - 1] != first) or cuts(norm, start, end + 1, spaces):
                    continue
                if worth := self._worth(norm, start, end + 1, spoken, spaces):
                    written = norm[start : end + 1]
                    yield Hit(start, end + 1, worth, spoken.term, _trick(written))

    def _worth(self, norm: str, start: int, end: int, spoken: Spoken, spaces: frozenset[int]) -> str | None:
        """DISGUISED if all Chinese characters are the term's own and the rest is pinyin (冰du), or if half of three or
        more are; fewer are a hint if they tell, and a faint one if not.

        For pinyin alone see `_worth_of_pinyin`.
        """
        written, size = norm[start:end], len(spoken.term)
        if written.isascii():
            return None if spoken.shared_min else self._worth_of_pinyin(norm, start, end, size, spaces)
        shared = _shared(written, spoken, self._syllables)
        if shared is None or written == spoken.term or shared < spoken.shared_min:
            return None
        chinese = sum(char not in LATIN for char in written)
        if shared and shared == chinese:
            return DISGUISED
        if 2 * shared >= size:
            return strength(size)
        if chinese < len(written) or (shared and any(char in _TELLING for char in written)):
            return HINTED
        return FAINT if size >= CHARS_SURE else None

    def _worth_of_pinyin(self, norm: str, start: int, end: int, size: int, spaces: frozenset[int]) -> str | None:
        """Four syllables are the term anywhere; three if written as one word, or if there is no other pinyin beside
        them; two only if they are all there is to the name, for 冰毒 and 病毒 are one in pinyin."""
        if size != CHARS_SURE:
            return strength(size)
        before, after = norm[:start], norm[end:]
        beside = before[-1:] in _LETTERS or after[:1] in _LETTERS
        return ALONE if beside and any(start < space < end for space in spaces) else DISGUISED

    def _ways(self, term: str) -> Iterator[Spoken]:
        """The term itself, with a syllable of similar sound, and with a first letter for a syllable (氯a酮)."""
        size = len(term)
        reading = tuple(self._syllables[char] for char in term)
        yield Spoken(term, reading, 0)
        if any("v" in syllable for syllable in reading):
            yield from (Spoken(term, tuple(each.replace("v", u) for each in reading), 0) for u in ("u", "yu"))
        if size < CHARS_SURE:
            return
        for place, syllable in enumerate(reading):
            yield from (Spoken(term, _with(reading, place, near), NEAR_SHARED_MIN) for near in _near(syllable))
            if place < size - 1:  # 氯胺T is chloramine
                yield Spoken(term, _with(reading, place, syllable[0]), size - 1)


def _trick(written: str) -> str:
    if written.isascii():
        return "pinyin"
    return "mixed" if any(char in LATIN for char in written) else "sound"


def _shared(written: str, spoken: Spoken, syllables: Mapping[str, str]) -> int | None:
    """How many characters of the term are written as such; None if a character is none of its syllables."""
    starts = {at: place for place, at in enumerate(accumulate(map(len, spoken.syllables), initial=0))}
    shared = at = 0
    for char in written:
        length = len(syllables[char])
        if char not in LATIN:
            place = starts.get(at)
            if place is None or starts.get(at + length) != place + 1:
                return None
            shared += char == spoken.term[place]
        at += length
    return shared


def _near(syllable: str) -> Iterator[str]:
    for one, other in _NEAR:
        if syllable.startswith(one):
            yield other + syllable.removeprefix(one)
        elif syllable.startswith(other):
            yield one + syllable.removeprefix(other)
    for one, other in _NEAR_ENDS:
        if syllable.endswith(one):
            yield syllable.removesuffix(one) + other
        elif syllable.endswith(other):
            yield syllable.removesuffix(other) + one


def _with(reading: Sequence[str], place: int, syllable: str) -> tuple[str, ...]:
    return (*reading[:place], syllable, *reading[place + 1 :])


def _reading(char: str) -> str:
    # Loaded only when goods names are read, and without its 47,000 phrases, which take a quarter of a second: no term
    # is read in a phrase otherwise than character by character.
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")
    from pypinyin import lazy_pinyin

    return lazy_pinyin(char)[0]


class _Syllables(dict[str, str]):
    """The most common reading of each character, without tone; a character without a reading is kept."""

    def __missing__(self, char: str) -> str:
        if char in LATIN or char < _CHINESE_FROM:
            return char
        syllable = _reading(char).replace("ü", "v")
        if syllable != char:  # Only Chinese characters are cached: there are not many.
            self[char] = syllable
        return syllable
