"""Goods names written to dodge are found, ordinary names are not mistaken for them, and REPORT.md says how many."""

from __future__ import annotations

import time

import pytest

from streams.flow.describe.goods import read
from tests.corpus import tricks
from tests.corpus.measure import REPORT, Measured, Tally, measure, report
from tests.corpus.trades import NAMES, ordinary_names

# The least share of a class that must be found: spellings nearly whole, disguises as far as ordinary names allow.
WRITTEN_MIN = {
    "width": 1.0, "traditional": 1.0, "variant": 1.0, "lookalike": 0.95, "marks": 1.0, "separators": 1.0,
    "invisible": 1.0, "emoji": 1.0, "filler": 0.95, "doubled": 1.0, "homophone": 0.9, "near_sound": 0.75,
    "pinyin": 0.95, "pinyin_two": 1.0, "mixed": 0.94, "initial_in": 0.7, "shape": 0.85, "parts": 1.0, "order": 0.9,
    "misspelt": 0.85, "leet": 0.95, "two_tricks": 0.95, "signs": 1.0, "radicals": 1.0, "numerals": 1.0,
    "reversed": 1.0, "symbols": 0.7, "not_looked_for": 0.7, "slang": 0.7,
}  # fmt: skip
DRAWN_MIN = {
    "homophone": 0.9, "pinyin": 0.9, "half_pinyin": 0.95, "initials": 0.05, "swapped": 0.9, "filled": 0.95,
    "doubled": 0.95, "misspelt (Latin)": 0.85, "digits_for_letters (Latin)": 0.95, "swapped (Latin)": 0.95,
} | {trick.__name__: 0.98 for trick in tricks.SPELLINGS}  # fmt: skip


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure()


def test_the_corpus_is_as_large_as_it_should_be(measured: Measured) -> None:
    assert sum(tally.names for tally in measured.written.values()) >= 500
    assert sum(tally.names for tally in measured.ordinary.values()) >= 2_000
    for tally in (measured.written | measured.ordinary).values():
        names = tally.said + tally.neither
        assert len(names) == len(set(names))


@pytest.mark.parametrize("label", WRITTEN_MIN)
def test_variants_written_by_hand_are_found(label: str, measured: Measured) -> None:
    tally = measured.written[label]
    assert tally.recall >= WRITTEN_MIN[label], tally.neither


@pytest.mark.parametrize("label", DRAWN_MIN)
def test_variants_drawn_are_found(label: str, measured: Measured) -> None:
    tally = measured.drawn[label]
    assert tally.recall >= DRAWN_MIN[label], tally.neither


def test_spellings_are_as_good_as_the_term(measured: Measured) -> None:
    """They change how a term is written and not what is written: none of them is only a hint."""
    assert {trick.__name__: measured.drawn[trick.__name__].hinted for trick in tricks.SPELLINGS} == {
        trick.__name__: 0 for trick in tricks.SPELLINGS
    }


def test_what_a_reader_sees_at_once_is_no_mere_hint(measured: Measured) -> None:
    """Pinyin, pinyin for some characters, parts, fillers: nearly all that is found of them is as good as the term."""
    seen = [measured.written[label] for label in ("pinyin", "pinyin_two", "mixed", "parts", "filler", "doubled")]
    seen += [measured.drawn[label] for label in ("pinyin", "half_pinyin", "filled", "doubled")]
    assert sum(tally.hinted for tally in seen) <= sum(tally.controlled for tally in seen) / 50


def test_initials_alone_are_only_a_hint(measured: Measured) -> None:
    tallies = (measured.written["initials"], measured.drawn["initials"])
    assert sum(tally.hinted for tally in tallies) > 10
    assert measured.written["initials"].controlled == 0


def test_tricks_that_nothing_was_tuned_on_are_found(measured: Measured) -> None:
    tallies = measured.heldout.values()
    names = sum(tally.names for tally in tallies)
    assert names >= 800
    assert sum(len(tally.said) for tally in tallies) >= 0.9 * names
    assert sum(tally.controlled for tally in tallies) >= 0.9 * names
    assert {label for label, tally in measured.heldout.items() if tally.recall < 0.8} == set()


