"""Surnames with a form of address, used in place of a name: 王先生, 陈总, 小李, 王某某, Miss Li."""

from __future__ import annotations

import re

from streams.flow.describe.text import cleaned

_COMMON = 100  # so many of the surnames, the most common first; a rare surname and 哥 may be a full name
_JOINED = ("mr", "mrs", "miss", "mister")  # titles with which no other word begins, and which a surname follows
_WORD = re.compile(r"[^\W\d_]+")
_HAN = r"[\u3400-\u9fff\U00020000-\U0003ffff]"


class Courtesy:
    """Recognises such names.

    maybe: a pattern, for polars and Python, that all of them match, and few other names. starts, ends: what those
    without Latin letters begin with (a character) or end with (one of these texts). titled: a pattern that all names
    match from which `without` takes something.
    """

    def __init__(self, surnames: list[str], titles: list[str], placeholders: list[str]) -> None:
        """surnames: `王 wang`, the commonest first. titles: Chinese or Latin; a short one needs a common surname.

        placeholders: Chinese words that name nobody, with a title or without.
        """
        chinese = [line.split()[0] for line in surnames]
        long = [title for title in titles if len(title) > 1 and not title.isascii()]
        short = "".join(title for title in titles if len(title) == 1)
        some, few = "|".join(chinese), "".join(chinese[:_COMMON])
        self._titles = frozenset(title for title in titles if title.isascii())
        self._surnames = frozenset(line.split()[1] for line in surnames)
        self._chinese = re.compile(
            rf"(?:{_HAN}|[a-z]+|{some}|{'|'.join(sorted(placeholders))})某{{0,2}}·?(?:{'|'.join(long)})"
            rf"|(?:{some})(?:某{{1,3}}人?|姓)|姓(?:{some})|[{few}][{short}]|[小老][{few}]|(?:mr|mrs|ms|miss)·?{_HAN}{{1,2}}"
        )
        self._names = frozenset([*chinese, *placeholders])
        self.titled = f"{_HAN}{{2}}·?(?:{'|'.join(long)})$"
        self._whole = re.compile(rf"((?:{some})·?{_HAN}{{1,4}}?)·?(?:{'|'.join(long)})")
        self.starts = "姓小老"
        self.ends = "某", "某人", "姓", *long, *short
        self.maybe = f"[a-z]|(?:{'|'.join(self.ends)})$|^[{self.starts}]"

    def without(self, norm: str) -> str:
        """A full name without the form of address behind it: 王建国先生 is 王建国, 王先生 and 欧阳先生 stay."""
        found = self._whole.fullmatch(norm)
        if found is None or found[1] in self._names or found[1][-1] in "某姓":
            return norm
        return found[1]

    def says(self, norm: str, name: str) -> bool:
        """Whether a name is one of these. norm: its normal form. name: as it was given."""
        return self._chinese.fullmatch(norm) is not None or (norm[0].isascii() and self._latin(name))

    def _latin(self, name: str) -> bool:
        """One word and a title: Mr. Wang, mrwang; not Mr Wang Wei. The normal form has no word boundaries."""
        words = _WORD.findall(cleaned(name).casefold())
        if len(words) == 2:
            return (words[0] in self._titles) != (words[1] in self._titles)
        return len(words) == 1 and any(
            words[0].startswith(title) and words[0].removeprefix(title) in self._surnames for title in _JOINED
        )
