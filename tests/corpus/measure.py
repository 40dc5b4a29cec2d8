"""What the search makes of the corpus: variants of controlled terms found, ordinary names mistaken for one.

`measure()` reads evasions.txt and ordinary.txt, draws more of both with `tricks` and `trades`, and counts what
`heldout` writes; `report()` is REPORT.md.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from streams.flow.describe.goods import Goods, read
from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.spelling import normal_form
from streams.flow.describe.terms import Use, controlled_terms
from tests.corpus import tricks
from tests.corpus.heldout import heldout
from tests.corpus.trades import ordinary_names

HERE = Path(__file__).parent
REPORT = HERE / "REPORT.md"
SEED = 20261123
PER_TRICK = 120  # variants drawn of each
NAMED_MAX = 12  # names that the report gives of each class

_UNSEEN = re.compile(r"\\u([0-9a-f]{4})")


@dataclass
class Tally:
    """Names of a class by what the search says of them."""

    controlled: int = 0
    hinted: int = 0
    neither: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # those controlled or hinted

    @property
    def names(self) -> int:
        return self.controlled + self.hinted + len(self.neither)

    @property
    def recall(self) -> float:
        """Share of the names that are controlled or hinted."""
        return len(self.said) / self.names

    def add(self, name: str) -> None:
        goods: Goods = read(name)
        self.controlled += goods.controlled
        self.hinted += goods.hinted
        (self.said if goods.controlled or goods.hinted else self.neither).append(name)


@dataclass
class Measured:
    """By class: variants written by hand, drawn, and held out; ordinary names by hand, by trade, in odd spellings."""

    written: dict[str, Tally] = field(default_factory=dict)
    drawn: dict[str, Tally] = field(default_factory=dict)
    heldout: dict[str, Tally] = field(default_factory=dict)
    ordinary: dict[str, Tally] = field(default_factory=dict)
    trades: dict[str, Tally] = field(default_factory=dict)
    respelt: dict[str, Tally] = field(default_factory=dict)


def measure(seed: int = SEED) -> Measured:
    """The whole corpus, read. The same seed draws the same names."""
    measured = Measured()
    for label, row in _rows("evasions.txt"):
        for name in row.partition(": ")[2].split(" | "):
            unescaped = _UNSEEN.sub(lambda code: chr(int(code[1], 16)), name)
            measured.written.setdefault(label, Tally()).add(unescaped)
    ordinary: list[str] = []
    for label, row in _rows("ordinary.txt"):
        for name in row.split(" | "):
            measured.ordinary.setdefault(label, Tally()).add(name)
            ordinary += [name] * (label != "bait")
    rng = random.Random(seed)
    for label, name in _drawn(rng):
        measured.drawn.setdefault(label, Tally()).add(name)
    for label, name in heldout():
        measured.heldout.setdefault(label, Tally()).add(name)
    for label, name in ordinary_names(seed):
        measured.trades.setdefault(label, Tally()).add(name)
    for name in ordinary:
        trick = rng.choice(tricks.SPELLINGS)
        measured.respelt.setdefault(trick.__name__, Tally()).add(tricks.in_words(rng, trick(rng, name)))
    return measured


def report(measured: Measured) -> str:
    """REPORT.md: a table of each part, then what was not found and what was mistaken."""
    ordinary = measured.ordinary | measured.trades
    return "\n".join(
        (
            "# Goods names written to dodge: what is found, what is not",
            "",
            "Written by `python -m tests.corpus`; a test holds it against the code. *controlled* names set off",
            "`goods.controlled_term`, *hinted* ones only `goods.hinted_term`; *found* is either.",
            "",
            "## Variants written by hand",
            *_table(measured.written),
            "",
            f"## Variants drawn by a generator (seed {SEED})",
            "",
            "The first eight keep the characters, and are of every controlled term; the rest are of `names.txt`.",
            *_table(measured.drawn),
            "",
            "## Variants held out",
            "",
            "Written by the rules of `heldout.py` from names that everybody knows; nothing was tuned on them.",
            *_table(measured.heldout),
            "",
            f"## Ordinary names by trade (seed {SEED})",
            "",
            "Drawn from the parts in `trades.txt`. *found* is a false hit here.",
            *_table(measured.trades),
            "",
            "## Ordinary names written by hand",
            "",
            "*found* is a false hit here. `bait` is written so that a term, or its sound, runs across words.",
            *_table(measured.ordinary),
            "",
            "## Ordinary names, but for `bait`, in odd spellings",
            *_table(measured.respelt),
            "",
            "## Not found, of those written by hand",
            "",
            *(_named(label, tally.neither) for label, tally in measured.written.items() if tally.neither),
            "",
            "## Mistaken",
            "",
            *(_named(label, tally.said) for label, tally in ordinary.items() if tally.said),
            "",
        )
    )


def _drawn(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Variants by trick: spellings of every term, disguises of names."""
    terms = [term.name for term in controlled_terms().values() if term.use is Use.ANYWHERE]
    names = read_terms("goods/names.txt")
    latin = [name for name in names if name.isascii()]
    chinese = [name for name in names if not name.isascii() and name != "k粉"]
    for among, which in ((terms, tricks.SPELLINGS), (chinese, tricks.DISGUISES), (latin, tricks.DISGUISES_LATIN)):
        for trick in which:
            label = trick.__name__ + (" (Latin)" if among is latin else "")
            for variant in _changed(rng, trick, among):
                yield label, tricks.in_words(rng, variant)


def _changed(rng: random.Random, trick: Callable[[random.Random, str], str], among: list[str]) -> Iterator[str]:
    drawn: set[str] = set()
    for _ in range(PER_TRICK * 20):
        name = rng.choice(among)
        variant = trick(rng, name)
        if variant.casefold() != name and variant not in drawn:
            drawn.add(variant)
            yield variant
        if len(drawn) == PER_TRICK:
            return


def _rows(path: str) -> Iterator[tuple[str, str]]:
    label = ""
    for line in (HERE / path).read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            label = line[1:]
        elif line and not line.startswith("#"):
            yield label, line


def _table(tallies: dict[str, Tally]) -> Iterator[str]:
    yield from ("", "| class | names | controlled | hinted | found |", "|---|--:|--:|--:|--:|")
    everything = Tally()
    for label, tally in tallies.items():
        yield _line(label, tally)
        everything.controlled += tally.controlled
        everything.hinted += tally.hinted
        everything.neither += tally.neither
        everything.said += tally.said
    yield _line("**all**", everything)


def _line(label: str, tally: Tally) -> str:
    return f"| {label} | {tally.names} | {tally.controlled} | {tally.hinted} | {tally.recall:.1%} |"


def _named(label: str, names: list[str]) -> str:
    shown = ", ".join(normal_form(name) or name for name in names[:NAMED_MAX])
    return f"- {label}: {shown}" + (f", and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else "")
