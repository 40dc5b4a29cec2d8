"""Goods names: one form, class by words, controlled terms, names that say nothing; the word lists themselves."""

from __future__ import annotations

import random
import tomllib
from importlib.resources import files
from itertools import product
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.flow.describe import words
from streams.flow.describe.goods import describe_goods, read
from streams.flow.describe.lexicon import Lexicon, read_terms
from streams.flow.describe.spelling import normal_form
from streams.flow.describe.terms import KINDS, Use, controlled_terms, term_of
from streams.flow.layout import GOODS_TRICKS
from tests.repetition import examples

LISTS = ["powder", "liquid", "exceptions", "objects", "mentions", "negations", "against", "vague", "around", "forms"]
LISTS += ["names", "sound_alikes", "stems", "tests"]

# Names by what is expected of them.
NAMES = {
    expected: [name.replace("_", " ") for name in names.split()]
    for expected, names in tomllib.loads(
        Path(__file__).with_name("goods_names.toml").read_text(encoding="utf-8")
    ).items()
}


TERMS = ["大麻", "冰毒", "海洛因", "k粉", "氯胺酮", "罂粟", "丙酮", "MDMA"]
OTHERS = ["袜子", "T恤", "图书", "宣传册", "玩具", "衣服", "麻烦", "花", "色粉"]


@pytest.mark.parametrize("separator", ["、", "，", ",", "; ", "；", "/", " | ", "+", "&", "。", "\n", "·", "——"])
def test_a_term_that_is_an_entry_of_a_list_counts_whatever_comes_after_it(separator: str) -> None:
    for term, other in product(TERMS, OTHERS):
        for entries in ([term, other], [other, term, other], [f"{term} 5克", other]):
            assert read(separator.join(entries)).controlled, entries


@pytest.mark.parametrize(
    "name",
    [
        "大麻、吗啡、冰毒三合一检测试纸",
        "吗啡,大麻,K粉 五合一检测卡",
        "大麻;吗啡;三联尿检板",
        "三号、四号、五号",
        "四号、五号电池",
        "冰、水",
        "丙酮酸、乙醇",
        "2cc/5cc注射器",
        "大麻叶图案、T恤",
        "无丙酮、洗甲水",
        "大麻哈鱼、海带",
        "K粉色、袜子",
        "麻、大衣",
    ],
)
def test_a_list_is_about_terms_or_holds_none(name: str) -> None:
    assert not read(name).controlled


