"""Word boundaries: the likeliest division of a Chinese text by a general dictionary.

大麻烦 is 大 + 麻烦, not 大麻 + 烦; 摇头玩具 is 摇头 + 玩具. A piece of text counts as a word only if it is a word
in the likeliest division of the text around it (a unigram model: the product of the words' shares is greatest).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from streams.flow.describe.lexicon import read_terms

AROUND = 6  # characters considered on either side: no word of the dictionary is longer than four
WORD_MAX = 4

_ALL_WORDS = math.log(2) * 26  # about the number of words from which the counts of the dictionary come
_TRADE = 9  # words of trade are as common as the dictionary's words of this class
_UNKNOWN = -_ALL_WORDS  # a single character that is not in the dictionary counts as seen once


def stands(text: str, start: int, end: int, count: float) -> bool:
    """Whether text[start:end], a word seen `count` times, is a word in the likeliest division."""
    return _is_likelier(_run_before(text, start), text[start:end], _run_after(text, end), count)


@lru_cache(maxsize=1_024)
def _is_likelier(left: str, word: str, right: str, count: float) -> bool:
    whole = _best(left) + math.log(count) - _ALL_WORDS + _best(right)
    return whole >= _best(left + word + right)


def count_of(word: str) -> float:
    """How often a word was seen; 0 if it is not in the dictionary."""
    share = _words().get(word)
    return 0 if share is None else math.exp(share + _ALL_WORDS)


def _best(text: str) -> float:
    """Logarithm of the probability of the likeliest division of a text."""
    words = _words()
    best = [0.0]
    for end in range(1, len(text) + 1):
        single = best[end - 1] + words.get(text[end - 1], _UNKNOWN)
        longer = (
            best[start] + share
            for start in range(max(0, end - WORD_MAX), end - 1)
            if (share := words.get(text[start:end])) is not None
        )
        best.append(max(single, max(longer, default=single)))
    return best[-1]


def _run_before(text: str, start: int) -> str:
    begin = start
    while begin > max(0, start - AROUND) and not text[begin - 1].isascii():
        begin -= 1
    return text[begin:start]


def _run_after(text: str, end: int) -> str:
    stop = end
    while stop < min(len(text), end + AROUND) and not text[stop].isascii():
        stop += 1
    return text[end:stop]


@cache
def _words() -> Mapping[str, float]:
    """Logarithm of each word's share of all."""
    words = {word: math.log(2) * power - _ALL_WORDS for power, word in _counted()}
    for line in read_terms("goods/words_of_trade.txt"):
        for word in line.split():
            words[word] = max(words.get(word, _UNKNOWN), math.log(2) * _TRADE - _ALL_WORDS)
    return words


def _counted() -> Iterator[tuple[int, str]]:
    for line in read_terms("goods/words.txt"):
        power, _, words = line.partition(": ")
        for word in words.split():
            yield int(power), word
