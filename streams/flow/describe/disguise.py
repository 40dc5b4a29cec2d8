"""Disguised controlled terms: written by sound, in another order, in parts, or misspelt.

Used only for names in which the plain search finds no term. Other spellings of the same characters (width, variants,
letters that look Latin, separators) are removed before, by `spelling`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice, pairwise

from rapidfuzz.distance import OSA

from streams.flow.describe.lexicon import Hit, Lexicon
from streams.flow.describe.sounds import CHARS_SURE, DISGUISED, Sounds, strength

LETTERS_ONE_OFF_MIN = 7  # of a Latin name: a shorter one may differ from an ordinary word by one letter (heroin, heron)
LETTERS_SWAPPED_MIN = 5
WORDS_MAX = 12  # of a name, searched for misspellings
WORDS_CACHED_MAX = 8_192
FILLERS_MAX = 2  # letters, digits or signs that may stand between two Chinese characters of a term

_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]+")
# What is a letter by its class, and may stand for a line or a dot (冰丨毒, 大の麻): strokes, kana, bopomofo, jamo.
_SIGNS = "丨丶丿乀乁〇々卍卐\u3041-\u30ff\u3105-\u312f\u1100-\u11ff"
# Not a size of clothes: 大XL麻料裤 is of linen.
_FILLER = re.compile(
    rf"(?<=[\u3400-\u9fff])(?!(?<=大)x{{0,3}}[sml][^a-z0-9])"
    rf"(?:[a-z0-9]{{1,{FILLERS_MAX}}}|[{_SIGNS}]{{1,{FILLERS_MAX}}})(?=[\u3400-\u9fff])"
)
_DIGITS = str.maketrans("一二三四五六七八九", "123456789")
_DOUBLED = re.compile(r"(.)\1+")
_WORD = re.compile(r"[a-z0-9]+")
_LEET = str.maketrans("0134578", "oieastb")


class Disguises:
    """Finds the terms of `names` in disguise."""

    def __init__(
        self, names: Iterable[str], initialled: frozenset[str], *, shapes: dict[int, str], parts: dict[str, str]
    ) -> None:
        """`names`: compact. `initialled`: those written by initials too. `shapes`: a character to the one that it looks
        like. `parts`: what a character falls into, to the character."""
        terms = sorted(names)
        counted = {term.translate(_DIGITS): term for term in terms if term.translate(_DIGITS) != term}  # 3唑仑
        self._parts = parts | counted
        self._part = re.compile("|".join(sorted(map(re.escape, self._parts), key=len, reverse=True)))
        chinese = [term for term in terms if _HAN.search(term)]
        self._sounds = Sounds(chinese, initialled)
        self._alike = _Alike(chinese, shapes)
        self._misspelt = Misspelt(term for term in terms if term.isascii() and term.isalpha())

    def hits(self, text: str, norm: str, spaces: frozenset[int]) -> Iterator[Hit]:
        """Places in `norm` that mean a term. `text`: the same text with its spaces, which are at `spaces`."""
        if not norm.isascii():
            yield from self._alike.hits(norm)
        yield from self._sounds.hits(text, norm, spaces)
        yield from self._misspelt.hits(text)

    def readings(self, norm: str) -> Iterator[tuple[str, str]]:
        """Other readings of a name, and by which trick: parts put together (月安 for 胺), fillers left out (大x麻),
        doubles made one."""
        if norm.isascii():
            return
        read = {norm}
        for trick, pattern, other in (
            ("parts", self._part, self._joined),
            ("filler", _FILLER, ""),
            ("doubled", _DOUBLED, r"\1"),
        ):
            changed = pattern.sub(other, norm)
            if changed not in read:
                read.add(changed)
                yield changed, trick
            norm = changed

    def _joined(self, part: re.Match[str]) -> str:
        return self._parts[part[0]]


class _Alike:
    """Finds Chinese terms with a look-alike character, or with their characters in another order."""

    def __init__(self, terms: Iterable[str], shapes: dict[int, str]) -> None:
        self._term_of: dict[str, tuple[str, str]] = {}
        for term in terms:
            long = len(term) >= CHARS_SURE
            self._add(term, "order", _reordered(term) if long else [term[::-1]] if _HAN.fullmatch(term) else [])
            self._add(term, "shape", _one_similar(term, shapes))
        by_size: dict[str, list[str]] = {}
        for way, (term, _) in self._term_of.items():
            by_size.setdefault(strength(len(term)), []).append(way)
        self._lexicon = Lexicon(by_size)

    def _add(self, term: str, trick: str, ways: Iterable[str]) -> None:
        for way in ways:
            self._term_of.setdefault(way, (term, trick))

    def hits(self, norm: str) -> Iterator[Hit]:
        for hit in self._lexicon.hits(norm):
            term, trick = self._term_of[norm[hit.start : hit.end]]
            yield hit._replace(term=term, trick=trick)


class Misspelt:
    """Latin names with a letter wrong, missing, too many, or two swapped; by ear, backwards, cut in two; digits for
    letters."""

    def __init__(self, terms: Iterable[str]) -> None:
        names = sorted(terms)
        self._names = {name: name for name in names}
        self._near: dict[tuple[str, int], list[str]] = {}
        self._swapped: dict[str, str] = {}
        self._spoken: dict[str, str] = {}
        for name in names:
            if len(name) >= LETTERS_ONE_OFF_MIN:
                self._spoken.setdefault(_spoken(name), name)
                # A misspelt word begins with the right letter, or its first two letters are swapped.
                for first, length in ((0, -1), (0, 0), (0, 1), (1, 0)):
                    self._near.setdefault((name[first], len(name) + length), []).append(name)
            elif len(name) >= LETTERS_SWAPPED_MIN:
                self._swapped |= dict.fromkeys(_swapped(name), name)
            if len(name) >= LETTERS_SWAPPED_MIN:
                self._swapped[name[::-1]] = name
        self._nearest = lru_cache(maxsize=WORDS_CACHED_MAX)(self._find_nearest)  # words repeat more often than names

    def hits(self, text: str) -> Iterator[Hit]:
        """Places in the compact form of `text` of words that are almost a name."""
        words = [*islice(_WORD.finditer(text), WORDS_MAX)]
        pieces = [(word.start(), word.end()) for word in words]
        pieces += [(one.start(), other.end()) for one, other in pairwise(words) if text[one.end()] == " "]
        if len(words) > 2 and text.isascii():  # k e t a m i m e
            pieces.append((words[0].start(), words[-1].end()))
        for start, end in pieces:
            word = text[start:end].replace(" ", "")
            if len(word) >= LETTERS_SWAPPED_MIN and (name := self._nearest(word)):
                before = text.count(" ", 0, start)
                yield Hit(start - before, start - before + len(word), DISGUISED, name, "misspelt")

    def _find_nearest(self, word: str) -> str | None:
        if word.isalpha():
            return None if word in self._names else self._one_off(word)
        plain = (word.translate(_LEET), word.strip("0123456789").translate(_LEET))  # her0in, and heroni5 for 5 g of it
        return next((name for each in plain if (name := self._names.get(each) or self._one_off(each))), None)

    def _one_off(self, word: str) -> str | None:
        if name := self._swapped.get(word):
            return name
        if len(word) >= LETTERS_ONE_OFF_MIN - 1 and (name := self._spoken.get(_spoken(word))):  # kokain
            return name
        near = self._near.get((word[:1], len(word)), ())
        return next((name for name in near if OSA.distance(word, name, score_cutoff=1) <= 1), None)


def _swapped(name: str) -> Iterator[str]:
    """The name with two neighbouring letters swapped, in all ways."""
    for place in range(len(name) - 1):
        if name[place] != name[place + 1]:
            yield name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def _spoken(word: str) -> str:
    """A Latin word by its sound: phentanyl and fentanil are the same."""
    for written, heard in _HEARD:
        word = written.sub(heard, word)
    return word


_HEARD = [
    (re.compile(written), heard)
    for written, heard in (
        ("ph", "f"), ("th", "t"), ("ck|qu|q", "k"), ("c(?=[eiy])|z", "s"), ("c", "k"), ("y", "i"),
        (r"(.)\1+", r"\1"), ("e$", ""),
    )
]  # fmt: skip


def _reordered(term: str) -> Iterator[str]:
    """The term backwards, and with two neighbouring characters swapped."""
    yield term[::-1]
    yield from _swapped(term)


def _one_similar(term: str, shapes: dict[int, str]) -> Iterator[str]:
    """The term with one character replaced by a look-alike."""
    for place, char in enumerate(term):
        for similar in (chr(code) for code, whole in shapes.items() if whole == char):
            yield term[:place] + similar + term[place + 1 :]
