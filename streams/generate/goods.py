"""Goods as senders write them. Ordinary goods first; powders and liquids are as common as `Goods` says."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

# Name, HS heading (for exports), typical weight in grams.
SOLID = (
    ("衣服", "620640", 600), ("鞋子", "640399", 1_100), ("手机壳", "392690", 90), ("书籍", "490199", 900),
    ("玩具", "950300", 700), ("茶叶", "090230", 500), ("水果", "081090", 4_000), ("文件", "490199", 120),
    ("数据线", "854442", 80), ("耳机", "851830", 150), ("雨伞", "660199", 450), ("背包", "420292", 900),
    ("床单", "630210", 1_300), ("毛巾", "630260", 400), ("餐具", "691110", 1_500), ("台灯", "940521", 1_200),
    ("键盘", "847160", 850), ("袜子", "611595", 150), ("围巾", "621430", 250), ("帽子", "650500", 200),
    ("拖鞋", "640299", 500), ("钥匙扣", "732690", 60), ("相框", "441490", 700), ("笔记本", "482010", 350),
    ("坚果", "080290", 1_000), ("腊肉", "021019", 1_500), ("香菇", "071239", 500), ("充电器", "850440", 180),
    ("钓鱼竿", "950710", 800), ("羽毛球拍", "950651", 500), ("窗帘", "630392", 2_000), ("门锁", "830140", 1_400),
)  # fmt: skip
POWDER = (
    ("奶粉", "040210", 1_800), ("蛋白粉", "350220", 1_500), ("面粉", "110100", 2_500), ("玉米淀粉", "110812", 1_000),
    ("洗衣粉", "340250", 2_000), ("咖啡粉", "090121", 500), ("珍珠粉", "330499", 200), ("滑石粉", "252620", 3_000),
)  # fmt: skip
LIQUID = (
    ("洗发水", "330510", 900), ("香水", "330300", 300), ("精油", "330129", 150), ("白酒", "220890", 1_600),
    ("饮料", "220299", 3_000), ("墨水", "321590", 400), ("口服液", "300490", 600), ("胶水", "350610", 500),
)  # fmt: skip
POWDER_SHARE, LIQUID_SHARE = 0.03, 0.03
FORM_DECLARED_SHARE = 0.6

_ALL = (*SOLID, *POWDER, *LIQUID)
_NAMES = pl.Series([item[0] for item in _ALL])
_HS6 = pl.Series([item[1] for item in _ALL])
_GRAMS = np.array([item[2] for item in _ALL], dtype=np.float64)
_FORMS = pl.Series(["solid"] * len(SOLID) + ["powder"] * len(POWDER) + ["liquid"] * len(LIQUID))


def draw(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """`count` items, by number."""
    kind = rng.random(count)
    item = rng.integers(0, len(SOLID), count)
    powder = len(SOLID) + rng.integers(0, len(POWDER), count)
    liquid = len(SOLID) + len(POWDER) + rng.integers(0, len(LIQUID), count)
    item = np.where(kind < POWDER_SHARE + LIQUID_SHARE, liquid, item)
    return np.where(kind < POWDER_SHARE, powder, item)


def columns(items: NDArray[np.int64], rng: np.random.Generator) -> dict[str, pl.Series]:
    """goods_name, goods_form (null where not declared), hs6 and weight_g of the items."""
    declared = rng.random(len(items)) < FORM_DECLARED_SHARE
    grams = _GRAMS[items] * np.exp(rng.normal(0.0, 0.35, len(items)))
    forms = _FORMS.gather(items).to_frame("form").select(pl.when(pl.Series(declared)).then("form")).to_series()
    return {
        "goods_name": _NAMES.gather(items),
        "goods_form": forms,
        "hs6": _HS6.gather(items),
        "weight_g": pl.Series(np.maximum(5, grams).astype(np.int64)),
    }
