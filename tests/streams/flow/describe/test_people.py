"""Names and phones: normal forms, masks, placeholders, and any text whatever."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.people import describe_names, mobiles
from tests.reference import invisible
from tests.repetition import examples


def name(text: str | None) -> tuple[str | None, bool, bool]:
    """name_norm, name_masked, name_placeholder."""
    norm, masked, placeholder = describe_names(pl.Series([text], dtype=pl.String)).row(0)
    return norm, masked, placeholder


DOTS = ["•", "・", "．", ".", "‧", "∙", "⋅", "･", "·", " · ", "··", "。", "◦", "˙", "ㆍ"]
APPENDED = [
    "[7839]",
    "【7839】",
    "(7839)",
    "（7839）",
    "转7839",
    " 转 7839",
    "-7839",
    "[12345]",
    "［7839］",
    "〔7839〕",
    "#7839",
    "，7839",
    "(分机7839)",
    "[7839] ",
    "[4位7839]",
    "【后四位7839】",
    "(虚拟号码7839)",
    "（分机号：7839）",
    "--7839",
    "—7839",
    "~7839",
    "|7839",
    "手机尾号7839",
    "（手机尾号7839）",
    "转接 7839",
    "(虚拟电话 7839)",
    "中间号7839",
    "小号7839",
    "_转7839",
    "末四位7839",
    "尾数7839",
    "隐私号码:7839",
]
MASKED = [
    "王XX",
    "王xx",
    "王ＸＸ",
    "王 XX",
    "王__",
    "王##",
    "王？？",
    "王■■",
    "王□□",
    "王〇〇",
    "王OO",
    "王--",
    "王——",
    "王…",
    "王..",
    "XX伟",
    "**",
    "##",
    "欧阳XX",
    "王×",
    "张✕",
    "王█",
    "Li XX",
    "阿依·**",
    "王☆",
]
COURTESIES = [
    "王先生",
    "李女士",
    "欧阳先生",
    "陈总",
    "刘老板",
    "张老师",
    "赵师傅",
    "陈小姐",
    "周太太",
    "李经理",
    "王姐",
    "王哥",
    "王某",
    "王某某",
    "欧阳某",
    "王某人",
    "王某某先生",
    "某女士",
    "小王",
    "老李",
    "丽姐姐",
    "張三",
    "張三先生",
    "客户先生",
    "王姓",
    "Mr Wang",
    "Mr. Wang",
    "MrWang",
    "Miss Li",
    "Ms. Chan",
    "Wang Sir",
    "Mr王",
    "Wang先生",
    "王先生[7839]",
    "‘王先生",
    "隐藏",
    "不愿透露",
    "匿名",
    "保密",
    "已隐藏",
    "隐私保护",
    "Hidden",
    "张三[1234]",
]


def mobile(text: str | None) -> str | None:
    norm: str | None = mobiles(pl.Series([text], dtype=pl.String)).item()
    return norm


@pytest.mark.parametrize(
    ("text", "norm"),
    [
        ("张 伟", "张伟"),
        ("\u3000李　娜\t", "李娜"),
        ("Ａｎｎａ Ｌee", "annalee"),
        ("STRAẞE", "strasse"),
        ("阿依·古丽", "阿依·古丽"),
        *((f"阿依{dot}古丽", "阿依·古丽") for dot in DOTS),
        *((f"周小测{more}", "周小测") for more in APPENDED),
        ("[7839]", "[7839]"),
        ("張偉", "张伟"),
        ("陳靜嫻", "陈静娴"),
        ("'张伟", "张伟"),
        ('="张伟"', "张伟"),
        ("张\u200b伟\ufeff", "张伟"),
        ("\u202a张伟\u202c", "张伟"),
        ("张伟\U000e0100", "张伟"),
        ("O’Brien", "o'brien"),
        ("Jean‐Luc", "jean-luc"),
        ("'", None),
        ("\u200b\u3164", None),
        ("", None),
        (" \u00a0\n", None),
        (None, None),
    ],
)
def test_names_have_one_form(text: str | None, norm: str | None) -> None:
    assert name(text)[0] == norm


@pytest.mark.parametrize("text", ["王*", "王**", "＊伟", "王×", "王○○", "王●", "欧阳✱", "王••", "王•", "a*b", *MASKED])
def test_masked_names_are_no_placeholders(text: str) -> None:
    assert name(text)[1:] == (True, False)


def test_a_dot_between_parts_of_a_name_masks_nothing() -> None:
    assert name("阿依•古丽")[1] is False
    assert name("阿依·古丽")[1] is False


@pytest.mark.parametrize(
    "text",
    [
        "张三", "李四", "先生", "女士", "老板", "客户", "匿名", "test", "TEST", "Ｔｅｓｔ", "测试", "孙悟空", "白骨精",
        " 先 生 ", "test01", "测试 1", "(先生)", "N/A", "王王", "丽丽丽", "aa", "111", "1", "15400000000", "---",
        "。", "?!", "😀", *COURTESIES,
    ],
)  # fmt: skip
def test_placeholders(text: str) -> None:
    assert name(text)[1:] == (False, True)


@pytest.mark.parametrize(
    "text",
    [
        "王先生立",
        "张博士",
        "陈小妹",
        "王伟",
        "王",
        "张三丰",
        "李四光",
        "Test Pilot",
        "欧阳娜娜",
        "王一王",
        "",
        None,
        "\ue123",
    ],
)
def test_not_placeholders(text: str | None) -> None:
    assert name(text)[2] is False


def test_every_word_of_the_list_is_a_placeholder_and_is_there_once() -> None:
    words = read_terms("names/placeholder.txt")
    assert len(words) == len(set(words))
    frame = describe_names(pl.Series(words))
    assert frame.filter(~pl.col("name_placeholder"))["name_norm"].to_list() == []


@pytest.mark.parametrize(
    "text",
    [
        "15400000000", "154 0000 0000", "154-0000-0000", "+86 15400000000", "+86-154-0000-0000", "0086 15400000000",
        "8615400000000", "(+86)15400000000", "+0086 15400000000", "'15400000000", '="15400000000"',
        "\u202d15400000000\u202c", "⁺86 15400000000", "86-154-0000-0000", "+86(154)00000000",
        "１５４００００００００", "电话15400000000", "\u200b15400000000",
    ],
)  # fmt: skip
def test_mobiles_have_one_form(text: str) -> None:
    assert mobile(text) == "15400000000"


@pytest.mark.parametrize(
    "text",
    [
        "15400000000-1234", "15400000000转1234", "15400000000,1234", "15400000000#12", "15400000000 16800000000",
        "010-88886666", "0755 88886666", "4008000000", "95588", "1540000000", "154000000000", "015400000000",
        "+1 540 000 0000", "+15400000000", "(+1)5400000000", "0015400000000", "001 540 000 0000", "1-540-200-0000",
        "1 (540) 200-0000", "＋１ ５４０ ０００ ００００", "+852 15400000000", "00852 15400000000", "+886-15400000000",
        "0061 15400000000", "+7 15400000000", "+8 615400000000 1", "154XXXX0000转1234", "154####0000-1234",
        "154••••0000 1234",
        "12400000000", "25400000000", "868615400000000", "86", "", " ", "abc", None,
        "\u0661\u0665\u0664" + "\u0660" * 8,  # Arabic-Indic digits
    ],
)  # fmt: skip
def test_what_is_no_mobile_or_a_virtual_number_links_nothing(text: str | None) -> None:
    assert mobile(text) is None


@pytest.mark.parametrize(
    "text", ["154****0000", "154＊＊＊＊0000", "154●●●●0000", "154••••0000", "*" * 11, "15400000000*"]
)
def test_masked_phones_link_nothing(text: str) -> None:
    assert mobile(text) is None


def test_every_second_and_third_digit_of_a_mobile() -> None:
    numbers = [f"1{digit}{rest:09d}" for digit in range(10) for rest in (0, 123_456_789)]
    norm = mobiles(pl.Series(numbers)).to_list()
    assert norm == [number if number[1] in "3456789" else None for number in numbers]


def test_no_rows() -> None:
    empty = pl.Series([], dtype=pl.String)
    assert describe_names(empty).schema == {
        "name_norm": pl.String, "name_masked": pl.Boolean, "name_placeholder": pl.Boolean
    }  # fmt: skip
    assert mobiles(empty).dtype == pl.String


texts = st.none() | st.text(max_size=12) | st.text("王张三先生 *•·.-1aAＡ", max_size=6)


@given(st.lists(texts, max_size=30))
@examples(60)
def test_any_name_has_an_answer_and_the_batch_does_not_matter(values: list[str | None]) -> None:
    frame = describe_names(pl.Series(values, dtype=pl.String))
    assert frame.rows() == [name(value) for value in values]
    assert frame.null_count().row(0)[1:] == (0, 0)
    for value, norm in zip(values, frame["name_norm"].to_list(), strict=True):
        assert norm != ""
        assert norm is None or not any(char.isspace() or invisible(char) for char in norm)
        if value and re.fullmatch("[王张三先生]+", value):
            assert norm == value


@given(st.lists(st.none() | st.text(max_size=20) | st.text("0123456789+- *转６", max_size=18), max_size=30))
@examples(60)
def test_any_phone_has_an_answer_and_the_batch_does_not_matter(values: list[str | None]) -> None:
    found = mobiles(pl.Series(values, dtype=pl.String))
    assert found.to_list() == [mobile(value) for value in values]
    assert all(re.fullmatch(r"1[3-9][0-9]{9}", norm) for norm in found.drop_nulls().to_list())


@pytest.mark.parametrize("written", ["王 x x", "王 X X", "王O O", "Jxxx Smith", "J... Smith", "J…… Smith"])
def test_masks_with_spaces_and_in_latin_names(written: str) -> None:
    row = describe_names(pl.Series([written])).row(0, named=True)
    assert (row["name_masked"], row["name_placeholder"]) == (True, False)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("阿不都 热西提", "阿不都·热西提"), ("阿不都-热西提", "阿不都·热西提"), ("阿不都 — 热西提", "阿不都·热西提"),
        ("叶尔江 沙依", "叶尔江·沙依"), ("欧阳 娜娜", "欧阳娜娜"), ("周 小 测", "周小测"), ("周小测 7839", "周小测"),
        ("周小测;", "周小测"), ("，周小测、", "周小测"), ("平价店12", "平价店12"), ("Exxon Li", "exxonli"),
    ],
)  # fmt: skip
def test_one_person_has_one_name(written: str, name: str) -> None:
    row = describe_names(pl.Series([written])).row(0, named=True)
    assert (row["name_norm"], row["name_masked"]) == (name, False)
