"""The context of a term in a goods name: whether the term is meant.

A term is not meant if a longer ordinary word contains it, if the likeliest division of the name into words cuts it
(大|麻烦), if it is part of the name of another substance (硫酸铜), or if the goods are about it or against it, like
test kits and leaflets. A word for powder or liquid is not meant if the goods are for it or free of it (酒杯, 无糖).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from itertools import accumulate, islice

from streams.flow.describe.lexicon import Hit, Lexicon, read_terms
from streams.flow.describe.sounds import DISGUISED, FAINT, HINTED
from streams.flow.describe.spelling import LATIN, compact
from streams.flow.describe.terms import KINDS, Use, controlled_terms
from streams.flow.describe.words import count_of, stands

POWDER, LIQUID, CONTROLLED, EXCEPTION, ORDINARY = "powder", "liquid", "controlled", "exception", "ordinary"
CLASSES = (POWDER, LIQUID)

BETWEEN_CHARS_MAX = 6  # between a term and words that say the goods are about it
# How common a term is assumed to be as a word, to weigh it against the words around it; see `words`.
COUNT_OF_TERM, COUNT_OF_DISGUISE = 500, 50
CHARS_WEIGHED_MAX = 4  # of a term: words never cut a longer one
LIKE_MAX = 16  # disguised terms of a name that are weighed; each takes about 50 µs


_ALONE = (Use.ALONE, Use.HINT_ALONE)
_NO_CODE = re.compile(r"[^\W\d]{2,}(?<!号)")


def found_in(norm: str, breaks: frozenset[int]) -> list[Hit]:
    """Every term of the lists in compact text, and the ordinary words that contain one."""
    return list(_lexicon().hits(norm, breaks))


def is_alone(norm: str, hit: Hit, use: Use = Use.ALONE) -> bool:
    """Whether a name says nothing else, apart from amounts and praise; for an everyday word, from amounts in digits."""
    follows = norm[hit.end : hit.end + 1]
    if use is Use.HINT_ALONE and (hit.start or (follows and not follows.isdigit())):
        return False
    return bool(_around().fullmatch(norm, 0, hit.start) and _around().fullmatch(norm, hit.end))


class Context:
    """A name in its compact form, with the hits of the lists in it."""

    def __init__(self, norm: str, hits: list[Hit]) -> None:
        self.norm = norm
        self._hits = hits
        self._mentioned: dict[int, bool] = {}

    def standing(self) -> Iterator[Hit]:
        """Plain terms that are meant, the gravest first: CONTROLLED, or HINTED for an everyday word that is alone."""
        terms = [hit for hit in self._hits if hit.kind == CONTROLLED and self._allows(hit)]
        if not terms:
            return
        longer = Cover(self.norm, terms)
        for hit in sorted(terms, key=gravity):
            if not longer.outreaches(hit) and not self._is_undone(hit) and self._is_a_word(hit):
                hint = controlled_terms()[hit.term].use is Use.HINT_ALONE
                yield hit._replace(kind=HINTED) if hint else hit

    def standing_like(self, hits: Iterable[Hit]) -> Iterator[Hit]:
        """Disguised terms that are meant, DISGUISED or HINTED. A term that is the whole name counts more."""
        for hit in islice(hits, LIKE_MAX):
            if self._is_ordinary(hit) or self._is_undone(hit) or not self._is_a_word(hit):
                continue
            if is_alone(self.norm, hit):
                yield hit._replace(kind=HINTED if hit.kind == FAINT else DISGUISED)
            elif hit.kind in (DISGUISED, HINTED):
                yield hit

    def is_no_more_than(self, hit: Hit) -> bool:
        """Whether a term is the whole name, and not a number or code that other goods share (四号, 2cc)."""
        if controlled_terms()[hit.term].use in _ALONE and not _NO_CODE.fullmatch(hit.term):
            return False
        return is_alone(self.norm, hit)

    def is_about_terms(self) -> bool:
        """Whether it holds a term that the goods are only about, and do not contain."""
        return any(hit.kind == CONTROLLED and self._is_mentioned(hit.end) for hit in self._hits)

    def class_by_words(self) -> str:
        """The class of the last word that counts: the head of a Chinese compound is at its end (豆浆粉, 粉底液)."""
        words = [hit for hit in self._hits if hit.kind in CLASSES]
        if not words:
            return "unknown"
        # A longer word hides a term inside it. A term that is also an exception (硫酸铜) is powder, but not controlled.
        masks = Cover(self.norm, (hit for hit in self._hits if hit.kind in (POWDER, LIQUID, EXCEPTION)))
        counting = [
            hit
            for hit in words
            if not masks.outreaches(hit)
            and not _objects().match(self.norm, hit.end)
            and not self.norm.endswith(_negations(), 0, hit.start)
            and (self.norm[hit.start : hit.end] not in _stem_words() or self._is_itself(hit))
        ]
        return max(counting, key=lambda hit: (hit.end, hit.end - hit.start)).kind if counting else "unknown"

    def _allows(self, hit: Hit) -> bool:
        use = controlled_terms()[hit.term].use
        if use in _ALONE:
            return is_alone(self.norm, hit, use) or (hit.term.isascii() and self._is_alone_in_form(hit))
        return use is not Use.STEM or self._is_itself(hit)

    def _is_alone_in_form(self, hit: Hit) -> bool:
        form = _forms().match(self.norm, hit.end)
        return form is not None and is_alone(self.norm, hit._replace(end=form.end()))

    def _is_itself(self, hit: Hit) -> bool:
        """Whether it is not the start or the end of the name of another substance."""
        before, after = _stems()
        follows = self.norm[hit.end : hit.end + 1]
        if follows and follows not in LATIN and not self.norm.startswith(after, hit.end):
            return False
        return not self.norm[max(0, hit.start - 8) : hit.start].rstrip("0123456789").endswith(before)

    def _is_undone(self, hit: Hit) -> bool:
        against = self.norm.endswith(_against(), 0, hit.start)
        return against or self._exceptions.holds(hit) or self._is_mentioned(hit.end)

    def _is_ordinary(self, hit: Hit) -> bool:
        if self.norm[hit.start : hit.end].isascii():
            return self._ordinary.holds(hit)
        return self._ordinary.meets(hit)

    def _is_a_word(self, hit: Hit) -> bool:
        """Whether no likelier division of the name into words cuts it."""
        written = self.norm[hit.start : hit.end]
        if len(written) > CHARS_WEIGHED_MAX or written.isascii():
            return True
        if hit.kind == CONTROLLED and controlled_terms()[written].use in _ALONE:
            return True
        count = max(COUNT_OF_TERM, count_of(written)) if hit.kind == CONTROLLED else COUNT_OF_DISGUISE
        return stands(self.norm, hit.start, hit.end, count)

    def _is_mentioned(self, end: int) -> bool:
        """Whether the words that follow say that the goods are about it: 大麻叶图案, 吗啡和冰毒联合检测."""
        known, passed = self._mentioned, []
        while end not in known:
            passed.append(end)
            known[end] = bool(_mentions().match(self.norm, end))
            if not known[end] and (after := self._terms_at.get(end)):
                del known[end]
                end = after
        known.update(dict.fromkeys(passed, known[end]))  # so each of many terms in a row is looked at once
        return known[end]

    @cached_property
    def _terms_at(self) -> dict[int, int]:
        """By place: the end of the longest term that begins there or one character later."""
        ends: dict[int, int] = {}
        for hit in self._hits:
            if hit.kind == CONTROLLED:
                for place in (hit.start, hit.start - 1):
                    ends[place] = max(ends.get(place, 0), hit.end)
        return ends

    @cached_property
    def _exceptions(self) -> Cover:
        return Cover(self.norm, (hit for hit in self._hits if hit.kind == EXCEPTION))

    @cached_property
    def _ordinary(self) -> Cover:
        return Cover(self.norm, (hit for hit in self._hits if hit.kind in (EXCEPTION, ORDINARY)))


def gravity(hit: Hit) -> tuple[bool, int, int, int]:
    """Sorts terms; the least is shown: a term before a hint, then the graver kind, the first, the longest."""
    term = controlled_terms()[hit.term]
    hint = hit.kind == HINTED or term.use is Use.HINT_ALONE
    return hint, KINDS.index(term.kind), hit.start, -hit.end


class Cover:
    """How far hits reach, so that hits in a name of hundreds of terms need not be compared pairwise."""

    def __init__(self, norm: str, hits: Iterable[Hit]) -> None:
        ends = [0] * (len(norm) + 1)
        for hit in hits:
            ends[hit.start] = max(ends[hit.start], hit.end)
        self._reach = list(accumulate(ends, max))  # by place: the furthest end of hits that begin up to there

    def holds(self, hit: Hit) -> bool:
        """Whether one of them contains `hit` or is the same piece of text."""
        return self._reach[hit.start] >= hit.end

    def meets(self, hit: Hit) -> bool:
        """Whether one of them overlaps `hit`."""
        return self._reach[hit.end - 1] > hit.start

    def outreaches(self, hit: Hit) -> bool:
        """Whether one of them is longer than `hit` and contains it."""
        return self._reach[hit.start] > hit.end or (hit.start > 0 and self._reach[hit.start - 1] >= hit.end)


@cache
def _lexicon() -> Lexicon:
    listed = {kind: _words(f"goods/{kind}.txt") for kind in CLASSES}
    listed |= {EXCEPTION: _words("goods/exceptions.txt"), ORDINARY: _words("goods/sound_alikes.txt")}
    return Lexicon(listed | {CONTROLLED: list(controlled_terms())})


@cache
def _objects() -> re.Pattern[str]:
    return re.compile(rf"(?:{_any_of('objects')})(?![装洗])")


@cache
def _mentions() -> re.Pattern[str]:
    words = _words("goods/mentions.txt")
    close, far = ("|".join(re.escape(word) for word in words if (len(word) == 1) is single) for single in (True, False))
    return re.compile(rf"(?:{close})|[^\d]{{0,{BETWEEN_CHARS_MAX}}}?(?:{far})")


@cache
def _around() -> re.Pattern[str]:
    return re.compile(rf"(?:\d++|{_any_of('around')})*+")


@cache
def _forms() -> re.Pattern[str]:
    return re.compile(_any_of("forms"))


@cache
def _stems() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Affixes of a chemical's name that make it another one's name, and affixes that do not."""
    words = read_terms("goods/stems.txt")
    before = [word[1:] for word in words if word.startswith("-")]
    return tuple(compact(before)), tuple(compact(word for word in words if not word.startswith("-")))


@cache
def _stem_words() -> frozenset[str]:
    stems = {norm for norm, term in controlled_terms().items() if term.use is Use.STEM}
    return frozenset(stems | {"硝酸", "磷酸", "醋酸"})


@cache
def _negations() -> tuple[str, ...]:
    return tuple(_words("goods/negations.txt"))


@cache
def _against() -> tuple[str, ...]:
    return (*_negations(), *_words("goods/against.txt"))


def _words(path: str) -> list[str]:
    return compact(read_terms(path))


def _any_of(name: str) -> str:
    """A pattern for any of a list, the longest first."""
    return "|".join(map(re.escape, sorted(_words(f"goods/{name}.txt"), key=len, reverse=True)))
