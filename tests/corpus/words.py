"""`python -m tests.corpus.words DICT`: write data/goods/words.txt anew from jieba's dict.txt.

jieba is in no list of dependencies: fetch its source distribution once, 0.42.1, and give the path of its dict.txt.
"""

from __future__ import annotations

import math
import re
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import streams.flow.describe

CHARS_MAX = 4  # of a word: longer ones are phrases and names, and are found by their parts
COUNT_MIN = 30  # of a word; rarer ones are mostly names
COUNT_MIN_SINGLE = 5
COLUMNS = 60  # of a line, in characters

HEAD = """\
# Words of a general Chinese dictionary by how common they are: `n: words` are those met about 2 to the power n times.
# Derived from dict.txt of jieba 0.42.1 (2020-01, MIT licence, Sun Junyi): its words of two to four characters met 30
# times or more and its single characters met 5 times or more, with their counts rounded to powers of two.
# Written by `python -m tests.corpus.words`; do not edit. Words of trade: words_of_trade.txt. Last reviewed 2026-11.
"""

_HAN = re.compile(r"[\u4e00-\u9fff]+")


def derived(dictionary: str) -> str:
    """words.txt, from the text of dict.txt: lines `word count class`."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for line in dictionary.splitlines():
        word, count = line.split()[:2]
        least = COUNT_MIN_SINGLE if len(word) == 1 else COUNT_MIN
        if len(word) <= CHARS_MAX and int(count) >= least and _HAN.fullmatch(word):
            by_class[round(math.log2(int(count)))].append(word)
    lines = [HEAD]
    for power in sorted(by_class, reverse=True):
        wrapped = textwrap.wrap(" ".join(by_class[power]), COLUMNS, break_long_words=False)
        lines += [f"{power}: {line}" for line in wrapped]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(streams.flow.describe.__file__).parent / "data/goods/words.txt"
    target.write_text(derived(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
    print(target.name, "written")
