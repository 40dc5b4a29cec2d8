"""Honest names are no placeholders, and not masked: those of the generator, and made-up ones of many peoples.

The lists of names that the forms of address were measured on are not ours to keep: 172,413 Japanese names gave none;
255,352 names of Chinese history and the 78,798 of jieba's dictionary only such as are forms of address (陈总, 王夫人).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl

from streams.flow.describe.lexicon import read_terms
from streams.flow.describe.people import describe_names
from streams.generate.people import GIVEN, People

# Given names and family names of peoples of the country and of others, put together at random: nobody's.
UYGHUR = ("阿依古丽", "买买提", "艾力", "吐尔逊", "帕提古丽", "热合曼", "阿卜杜拉", "玛依拉", "迪力夏提", "努尔买买提")
KAZAKH = ("努尔兰", "叶尔肯", "阿依波塔", "巴合提", "哈丽娜", "赛力克")
TIBETAN = ("扎西", "次仁", "卓玛", "多吉", "央金", "桑布", "达瓦", "边巴")
MONGOL = ("巴特尔", "其其格", "乌日娜", "苏日娜", "额尔敦", "那仁", "呼格吉勒")
OTHERS = ("Anna Maria Lee", "John O'Neill", "Jean-Luc Moreau", "Иван Петров", "Maxx Foxx", "Drake Sirman", "Li Xiaojie",
          "Zhang Xiansheng", "Wang Shifu", "Ms Anna Lee", "佐藤健一", "金哲洙", "ئايگۈل", "Nguyễn Văn An")  # fmt: skip


def accused(names: list[str]) -> list[str]:
    """Those that are said to be placeholders or masked."""
    frame = describe_names(pl.Series(names))
    return pl.Series(names).filter(frame["name_placeholder"] | frame["name_masked"]).to_list()


def test_names_of_the_generator() -> None:
    assert accused(People(7).names(np.arange(100_000)).to_list()) == []


def test_every_surname_with_given_names() -> None:
    surnames = [line.split()[0] for line in read_terms("names/surnames.txt")]
    given = [*GIVEN, *(a + b for a, b in zip(GIVEN, GIVEN[7:], strict=False))]
    names = [surname + name for surname, name in product(surnames, given) if len(set(surname + name)) > 1]
    assert len(names) > 50_000
    assert accused(names) == ["西门庆"]  # the figure of the novel


def test_names_of_other_peoples() -> None:
    parts = [f"{a}{dot}{b}" for people in (UYGHUR, KAZAKH) for a, b in product(people, people) for dot in "·•・．"]
    whole = [a + b for people in (TIBETAN, MONGOL) for a, b in product(people, people) if a != b]
    assert accused([*parts, *whole, *OTHERS, *UYGHUR, *KAZAKH, *TIBETAN, *MONGOL]) == []