def test_of_ten_thousand_names_of_many_trades_hardly_any_is_mistaken(measured: Measured) -> None:
    tallies = measured.trades.values()
    assert len(tallies) >= 20
    assert sum(tally.names for tally in tallies) == NAMES
    assert sum(len(tally.said) for tally in tallies) <= NAMES / 2_000


@pytest.mark.parametrize("seed", [3, 41])
def test_other_draws_of_the_trades_are_mistaken_as_rarely(seed: int) -> None:
    mistaken = [name for _, name in ordinary_names(seed) if read(name).controlled or read(name).hinted]
    assert len(mistaken) <= NAMES / 2_000


def test_ordinary_names_are_left_alone(measured: Measured) -> None:
    said = {label: tally.said for label, tally in measured.ordinary.items() if label != "bait"}
    assert said == {label: [] for label in said}


def test_few_names_that_were_made_to_be_mistaken_are(measured: Measured) -> None:
    said = measured.ordinary["bait"].said
    assert len(said) <= 12, said


def test_odd_spellings_of_ordinary_names_are_left_alone(measured: Measured) -> None:
    """But for those in which a sign between all letters joins the end of a word and the beginning of the next."""
    everything = list(measured.respelt.values())
    assert sum(tally.names for tally in everything) >= 2_000
    assert sum(len(tally.said) for tally in everything) <= 3


def test_another_seed_finds_about_as_much(measured: Measured) -> None:
    """The thresholds do not hang on what was drawn."""

    def found(tallies: dict[str, Tally]) -> float:
        return sum(len(tally.said) for tally in tallies.values()) / sum(tally.names for tally in tallies.values())

    assert abs(found(measure(seed=7).drawn) - found(measured.drawn)) < 0.03


def test_the_report_is_fresh(measured: Measured) -> None:
    assert REPORT.read_text(encoding="utf-8") == report(measured), "run: python -m tests.corpus"


@pytest.mark.parametrize(
    ("name", "controlled", "hinted"),
    [
        ("冰毒", True, False),
        ("冰du", True, False),  # the one character that there is
        ("氯胺铜", True, False),  # two of three
        ("绿胺同", True, False),  # one of three, which hardly anything else has, and nothing else in the name
        ("蓝绿胺同款", False, False),
        ("海螺音响", False, False),  # one of three, which the sea has too
        ("lv an tong", True, False),
        ("hai luo yin", True, False),
        ("hai luo yin xiang", False, False),
        ("安娜卡列尼娜", False, False),
        ("酮胺氯", True, False),
        ("毒冰", True, False),
        ("毒冰块", False, False),
        ("绿案桶", False, True),  # none of three, but nothing else in the name
        ("绿案桶装", False, False),
        ("bing du 5g", True, False),  # two syllables, and nothing else in the name
        ("bing du kou zhao", False, False),
        ("ketamime", True, False),
        ("ytmz 5g", False, True),
        ("YTMZ轴承", False, False),
        ("冰丨毒", True, False),
        ("氯の胺の酮", True, False),
        ("3唑仑", True, False),
        ("metamfetamin", True, False),  # by ear
        ("enimatek", True, False),
        ("piperonyl butoxide", False, False),  # an insecticide
        ("安娜咖啡豆", False, False),  # 安钠咖 is not
        ("冰毒检测试纸", False, False),
        ("冰du检测试纸", False, False),
    ],
)
def test_what_a_disguise_is_worth(name: str, controlled: bool, hinted: bool) -> None:
    goods = read(name)
    assert (goods.controlled, goods.hinted) == (controlled, hinted)


@pytest.mark.parametrize(
    "name",
    [
        *("a" + "1" * 5_000 + "毒", "x1" * 2_500, "bing du " * 600, "冰d" * 2_500, "k e " * 1_250, "ketamin " * 600),
        *("粉" * 20_000, "硫酸铜" * 7_000, "无粉" * 10_000, "病毒" * 10_000),
    ],
    ids=["digits", "counts", "pinyin", "mixed", "letters", "words", "powders", "hidden", "negated", "sounds"],
)
def test_the_longest_names_are_read_as_well(name: str) -> None:
    """Nothing in the search grows faster than the name: what did so took half a minute here."""
    began = time.process_time()
    read.__wrapped__(name)
    assert time.process_time() - began < 10