def test_a_name_of_many_terms_is_weighed_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a name costs is what is divided into words: each division takes some 10 µs."""
    calls = 0
    best = words._best

    def counted(text: str) -> float:
        nonlocal calls
        calls += 1
        return best(text)

    monkeypatch.setattr(words, "_best", counted)
    rng = random.Random(1)
    terms = [term for term in controlled_terms() if not term.isascii()]
    for disguise in (str, lambda term: term[::-1], lambda term: term[:-1] + "，" + term[-1:]):
        for _ in range(5):
            calls = 0
            words._is_likelier.cache_clear()
            read("".join(disguise(rng.choice(terms)) for _ in range(512))[:512])
            assert calls <= 3 * 128


def test_everyday_goods_are_left_alone() -> None:
    said = {word: read(word) for word in NAMES["ordinary"]}
    assert [word for word, goods in said.items() if goods.by_words != "unknown"] == []
    assert [word for word, goods in said.items() if goods.controlled or goods.hinted or goods.vague] == []


def test_powders_and_liquids() -> None:
    assert [word for word in NAMES["powders"] if read(word).by_words != "powder"] == []
    assert [word for word in NAMES["liquids"] if read(word).by_words != "liquid"] == []


def test_controlled_terms() -> None:
    assert [word for word in NAMES["controlled"] if not read(word).controlled] == []


@pytest.mark.parametrize(
    "word",
    ["样品", "樣品", " 样 品 ", "日用品", "其他", "其它", "货物", "貨物", "物品", "东西", "配件", "无", "test", "TEST",
     "测试", "empty", "", "   ", "...", "？", "123", "😀", "N/A", "【其他】"],
)  # fmt: skip
def test_names_that_say_nothing(word: str) -> None:
    assert read(word).vague


@pytest.mark.parametrize(
    "word", ["样品鞋", "汽车配件", "文件", "其他衣服", "testosterone", "无线鼠标", "货物架", "contest"]
)
def test_a_vague_word_within_a_name_is_not_vague(word: str) -> None:
    assert not read(word).vague


@pytest.mark.parametrize(
    ("word", "norm"),
    [
        ("Ｋ粉", "k粉"),
        ("К粉", "k粉"),
        ("奶 粉（罐裝）", "奶粉罐装"),
        ("白\u00ad糖\u200b\ufe0f", "白糖"),
        ("Milk  Powder!", "milkpowder"),
        ("⽶粉", "米粉"),
        ("㎏", "kg"),
        ("冰\u3164毒", "冰毒"),
        ("___", ""),
    ],
)
def test_normal_form(word: str, norm: str) -> None:
    assert normal_form(word) == norm


def test_declared_form_comes_first() -> None:
    names = pl.Series(["奶粉", "奶粉", "奶粉", "衣服", "衣服", "香水", None, None])
    forms = pl.Series(["solid", None, "unknown", "gas", "unknown", "mixed", "powder", None], dtype=pl.String)
    frame = describe_goods(names, forms)
    assert frame["goods_class"].to_list() == [
        "solid",
        "powder",
        "powder",
        "gas",
        "unknown",
        "mixed",
        "powder",
        "unknown",
    ]
    assert frame["goods_vague"].to_list() == [False] * 6 + [True] * 2
    assert frame["goods_norm"].to_list()[-1] == ""
    assert describe_goods(pl.Series(["奶粉"]), pl.Series([None]))["goods_class"].to_list() == ["powder"]


def test_no_rows() -> None:
    empty = pl.Series([], dtype=pl.String)
    assert describe_goods(empty, empty).schema == {
        "goods_norm": pl.String, "goods_class": pl.String, "goods_controlled": pl.Boolean, "goods_hinted": pl.Boolean,
        "goods_vague": pl.Boolean, "goods_term": pl.UInt32, "goods_trick": pl.UInt8,
    }  # fmt: skip


@given(st.lists(st.none() | st.text(max_size=30) | st.text("冰毒糖酒粉丝 *-kKoOil0号", max_size=10), max_size=20))
@examples(80)
def test_any_text_has_an_answer_and_the_batch_does_not_matter(names: list[str | None]) -> None:
    forms = pl.Series([None] * len(names), dtype=pl.String)
    frame = describe_goods(pl.Series(names, dtype=pl.String), forms)
    assert frame.null_count().row(0) == (0,) * frame.width
    assert ((frame["goods_term"] != 0) == (frame["goods_controlled"] | frame["goods_hinted"])).all()
    for name, row in zip(names, frame.rows(), strict=True):
        assert row == describe_goods(pl.Series([name], dtype=pl.String), forms.head(1)).row(0)
        assert all(char.isalnum() for char in row[0])


@given(
    st.sampled_from(["冰毒", "氯胺酮", "丙酮", "k粉"]),
    st.text(" \t.,;-_*·•/|+~\u200b\u200c\u00ad\ufeff\u3000🙂", max_size=4),
)
def test_separators_inside_a_term_hide_nothing(term: str, separators: str) -> None:
    assert read(separators.join(term)).controlled


def test_terms_are_found_whole_words_only_where_words_are_latin() -> None:
    lexicon = Lexicon({"a": ["ink", "0号", "k粉"]})
    found = {
        name: [hit.kind for hit in lexicon.hits(name)]
        for name in ("ink", "inks", "pink", "drinks", "ink5ml", "墨ink", "0号", "10号", "18k粉", "纯k粉")
    }
    assert [name for name, kinds in found.items() if kinds] == ["ink", "inks", "ink5ml", "墨ink", "0号", "纯k粉"]


@pytest.mark.parametrize("name", LISTS)
def test_lists_say_where_they_are_from_and_repeat_nothing(name: str) -> None:
    head = (
        (files("streams.flow.describe") / "data" / "goods" / f"{name}.txt").read_text(encoding="utf-8").split("\n\n")[0]
    )
    assert "reviewed 20" in head
    terms = [normal_form(term.replace("-", "前")) for term in read_terms(f"goods/{name}.txt")]
    assert len(terms) == len(set(terms)), {term for term in terms if terms.count(term) > 1}
    assert all(terms)


def test_every_term_does_what_its_list_says() -> None:
    def misses(name: str, field: str, value: object) -> list[str]:
        return [term for term in read_terms(f"goods/{name}.txt") if getattr(read(term), field) != value]

    assert misses("powder", "by_words", "powder") == []
    assert misses("liquid", "by_words", "liquid") == []
    assert misses("vague", "vague", True) == []


def test_every_exception_holds_a_term_and_undoes_it() -> None:
    exceptions = read_terms("goods/exceptions.txt")
    kinds = ("powder", "liquid", "controlled")
    own = {kind: {normal_form(term) for term in read_terms(f"goods/{kind}.txt")} for kind in kinds[:2]}
    own["controlled"] = set(controlled_terms())
    terms = Lexicon(own)
    # Latin words need their spaces to be found; those are seen to undo something in goods_names.toml.
    assert [word for word in exceptions if not word.isascii() and not any(terms.hits(normal_form(word)))] == []
    flagged = [word for word in exceptions if read(word).controlled or read(word).by_words != "unknown"]
    assert set(flagged) <= own["powder"] | own["liquid"]


@pytest.mark.parametrize("kind", KINDS)
def test_catalogues_say_where_they_are_from_and_repeat_nothing(kind: str) -> None:
    path = files("streams.flow.describe") / "data" / "goods" / "controlled" / f"{kind}.txt"
    head, _, lines = path.read_text(encoding="utf-8").partition("\n\n")
    assert "Source" in head
    assert "reviewed 20" in head
    rows = [line.split(" | ") for line in lines.splitlines() if line and not line.startswith("#")]
    names = [normal_form(name) for row in rows for name in row]
    assert all(names)
    assert len(names) == len(set(names)), {name for name in names if names.count(name) > 1}


def test_every_term_is_found_as_it_is_listed() -> None:
    """Alone in a name, as the list of its kind has it, and under a reference that leads back to it."""
    for term in controlled_terms().values():
        goods = read(term.name)
        assert (goods.controlled, goods.hinted) == (term.use is not Use.HINT_ALONE, term.use is Use.HINT_ALONE), term
        assert term_of(goods.term) == term
        assert GOODS_TRICKS[goods.trick] == "plain"


def test_references_of_terms_are_told_apart() -> None:
    terms = controlled_terms().values()
    assert len({term.ref for term in terms}) == len(terms)
    assert term_of(0) is None


@pytest.mark.parametrize(
    ("name", "term", "kind", "trick"),
    [
        ("冰毒 5g", "冰毒", "psychotropic", "plain"),
        ("Ketamine HCl", "ketamine", "psychotropic", "plain"),
        ("氯-胺 酮", "氯胺酮", "psychotropic", "separated"),
        ("冰\u200b毒", "冰毒", "psychotropic", "separated"),
        ("罌粟殼", "罂粟壳", "narcotic", "characters"),
        ("Ｋ粉", "k粉", "psychotropic", "characters"),
        ("氯按铜", "氯胺酮", "psychotropic", "sound"),
        ("yituomizhi", "依托咪酯", "psychotropic", "pinyin"),
        ("冰du", "冰毒", "psychotropic", "mixed"),
        ("bing毒", "冰毒", "psychotropic", "mixed"),
        ("大嘛叶", "大麻叶", "narcotic", "shape"),
        ("ytmz 5g", "依托咪酯", "psychotropic", "initials"),
        ("酮胺氯", "氯胺酮", "psychotropic", "order"),
        ("氯月安酮", "氯胺酮", "psychotropic", "parts"),
        ("海x洛x因", "海洛因", "narcotic", "filler"),
        ("海洛洛因", "海洛因", "narcotic", "doubled"),
        ("fentanil", "fentanyl", "narcotic", "misspelt"),
        ("丙酮、冰毒", "冰毒", "psychotropic", "plain"),  # the gravest
        ("三氟乙咪酯", "三氟乙咪酯", "non_medical", "plain"),
        ("马古", "马古", "street_name", "plain"),
        ("丙酮 500ml", "丙酮", "precursor", "plain"),
        ("cyclopentylfentanyl", "fentanyl", "narcotic", "plain"),  # of a class
        ("N-desethylisonitazene 5g", "nitazene", "non_medical", "plain"),
        ("丁丙诺啡与纳洛酮片", "丁丙诺啡与纳洛酮", "psychotropic", "plain"),  # where 纳洛酮 alone would be the antidote
    ],
)
def test_what_is_shown_of_a_term(name: str, term: str, kind: str, trick: str) -> None:
    goods = read(name)
    found = term_of(goods.term)
    assert found is not None
    assert (found.name, found.kind, GOODS_TRICKS[goods.trick]) == (term, kind, trick)


def test_a_term_within_an_ordinary_name_is_not_meant() -> None:
    said = {name: read(name) for name in NAMES["not_meant"]}
    assert [name for name, goods in said.items() if goods.controlled or goods.hinted or goods.term] == []


def test_a_term_that_stands_for_itself_is_meant() -> None:
    assert [name for name in NAMES["meant"] if not read(name).controlled] == []
