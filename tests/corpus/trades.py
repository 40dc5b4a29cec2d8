"""Ordinary goods names of many trades, drawn by a seeded generator from the parts in trades.txt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PARTS = Path(__file__).with_name("trades.txt")
NAMES = 10_000
_JOINTS = ("", "", "", "", " ", "-", "/", "，", "、", "+", "（{}）", "【{}】")


@dataclass
class Trade:
    """What a trade posts, and what people write around it."""

    goods: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


def trades() -> dict[str, Trade]:
    """Every trade of trades.txt by its name."""
    found: dict[str, Trade] = {}
    trade = Trade()
    for line in PARTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("@"):
            trade = found[line[1:]] = Trade()
        elif line and not line.startswith("#"):
            {"=": trade.goods, "<": trade.before, ">": trade.after}[line[0]].extend(line[2:].split(" | "))
    return found


def ordinary_names(seed: int, count: int = NAMES) -> Iterator[tuple[str, str]]:
    """`count` distinct names with their trades: each of the goods as it is, then draws of what is written of them."""
    rng = random.Random(seed)
    every = trades()
    seen: set[str] = set()
    for label, trade in every.items():
        for name in trade.goods:
            if name not in seen:
                seen.add(name)
                yield label, name
    shares = [len(trade.goods) for trade in every.values()]
    while len(seen) < count:
        label = rng.choices(list(every), shares)[0]
        name = _written(rng, every[label])
        if name not in seen:
            seen.add(name)
            yield label, name


def _written(rng: random.Random, trade: Trade) -> str:
    name = rng.choice(trade.goods)
    space = " " if name.isascii() else ""
    if rng.random() < 0.6:
        name = rng.choice(trade.before) + (space or rng.choice(("", "", "", " "))) + name
    if rng.random() < 0.6:
        after = rng.choice(trade.after)
        joint = space or rng.choice(_JOINTS)
        name += joint.format(after) if "{}" in joint else joint + after
    if rng.random() < 0.12:  # two things in one parcel
        name += rng.choice(("、", "+", "，", " ", "和")) + rng.choice(trade.goods)
    return name
