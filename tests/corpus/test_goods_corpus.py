"""Goods names written to dodge are found, ordinary names are not mistaken for them, and REPORT.md says how many."""

from __future__ import annotations

import time

import pytest

from streams.flow.describe.goods import read
from tests.corpus import tricks
from tests.corpus.measure import REPORT, Measured, Tally, measure, report

# The least share of a class that must be found: spellings nearly whole, disguises as far as ordinary names allow.
WRITTEN_MIN = {
    "width": 1.0, "traditional": 1.0, "variant": 1.0, "lookalike": 0.95, "marks": 1.0, "separators": 1.0,
    "invisible": 1.0, "emoji": 1.0, "filler": 0.95, "doubled": 1.0, "homophone": 0.75, "near_sound": 0.75,
    "pinyin": 0.95, "pinyin_two": 0.85, "mixed": 0.9, "initial_in": 0.7, "shape": 0.75, "parts": 0.9, "order": 0.9,
    "misspelt": 0.85, "leet": 0.95, "two_tricks": 0.9,
    "signs": 0.95, "radicals": 1.0, "numerals": 1.0, "reversed": 1.0, "symbols": 0.7,
}  # fmt: skip
DRAWN_MIN = {
    "homophone": 0.9, "pinyin": 0.8, "half_pinyin": 0.95, "initials": 0.05, "swapped": 0.9, "filled": 0.95,
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


def test_pinyin_and_initials_alone_are_only_a_hint(measured: Measured) -> None:
    alone = [measured.written[label] for label in ("pinyin", "pinyin_two", "initials")]
    alone += [measured.drawn[label] for label in ("pinyin", "initials")]
    assert sum(tally.controlled for tally in alone) == 0
    assert sum(tally.hinted for tally in alone) > 100


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
        ("冰du", False, True),  # one character of two
        ("氯胺铜", True, False),  # two of three
        ("绿胺同", False, True),  # one of three, which hardly anything else has
        ("海螺音响", False, False),  # one of three, which the sea has too
        ("lv an tong", False, True),
        ("hai luo yin", False, True),
        ("hai luo yin xiang", False, False),
        ("安娜卡列尼娜", False, False),
        ("酮胺氯", True, False),
        ("毒冰", False, True),
        ("ketamime", True, False),
        ("ytmz 5g", False, True),
        ("YTMZ轴承", False, False),
        ("冰丨毒", False, True),
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
