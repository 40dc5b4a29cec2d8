"""Controlled terms written so as not to be found as they are: by sound, in another order, in parts, misspelt.

Only for names in which the plain search finds no term. Spellings of the same characters (width, variants, letters that
look Latin, separators) are no matter of this module: `spelling` takes them out before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from rapidfuzz.distance import OSA

from streams.flow.describe.lexicon import Hit, Lexicon
from streams.flow.describe.sounds import CHARS_SURE, DISGUISED, HINTED, Sounds

LETTERS_ONE_OFF_MIN = 7  # of a Latin name: shorter ones have ordinary words one letter away (heroin, heron)
LETTERS_SWAPPED_MIN = 5
WORDS_MAX = 12  # of a name, searched for misspellings
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
    """The terms of `names` as they may be disguised."""

    def __init__(self, names: Iterable[str], *, shapes: dict[int, str], parts: dict[str, str]) -> None:
        """`names`: compact. `shapes`: a character to the one that it looks like. `parts`: what a character falls into,
        to the character."""
        terms = sorted(names)
        counted = {term.translate(_DIGITS): term for term in terms if term.translate(_DIGITS) != term}  # 3唑仑
        self._parts = parts | counted
        self._part = re.compile("|".join(sorted(map(re.escape, self._parts), key=len, reverse=True)))
        chinese = [term for term in terms if _HAN.search(term)]
        self._sounds = Sounds(chinese)
        long = [term for term in chinese if len(term) >= CHARS_SURE]
        self._alike = Lexicon(
            {
                DISGUISED: {way for term in long for way in (*_reordered(term), *_one_similar(term, shapes))},
                HINTED: {term[::-1] for term in chinese if len(term) < CHARS_SURE and _HAN.fullmatch(term)},
            }
        )
        self._misspelt = Misspelt(term for term in terms if term.isascii() and term.isalpha())

    def hits(self, text: str) -> Iterator[Hit]:
        """Places in the compact form of `text` (which has spaces between Latin words) that stand for a term."""
        norm = text.replace(" ", "")
        if not norm.isascii():
            yield from self._alike.hits(norm)
        yield from self._sounds.hits(text)
        yield from self._misspelt.hits(text)

    def readings(self, norm: str) -> Iterator[str]:
        """What else a name may read: parts put together (月安 for 胺), fillers left out (大x麻), doubles made one."""
        if norm.isascii():
            return
        read = {norm}
        for pattern, other in ((self._part, self._joined), (_FILLER, ""), (_DOUBLED, r"\1")):
            changed = pattern.sub(other, norm)
            if changed not in read:
                read.add(changed)
                yield changed
            norm = changed

    def _joined(self, part: re.Match[str]) -> str:
        return self._parts[part[0]]


class Misspelt:
    """Latin names with a letter wrong, missing, too many, or two swapped; by ear, backwards, cut in two; digits for
    letters."""

    def __init__(self, terms: Iterable[str]) -> None:
        names = sorted(terms)
        self._names = frozenset(names)
        self._near: dict[tuple[str, int], list[str]] = {}
        for name in names:
            if len(name) >= LETTERS_ONE_OFF_MIN:
                # Whoever misspells begins with the right letter, or the first two are swapped.
                for first, length in ((0, -1), (0, 0), (0, 1), (1, 0)):
                    self._near.setdefault((name[first], len(name) + length), []).append(name)
        self._swapped = {
            name[:place] + name[place + 1] + name[place] + name[place + 2 :]
            for name in names
            if LETTERS_SWAPPED_MIN <= len(name) < LETTERS_ONE_OFF_MIN
            for place in range(len(name) - 1)
        } - self._names
        self._swapped |= {name[::-1] for name in names if len(name) >= LETTERS_SWAPPED_MIN}
        self._spoken = frozenset(_spoken(name) for name in names if len(name) >= LETTERS_ONE_OFF_MIN)

    def hits(self, text: str) -> Iterator[Hit]:
        """Places in the compact form of `text` of what is nearly a name."""
        words = [*_WORD.finditer(text)][:WORDS_MAX]
        pieces = [(word.start(), word.end()) for word in words]
        pieces += [(one.start(), other.end()) for one, other in pairwise(words) if text[one.end()] == " "]
        if len(words) > 2 and text.isascii():  # k e t a m i m e
            pieces.append((words[0].start(), words[-1].end()))
        for start, end in pieces:
            word = text[start:end].replace(" ", "")
            if len(word) >= LETTERS_SWAPPED_MIN and self._is_near(word):
                before = text.count(" ", 0, start)
                yield Hit(start - before, start - before + len(word), DISGUISED)

    def _is_near(self, word: str) -> bool:
        if word.isalpha():
            return self._is_one_off(word)
        plain = {word.translate(_LEET), word.strip("0123456789").translate(_LEET)}  # her0in, and heroni5 for 5 g of it
        return any(each in self._names or self._is_one_off(each) for each in plain)

    def _is_one_off(self, word: str) -> bool:
        if word in self._swapped:
            return True
        if len(word) >= LETTERS_ONE_OFF_MIN - 1 and _spoken(word) in self._spoken:  # kokain
            return True
        near = self._near.get((word[:1], len(word)), ())
        return any(OSA.distance(word, name, score_cutoff=1) <= 1 for name in near)


def _spoken(word: str) -> str:
    """A Latin word as one who writes by ear has it: phentanyl and fentanil are one."""
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
    """Read backwards, or with two neighbours swapped."""
    yield term[::-1]
    for place in range(len(term) - 1):
        yield term[:place] + term[place + 1] + term[place] + term[place + 2 :]


def _one_similar(term: str, shapes: dict[int, str]) -> Iterator[str]:
    """With one character replaced by one that looks like it."""
    for place, char in enumerate(term):
        for similar in (chr(code) for code, whole in shapes.items() if whole == char):
            yield term[:place] + similar + term[place + 1 :]
